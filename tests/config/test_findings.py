"""What the messages know about the command."""

from runner.config.catalog import Catalog
from runner.config.findings import MOST_KEYS, MOST_NAMES, Findings, list_keys


def test_a_problem_is_reported_once():
    findings = Findings(Catalog([]), [])
    for problem in ("one", "two", "one"):
        findings.report(problem)
    assert list(findings.problems) == ["one", "two"]


def test_long_lists_become_the_command_that_prints_them(tmp_path):
    (tmp_path / "model").mkdir()
    findings = Findings(Catalog([tmp_path]), [])
    assert findings.allowed("model") == ""
    for number in range(MOST_NAMES + 1):
        (tmp_path / "model" / f"m{number}.yaml").write_text("a: 1\n")
        if number == 1:
            assert findings.allowed("model") == " Allowed: m0, m1."
    assert findings.allowed("model") == f" All {MOST_NAMES + 1} choices: runner list models"
    assert list_keys(["a", "b"], "model=x") == "Its keys: a, b." and list_keys([], "model=x") == "It has no keys."
    assert list_keys(list("a" * (MOST_KEYS + 1)), "model=x") == "All keys: runner show model/x"
