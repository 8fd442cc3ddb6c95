"""A sequence-to-sequence of a user: pairs, teacher forcing, beam search."""

import re
from pathlib import Path

import pytest

from runner.errors import UserError
from runner.inference.bundle import load_bundle
from runner.verbs.evaluate import scorer

COMMAND = ["model=reverse_net", "optim.lr=0.01", "trainer.max_epochs=10", "tracking.system_metrics=false"]


def test_it_learns_and_is_measured_by_tokens_and_by_sentences(system):
    _, metrics = system.outcome()
    assert metrics["test/loss"] < 0.5
    assert metrics["test/exact_match"] > 0.6, "letters drawn at random would be right in one of 1300"
    sample = (system.run / "samples.txt").read_text(encoding="utf-8")
    assert sample.count(" -> ") == 10


def test_a_killed_run_ends_with_the_same_weights(system, tmp_path: Path, no_figures):
    assert system.killed_and_resumed(tmp_path, steps=25) == system.outcome()


def test_it_evaluates_to_the_same_numbers(system):
    assert "exact_match" in system.runner("evaluate", "run=last")


def test_no_mean_depends_on_the_size_of_the_batches(system):
    with system.here():
        task, data, cfg = load_bundle(system.run / "model")
        data.eval_batch_size = 7  # of 40 rows: the last batch is smaller, and no two have equally many tokens
        data.setup()
        found = task.evaluate(scorer(cfg), data, "test")
    _, metrics = system.outcome()
    assert found == pytest.approx({name: metrics[name] for name in found}, rel=1e-5)


def test_it_translates(system):
    assert system.runner("predict", "run=last", "source=a b c") == "target: c b a\n"
    assert system.runner("predict", "run=last", "source=a b c", "task.beam_size=1") == "target: c b a\n"
    assert system.runner("predict", "run=last", "source=a b c", "task.max_len=2") == "target: c b\n"
    with pytest.raises(UserError, match=r"task\.monitor= cannot be changed"):
        system.runner("predict", "run=last", "source=a b c", "task.monitor=val/exact_match")


def test_a_file_with_translations_is_scored(system):
    rows = "source\ttarget\na b c\tc b a\nf e\te f\nd\ta\n"
    (system.folder / "labelled.tsv").write_text(rows, encoding="utf-8")
    said = system.runner("evaluate", "run=last", "input=labelled.tsv", "output=answers.tsv")
    assert re.search(r"exact_match\W+0\.666667 ", said), said
    assert "line 4: is a, answered d" in said
    assert len((system.folder / "answers.tsv").read_text(encoding="utf-8").splitlines()) == 4


def test_it_is_exported(system):
    assert "checked with inputs of" in system.runner("export", "run=last", "format=torch_export")


def test_it_keeps_the_contracts(system):
    said = system.runner("doctor", "--config-dir", "conf", "model=reverse_net")
    assert "ok      causal" in said and "ok      padding" in said
    assert re.search(r"All \d+ contracts are kept", said)


def test_only_data_that_give_pairs_can_be_read(system):
    with pytest.raises(UserError, match="model=reverse_net cannot read data=toy_documents: it needs pairs"):
        system.runner("--config-dir", "conf", "model=reverse_net", "data=toy_documents")
