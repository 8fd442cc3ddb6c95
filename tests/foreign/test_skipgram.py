"""Word vectors of a user: negatives drawn for each batch, sparse gradients, data without validation."""

import re
from pathlib import Path

import pytest

from runner.errors import UserError

COMMAND = ["model=word_vectors", "trainer.max_epochs=12", "tracking.system_metrics=false"]


def test_it_learns_without_validation(system):
    _, metrics = system.outcome()
    assert metrics["train/loss"] < 2.5 and not [name for name in metrics if name.startswith(("val/", "test/"))]
    assert "there is no val and no test split" in system.log
    assert "the last checkpoint is kept" in system.log


def test_a_killed_run_ends_with_the_same_weights(system, tmp_path: Path, no_figures):
    assert system.killed_and_resumed(tmp_path, steps=45) == system.outcome()


def test_it_leaves_the_vectors_behind(system):
    heading, *rows = (system.run / "files" / "vectors.txt").read_text(encoding="utf-8").splitlines()
    words, size = map(int, heading.split())
    assert len(rows) == words and {len(row.split()) for row in rows} == {size + 1}
    assert "cat" in {row.split()[0] for row in rows}
    assert list(system.folder.glob("outputs/mlartifacts/*/artifacts/files/vectors.txt"))


def test_it_is_asked_for_neighbours(system):
    assert system.runner("predict", "run=last", "near=cat").count("word: ") == 3
    assert system.runner("predict", "run=last", "near=cat", "task.nearest=1").startswith("word: dog\n")
    with pytest.raises(UserError, match=r'no such word\. Did you mean "cat"'):
        system.runner("predict", "run=last", "near=catt")


def test_what_it_cannot_do_is_said_in_words(system):
    with pytest.raises(UserError, match="SkipGram does not answer single examples"):
        system.runner("predict", "run=last", "text=cat")
    with pytest.raises(UserError, match="the data of this run has no test split"):
        system.runner("evaluate", "run=last")
    with pytest.raises(UserError, match="SkipGram has no labels to compare with"):
        system.runner("evaluate", "run=last", "input=text.txt")


def test_it_is_exported(system):
    said = system.runner("export", "run=last", "format=torch_export")
    assert "32 and 32 and 5" in said, "all rows share the negatives"


def test_it_keeps_the_contracts(system):
    said = system.runner("doctor", "--config-dir", "conf", "model=word_vectors")
    assert re.search(r"All \d+ contracts are kept", said), said
