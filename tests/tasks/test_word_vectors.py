"""Word vectors through a run: what is learned, asked, measured, written, read by others, and resumed."""

import copy
import json
import math

import numpy as np
import pytest
import torch
from small_runs import LIMITS, KillAt, composed, outcome, resumed, settings, stopped

from runner.config.catalog import Catalog, folders
from runner.contracts.tiny import compose_tiny, tiny
from runner.errors import UserError
from runner.inference.bundle import load_bundle
from runner.tasks.word_similarity import PACKAGED
from runner.tasks.word_vectors import logistic_loss
from runner.text.vectors import VectorFile
from runner.training.train import train

GROUPS = ["apple pear plum cherry", "red green blue yellow", "one two three four"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Words that stand next to words of their group alone, and what somebody says of them."""
    folder = tmp_path_factory.mktemp("text")
    draw = np.random.default_rng(0)
    lines = [" ".join(draw.permutation(GROUPS[number % 3].split())) for number in range(600)]
    (folder / "text.txt").write_text("".join(f"{line}\n" for line in lines))
    (folder / "mine.txt").write_text("apple pear 9\nred blue 8\none four 7\napple red 1\nblue two 2\npear three 1\n")
    return folder


def command(folder, model: str = "skipgram", *overrides: str):
    wanted = [f"data.path={folder}/text.txt", "data.sentence=line", "data.batch_size=8", "task.contexts.sample=null",
              "task.probes=[apple]", *(f"~task.tests.{name}" for name in PACKAGED), "optim.lr=0.1",
              f"+task.tests.mine={folder}/mine.txt", "trainer.max_epochs=4",
              "trainer.limit_train_batches=1.0"]  # fmt: skip
    cfg = composed((f"model={model}", *Catalog(folders()).tiny(model), *LIMITS, *wanted, *overrides))
    return copy.deepcopy(cfg)


@pytest.fixture(scope="module")
def run(folder, cache, tmp_path_factory):
    place = tmp_path_factory.mktemp("run")
    return train(command(folder), place), place


@pytest.mark.parametrize(("kind", "overrides"), [("skipgram", ["model.hierarchical=true"]), ("cbow", [])])
def test_words_of_a_group_come_together(folder, tmp_path, no_figures, kind, overrides):
    assert train(command(folder, kind, *overrides), tmp_path)["test/mine"] > 0.6


def test_a_tree_predicts_words_from_their_neighbours(folder, tmp_path, no_figures):
    """The loss is minus the logarithm of a probability; 12 words are equally frequent, at most three can follow."""
    found = train(command(folder, "cbow", "model.hierarchical=true", "trainer.max_epochs=8"), tmp_path)
    assert found["test/loss"] < (math.log(3) + math.log(12)) / 2


def test_a_run_is_asked_for_neighbours_and_analogies(run):
    metrics, place = run
    assert metrics["test/mine"] > 0.6 and metrics["test/loss"] < metrics["val/loss"] * 2
    task, data, _ = load_bundle(place / "model", {"nearest": 3})
    near, analogy = task.questions()["near"], task.questions()["analogy"]
    found = near("apple", data)
    assert {row["word"] for row in found} == {"pear", "plum", "cherry"}
    assert [row["cosine"] for row in found] == sorted((row["cosine"] for row in found), reverse=True)
    assert near("red green", data)[0]["word"] in ("blue", "yellow")
    numbers, vectors = task.known_words(data)
    a, b, c = (vectors[numbers[word]] for word in ("red", "one", "two"))
    scores = {word: (a - b + c) @ vectors[row] for word, row in numbers.items() if word not in ("red", "one", "two")}
    assert analogy("red one two", data)[0]["word"] == max(scores, key=scores.get)


@pytest.mark.parametrize(
    ("question", "text", "message"),
    [
        ("near", "aple", 'no such word. Did you mean "apple"'),
        ("near", "<end>", "no such word"),
        ("near", " ", "received none"),
        ("analogy", "red green", "three words, received 2"),
    ],
)
def test_questions_without_an_answer(run, question, text, message):
    task, data, _ = load_bundle(run[1] / "model", {})
    with pytest.raises(UserError) as caught:
        task.questions()[question](text, data)
    assert message in str(caught.value)


def test_what_a_run_leaves_behind(run):
    _, place = run
    assert (place / "figures" / "word_map.png").exists()
    assert (place / "samples.txt").read_text().count("apple: ") == 4
    task, data, _ = load_bundle(place / "model", {})
    tokens = data.inputs.vocabulary.tokens
    for name in ("vectors.txt", "vectors.bin"):
        found = VectorFile(str(place / "files" / name), dim=8).find(tokens)
        assert found.coverage == pytest.approx(12 / 13), "the end mark has no vector"
        assert np.array_equal(found.matrix[3:], task.net.word_vectors()[3 : len(tokens)].numpy())


def test_another_run_starts_with_its_vectors(run, tmp_path, no_figures):
    _, place = run
    wanted = ["vectors=file", f"vectors.run={place}", "vectors.dim=8", "model.embed_dim=8", "model.mode=static"]
    assert train(settings("textcnn", *wanted), tmp_path)["fit/vector_coverage"] > 0


@pytest.mark.parametrize(
    ("vectors", "received"), [({}, "neither"), ({"path": "a.txt", "run": "last"}, "a.txt and last")]
)
def test_vectors_come_from_a_file_or_a_run(vectors, received):
    with pytest.raises(UserError, match=f"vectors.path=FILE or vectors.run=ID, received {received}"):
        VectorFile(**vectors)


@pytest.mark.parametrize("hierarchical", ["false", "true"])
def test_a_killed_run_ends_with_the_same_vectors(folder, tmp_path, no_figures, hierarchical):
    cfg = command(folder, "skipgram", f"model.hierarchical={hierarchical}", "callbacks.checkpoint.every_n_steps=2")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(cfg, whole)
    assert stopped(cfg, killed, KillAt("on_train_batch_start", 15))
    resumed(cfg, killed)
    assert outcome(killed) == outcome(whole)


@pytest.mark.parametrize("method", ["tsne", "pca"])
def test_both_maps_are_drawn(run, method):
    from runner.figures.charts import MAPS

    task, data, _ = load_bundle(run[1] / "model", {})
    numbers, vectors = task.known_words(data)
    points = MAPS[method](vectors[list(numbers.values())])
    assert points.shape == (12, 2) and np.isfinite(points).all()


def test_the_loss_is_that_of_yes_or_no_questions():
    scores, answers = torch.tensor([0.3, -2.0, 1.0, 5.0]), torch.tensor([1.0, -2.5, 0.0, -1.0])
    wanted = -torch.sigmoid(scores[0]).log() - 2.5 * torch.sigmoid(-scores[1]).log() - torch.sigmoid(-scores[3]).log()
    torch.testing.assert_close(logistic_loss(scores, answers), wanted)


def test_a_step_minimises_the_sum_over_words_and_reports_the_mean():
    task, batch = tiny(compose_tiny(["model=skipgram"]))
    mean, words = task.step(batch)["loss"]
    assert words == 48
    torch.testing.assert_close(task.training_step(batch, 0), mean * 48)


def test_tests_that_cannot_be_had_are_missed_before_training(folder, tmp_path):
    cfg = command(folder, "skipgram", "+task.tests.other=nowhere.txt")
    with pytest.raises(UserError, match=r"nowhere\.txt"):
        train(cfg, tmp_path)
    assert not (tmp_path / "checkpoints").exists()


def test_an_optimizer_that_needs_whole_gradients_is_named(folder, tmp_path):
    with pytest.raises(UserError, match=r"optim=row_sgd, or model\.sparse=false"):
        train(command(folder, "skipgram", "optim=adam"), tmp_path)


def test_metrics_are_written(run):
    assert json.loads((run[1] / "metrics.json").read_text())["test/mine"] == run[0]["test/mine"]
