"""Sentences written again from their codes, against a discriminator of the codes."""

import pytest
import torch
import torch.nn.functional as F
from small_runs import settings

from runner.build import build_data, build_task
from runner.contracts.tiny import compose_tiny, tiny, tiny_data
from runner.errors import UserError
from runner.tasks.text_prior_matching import what_follows


@pytest.fixture
def asked():
    """A tiny objective and its data, in evaluation mode."""
    cfg = compose_tiny(["model=text_aae", "task.weight=0.5"])
    (task, batch), data = tiny(cfg), tiny_data(cfg)
    task.connect(data)
    return task.eval(), batch, data


def test_what_follows_each_place():
    followers = what_follows(torch.tensor([[5, 6, 7], [8, 0, 0]]))
    assert followers.tolist() == [[5, 6, 7, 0], [8, 0, -100, -100]]


def test_what_the_autoencoder_minimises(asked):
    task, batch, _ = asked
    found = task.step(batch)
    logits, codes = task.net(*task.inputs(batch))
    words = batch[0] != 0
    said = logits.log_softmax(dim=2)[:, :-1].gather(2, batch[0].unsqueeze(2)).squeeze(2)[words].sum()
    ends = logits.log_softmax(dim=2)[torch.arange(len(words)), words.sum(dim=1), 0].sum()
    tokens = words.sum() + len(words)
    torch.testing.assert_close(found["reconstruction"].value, -(said + ends) / tokens)
    assert found["reconstruction"].weight == tokens
    game = F.softplus(-task.net.discriminator(codes)).mean()
    of_code = task.net.words(codes).log_softmax(dim=1).unsqueeze(1).expand(-1, 12, -1)  # (B, T, V)
    bag = -of_code.gather(2, batch[0].unsqueeze(2)).squeeze(2)[words].mean()
    torch.testing.assert_close(found["bag"].value, bag)
    torch.testing.assert_close(found["autoencoder_loss"], found["reconstruction"].value + bag + 0.5 * game)


def test_words_are_left_out_and_hidden_in_training_alone(asked, monkeypatch):
    task, batch, _ = asked
    given = []
    monkeypatch.setattr(
        task.net, "forward", lambda *inputs: given.append(inputs) or (torch.zeros(6, 13, 20), torch.zeros(6, 4))
    )
    task.eval().reconstruction(batch)
    task.train().reconstruction(batch)
    assert all(torch.equal(one, other) for one, other in zip(given[0], task.inputs(batch), strict=True))
    read, written = given[1]
    assert 0 < (read != 0).sum() < (batch[0] != 0).sum() and (read != 0).any(dim=1).all()
    assert torch.equal(written == 0, given[0][1] == 0) and (written != given[0][1]).any()
    assert (written[written != given[0][1]] == 1).all()  # unknown


def test_questions(asked):
    """Samples are the same every time, and a way between two sentences ends with what is written of both."""
    task, _, data = asked
    first = task.questions()["sample"]("4", data)
    assert len(first) == 4 and task.sample("4", data) == first
    task.sample_seed = 1
    assert task.sample("4", data) != first
    way = task.interpolate("a b c | d e", data)
    ends = task.answer([{"text": "a b c"}, {"text": "d e"}], data)
    assert [way[0]["text"], way[-1]["text"]] == [end["reconstruction"] for end in ends]
    assert len(way) == 10 and way[0]["share"] == 0 and way[-1]["share"] == 1
    assert task.shown(ends[0]) == [f"reconstruction: {ends[0]['reconstruction']}"]
    with pytest.raises(UserError, match="received an empty text"):
        task.near("  ", data)


def test_a_tiny_training_is_probed_and_finds_near_sentences(tmp_path, no_figures):
    from runner.inference.bundle import load_bundle
    from runner.training.train import train

    cfg = settings("text_aae", "data.vocab_size=300", "task.bag_epochs=1")
    found = train(cfg, tmp_path)
    names = {"test/mmd", "test/knn_accuracy", "test/reconstruction", "val/discriminator_loss"}
    assert names | {"test/probe_accuracy", "test/naive_probe_accuracy"} <= set(found)
    assert "written" in (tmp_path / "samples.txt").read_text() and "probe_accuracy" not in build_task(cfg).state_dict()
    task, data, _ = load_bundle(tmp_path / "model", {"nearest": 3})
    read = build_data(cfg)
    read.setup()
    (row,) = read.raw("train", 1)
    nearest = task.questions()["near"](row["text"], data)
    assert (
        len(nearest) == 3 and nearest[0]["cosine"] == pytest.approx(1) and row in [{"text": n["text"]} for n in nearest]
    )
