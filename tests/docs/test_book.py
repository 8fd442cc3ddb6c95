"""The book: every experiment has a row and a page, and pages quote what results.json and the source hold."""

import importlib.util
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from omegaconf import OmegaConf
from pages import ROOT, environment
from PIL import Image

from runner.config.catalog import Catalog, folders
from runner.config.command import check
from runner.config.compose import compose
from runner.tracking.find import RunInfo
from runner.training.interrupt import Interrupted


def module(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = found
    spec.loader.exec_module(found)
    return found


book_pages = module("docs/book_pages.py")
book = module("benchmarks/book.py")
ROWS = book_pages.rows()
RESULTS = book_pages.results()
MARKED = {page.stem: re.findall(r"<!-- ([\w-]+): (.*?) -->", page.read_text("utf-8")) for page in book_pages.pages()}


def result(means: dict[str, list[float]], command: str = "", complete: bool = True) -> dict:
    metrics = {
        name: {"mean": sum(values) / len(values), "deviation": 0.1, "values": dict(zip("12345", values, strict=False))}
        for name, values in means.items()
    }
    return {"command": command, "quick": False, "complete": complete, "metrics": metrics, "seconds": 1.0}


@pytest.mark.parametrize("page", book_pages.pages(), ids=lambda page: page.stem)
def test_a_page_quotes_what_its_sources_hold(page: Path):
    text = page.read_text(encoding="utf-8")
    assert text == book_pages.filled(text, RESULTS, book_pages.is_chinese(page)), "type: python docs/book_pages.py"


CHINESE_PAGES = [page.name for page in book_pages.pages() if page.name.endswith(".zh.md")]


@pytest.mark.parametrize("name", CHINESE_PAGES)
def test_a_chinese_page_shows_the_rows_of_its_english_one(name: str):
    def shown(page: str) -> set[str]:
        return {row for kind, words in MARKED[page] if kind in ("results", "results-of") for row in words.split()}

    english = name.removesuffix(".zh.md")
    assert shown(f"{english}.zh") == shown(english)


def test_a_chinese_table_says_all_in_chinese():
    row = {"title": "one", "title_zh": "一", "command": "model=mlp", "shows": {"test/accuracy": 2}, "book": "4 of 4",
           "reach": {"test/accuracy": ">= 0.5 in 3"}, "why": "few rows", "why_zh": "样本少"}  # fmt: skip
    rows, found = {"row": row}, {"row": result({"test/accuracy": [0.1, 0.2, 0.3]})}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(book_pages, "rows", lambda: rows)
        lines = book_pages.table(["row"], found, chinese=True).splitlines()
    assert lines == [
        "| 实验 | 本项目 | 书中 | 目标 | 达到 | 用时（秒） |",
        "|---|---|---|---|---|---|",
        "| 一<br>`runner model=mlp` | 准确率 0.20 ± 0.10（3 次运行） | 4 of 4 "
        "| 准确率 至少 0.5 （3 次运行中有 3 次） | 否 | 1 |",
        "",
        "- *一*：样本少",
    ]


def test_a_number_typed_into_a_table_is_found():
    page = "<!-- value: ch07_toy test/accuracy -->0.99<!-- end -->"
    found = {"ch07_toy": result({"test/accuracy": [1.0, 1.0, 0.9]})}
    assert book_pages.filled(page, found) == "<!-- value: ch07_toy test/accuracy -->0.97<!-- end -->"
    assert "not measured yet" in book_pages.filled(page, {})


def test_every_experiment_has_a_row_and_every_row_a_place_on_its_page():
    named = {word.partition("=")[2] for row in ROWS.values() for word in row["command"].split()}
    assert not [name for name in Catalog(folders()).choices("experiment") if name not in named]
    shown = {page: {row for kind, words in marks if kind == "results" for row in words.split()}
             for page, marks in MARKED.items()}  # fmt: skip
    assert not [name for name, row in ROWS.items() if name not in shown.get(row["page"], set())]


def test_every_row_is_in_one_table_of_all_results():
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    tables = [book_pages.rows_of(words.split()) for words in re.findall(r"<!-- results-of: (.*?) -->", text)]
    assert sorted(name for names in tables for name in names) == sorted(ROWS)
    with pytest.raises(ValueError, match="no row that begins with ch99_"):
        book_pages.rows_of(["chapter-99"])


def test_a_gallery_shows_what_is_drawn_and_names_what_is_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(book_pages, "ROOT", tmp_path)
    monkeypatch.setattr(book_pages, "pages", list)
    monkeypatch.setattr(
        book_pages,
        "rows",
        lambda: {"row": {"page": "chapter-2", "title": "a net", "command": "model=mlp", "figures": ["losses", "grid"]}},
    )
    (tmp_path / "docs" / "figures").mkdir(parents=True)
    (tmp_path / "docs" / "figures" / "row_losses.png").touch()
    drawn, absent = book_pages.gallery().split("Not drawn yet:")
    assert "`runner model=mlp`" in drawn and "](figures/row_losses.png)" in drawn
    assert "a net: grid" in absent and "losses" not in absent
    absent = book_pages.gallery(chinese=True).partition("还没有画出来的：")[2]
    assert absent.strip() == "- a net：grid（[chapter-2](chapter-2.md)）：`runner model=mlp`，`figures/grid.png`"


def test_results_are_those_of_the_commands_of_today():
    for name, found in RESULTS.items():
        assert found["command"] == f"runner {ROWS[name]['command']}", name
        assert set(found["metrics"]) == set(ROWS[name]["shows"]), name
        assert not found["quick"], name


def test_what_is_not_reached_says_why():
    behind = [name for name in RESULTS if RESULTS[name]["complete"] and book_pages.reached(name, RESULTS) is False]
    assert not [name for name in behind if "why" not in ROWS[name]]


def test_figures_are_few_and_small():
    files = [ROOT / "docs" / "figures" / f"{name}_{figure}.png" for name, row in ROWS.items()
             for figure in row.get("figures", [])]  # fmt: skip
    assert len(files) <= 25
    assert not [file.name for file in files if file.exists() and file.stat().st_size >= book.LARGEST]


def test_a_copied_figure_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    noise = np.random.default_rng(0).integers(0, 256, (600, 1200, 3), dtype=np.uint8)  # nothing is larger as a file
    (tmp_path / "figures").mkdir()
    Image.fromarray(noise).save(tmp_path / "figures" / "noise.png")
    monkeypatch.setattr(book, "FIGURES", tmp_path)
    book.copy_figures("row", ["noise", "absent"], RunInfo("1", "", tmp_path, "FINISHED"))
    assert (tmp_path / "row_noise.png").stat().st_size < book.LARGEST
    assert "no absent.png" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("condition", "expected"),
    [(">= 0.75", True), ("> 0.75", False), ("< 0.8 in 2", True), ("< 0.8 in 3", False), ("0.75 +- 0.1", True),
     ("0.75 +- 0.04", False), ("< test/b", True), ("> other", True), ("> other + 0.3", False), ("< other + 0.3", True),
     ("> other - 0.1", True), ("> unknown", None)],
)  # fmt: skip
def test_what_is_to_be_reached(condition: str, expected: bool | None):
    found = {"row": result({"test/a": [0.7, 0.7, 0.85], "test/b": [0.8, 0.8, 0.8]}), "other": result({"test/a": [0.5]})}
    assert book_pages.fulfils("test/a", condition, "row", found) is expected


def test_every_condition_can_be_read_and_compares_what_is_shown():
    for name, row in ROWS.items():
        assert bool(book_pages.aim(row)) == ("reach" in row), name
        assert row.get("reach", {}).keys() <= row["shows"].keys(), name


def test_a_job_of_a_sweep_and_a_typed_run_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def run(number: int, settings: list[str], status: str = "FINISHED") -> RunInfo:
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "overrides.yaml").write_text("".join(f"- {text}\n" for text in settings) or "[]\n")
        return RunInfo(str(number), "", folder, status)

    runs = [
        run(1, ["experiment=ch07_toy", "seed=2"]),
        run(2, ["experiment=ch07_toy", "tracking.experiment=mine"]),
        run(3, ["experiment=ch07_toy", "optim.lr=0.1"]),
        run(4, ["seed=3", "experiment=ch07_toy"], "KILLED"),
        run(5, ["experiment=ch07_toy", "data.split_seed=4", "hydra.run.dir='x'"]),
    ]
    monkeypatch.setattr(book, "runs_with_tag", lambda uri, outputs, tag, value: list(runs))
    records = book.Records(None)
    found = {seed: records.alike(["experiment=ch07_toy", f"seed={seed}"]) for seed in (1, 2, 3)}
    assert {seed: run and run.id for seed, run in found.items()} == {1: "2", 2: "1", 3: None}
    assert records.alike(["experiment=ch07_toy", "seed=3"], ("KILLED",)) is runs[3]
    assert records.alike(["+data.split_seed=4", "experiment=ch07_toy"]) is runs[4]


def test_what_counts_is_the_settings_of_a_run_wherever_they_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    typed = ["experiment=ch07_toy", "seed=2", "optim.lr=0.01"]
    (tmp_path / "overrides.yaml").write_text("".join(f"- {text}\n" for text in typed))
    monkeypatch.setattr(
        book, "runs_with_tag", lambda uri, outputs, tag, value: [RunInfo("1", "", tmp_path, "FINISHED")]
    )
    then = compose([*typed, "tracking.name=x"])
    OmegaConf.resolve(then)
    OmegaConf.save(then, tmp_path / "config.yaml")
    assert book.Records(None).alike(typed) is not None
    assert book.Records(None).alike(["experiment=ch07_toy", "seed=2"]) is not None, "0.01 is what the file says"
    assert book.Records(None).alike(["experiment=ch07_toy", "seed=3"]) is None
    then.optim.lr = 0.5
    OmegaConf.save(then, tmp_path / "config.yaml")
    book.flat_file.cache_clear()
    assert book.Records(None).alike(typed) is None


def test_quick_settings_take_the_place_of_the_rows_own():
    row = {"command": "model=lstm trainer.max_epochs=8", "quick": "trainer.max_epochs=1 +trainer.limit_test_batches=2"}
    (only,) = book.runs_of("row", row, quick=True)
    assert only.settings == ("model=lstm", "seed=1", "trainer.max_epochs=1", "+trainer.limit_test_batches=2")
    assert len(book.runs_of("row", row, quick=False)) == 3


def test_quick_settings_can_be_typed():
    tried = {row["quick"]: (name, row) for name, row in ROWS.items() if "quick" in row and "{" not in row["command"]}
    for name, row in tried.values():
        problems = check(list(book.runs_of(name, row, quick=True)[0].settings))
        assert not [problem for problem in problems if "data.path" not in problem], name


def test_old_results_stay_unless_their_command_has_changed():
    rows = {name: {"command": "model=mlp", "shows": {"test/a": 1}} for name in ("same", "changed", "partly")}
    before = {
        "same": result({"test/a": [0.1]}, "runner model=mlp"),
        "changed": result({"test/a": [0.1]}, "runner model=lstm"),
        "partly": result({"test/a": [0.1]}, "runner model=mlp"),
    }
    merged = book.merged(rows, {"partly": result({"test/a": [0.2]}, "runner model=mlp", complete=False)}, before)
    assert set(merged) == {"same", "partly"}
    assert merged["partly"] is before["partly"], "three seeds are worth more than one"


def test_nothing_begins_after_a_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    begun: list[str] = []

    def interrupted(*settings: str) -> None:
        begun.append(settings[-1])
        raise Interrupted(signal.SIGINT)

    monkeypatch.setattr("runner.run", interrupted)
    monkeypatch.setattr(book, "STOP", SimpleNamespace(value=False), raising=False)
    for _ in ("the run that hears it", "another row in the same process"):
        assert book.run_row("ch07_toy", False, float("inf")) == 0
    assert begun == ["seed=1"]


@pytest.mark.slow
def test_what_is_missing_is_run_once(tmp_path: Path) -> None:
    typed = [sys.executable, str(ROOT / "benchmarks" / "book.py"), "--quick", "--processes", "2"]
    for begun in (2, 0):
        ended = subprocess.run(
            [*typed, "quadratic", "quadratic_step"], cwd=tmp_path, env=environment(), capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.count("== quadratic") == begun
        found = json.loads((tmp_path / "results-quick.json").read_text())
        assert {name: round(row["metrics"]["fit/w"]["mean"], 3) for name, row in found.items()} == {
            "quadratic_step": 0.1,
            "quadratic": 5.0,
        }
