"""What Tab offers, through the function that Hydra installs into the shell."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from programs import run_python

from runner.cli import VERBS
from runner.verbs.completion import offers

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("ex", ["export"]),
        ("list mod", ["models"]),
        ("predict run=last ex", ["explain="]),
        ("predict explain=", ["explain=true", "explain=false"]),
        ("export run=last format=t", ["format=torch_export"]),
        ("evaluate split=val spl", []),
        ("show textcnn1", ["textcnn1d"]),
        ("list --con", ["--config-dir="]),
        ("model=textcnn tr", []),
    ],
)
def test_verbs_and_options_are_offered(line, found):
    *words, word = line.split(" ")
    assert offers(words, word, VERBS)[0] == found


def test_files_and_runs_are_offered(recorded, monkeypatch):
    folder, ids = recorded
    monkeypatch.chdir(folder)
    assert offers(["predict"], "input=rev", VERBS)[0] == ["input=reviews.csv"]
    assert offers(["predict"], "input=", VERBS)[0].count("input=outputs/") == 1
    runs, _ = offers(["predict"], "run=", VERBS)
    assert runs[0] == "run=last" and {f"run={each}" for each in ids.values()} <= set(runs)
    assert set(ids.values()) <= set(offers(["compare"], "", VERBS)[0])
    weights = offers(["model=textcnn"], "init_from=", VERBS)[0]
    assert {f"init_from={each}" for each in ids.values()} <= set(weights) and "init_from=last" in weights
    assert offers([], "resume=", VERBS)[0] == ["resume=last"], "all runs are finished"


def test_completion_imports_neither_torch_nor_mlflow():
    run_python(
        textwrap.dedent("""
        import sys
        from runner.cli import VERBS
        from runner.verbs.completion import offers
        for verb in VERBS:
            offers([verb], "", VERBS)
        offers(["predict"], "run=", VERBS)
        assert not {"torch", "mlflow", "pytorch_lightning", "matplotlib", "hydra"} & set(sys.modules)
    """)
    )


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("runner list mod", {"models"}),
        ("runner train model=textcnn1", {"model=textcnn1d"}),
        ("runner doctor model=textcnn1", {"model=textcnn1d"}),
        ("runner model=textcnn1", {"model=textcnn1d"}),
        ("runner model=mlp pred", set()),
        ("runner nonsense word", set()),
    ],
)
def test_nothing_but_words_comes_into_the_line(line, found, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "COMP_LINE": line}
    done = subprocess.run(
        [sys.executable, "-m", "runner.cli", "-sc", "query=bash"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stderr == "" and set(done.stdout.split()) == found
