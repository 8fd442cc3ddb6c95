"""Losses, scheduled sampling, and what is written."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from runner.datamodules.parts.pairs import IGNORE, Pairs
from runner.datamodules.reverse import Copy
from runner.errors import UserError
from runner.inference.export import samples
from runner.tasks.sequence_to_sequence import SequenceToSequence, evenly

VOCAB = 9


class Copies(nn.Module):
    """Writes the source: its state is the source and a place in it."""

    def forward(self, src, tgt_in):
        following = F.pad(src, (0, tgt_in.size(1)))[:, : tgt_in.size(1)]
        return 20.0 * F.one_hot(torch.where(following == 0, 3, following), VOCAB)  # 3 = the end mark

    def start(self, src):
        return src, torch.zeros(len(src), dtype=torch.int64)

    def step(self, token, state):
        src, place = state
        following = F.pad(src, (0, 20)).gather(1, place.unsqueeze(1)).squeeze(1)
        return 20.0 * F.one_hot(torch.where(following == 0, 3, following), VOCAB), (src, place + 1)


@pytest.fixture
def data(tmp_path, monkeypatch) -> Copy:
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    data = Copy(rows=100, letters=5, longest=6)
    data.setup()
    # one numbering for both sides, so that a source can be written as it stands
    data.inputs.parts["source"].vocabulary = data.inputs.parts["target"].vocabulary
    return data


@pytest.fixture
def task(data) -> SequenceToSequence:
    task = SequenceToSequence(Copies(), max_len=20)
    task.connect(data)
    return task


def test_answers_come_in_the_order_of_the_rows(task, data) -> None:
    rows = [{"source": text} for text in ("abc", "a", "bcabca", "cc") * 40]
    assert [answer["prediction"] for answer in task.answer(rows, data)] == [row["source"] for row in rows]


def test_scores_of_labelled_rows(task, data) -> None:
    task.start_scoring()
    rows = [{"source": "abc"}, {"source": "bb"}]
    task.score(rows, ["abc", "b"], data)
    found = task.scores()
    assert found["exact_match"] == 0.5
    assert found["perplexity"] == pytest.approx(math.exp(found["loss"]))
    with pytest.raises(UserError, match="columns source and target"):
        task.score(rows, None, data)


def test_long_and_short_sources_have_their_own_scores(task, data) -> None:
    rows = [{"source": "ab" * length, "target": "ab" * length if length < 3 else "dd"} for length in (1, 2, 3, 1, 2, 3)]
    task.texts.add([row["source"] for row in rows], [row["target"] for row in rows])
    axes, counts = task.compared_by_length(rows, data).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2", "4", "6"]
    assert [bar.get_height() for bar in counts.patches] == [2, 2, 2]
    short, middle, long = next(line for line in axes.get_lines() if line.get_label() == "chrf").get_ydata()
    assert short == middle == pytest.approx(100) and long == 0


def test_an_exported_encoder_takes_sources_as_long_as_the_data_keep(task, data) -> None:
    data.inputs.parts["target"].pipeline.max_len = 3  # however short the targets are
    assert [len(src[0]) for src, *_ in samples(task, data)][-1] == data.max_len == 50


def test_several_answers_have_their_scores(data) -> None:
    task = SequenceToSequence(Copies(), max_len=20, method="beam", beam_size=3, n_best=2)
    task.connect(data)
    (answer,) = task.answer([{"source": "ab"}], data)
    assert list(answer) == ["prediction", "score_1", "prediction_2", "score_2"] == list(task.answer_columns(data))
    assert answer["prediction"] == "ab"
    assert answer["score_1"] > answer["score_2"]


def batch() -> Pairs:
    return Pairs(
        torch.tensor([[4, 5, 6], [7, 0, 0]]),
        torch.tensor([[2, 4, 5, 6], [2, 7, 0, 0]]),
        torch.tensor([[4, 5, 6, 3], [7, 3, IGNORE, IGNORE]]),
    )


class Bag(nn.Module):
    """Logits from the token before alone."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(VOCAB, VOCAB)
        self.seen = []

    def forward(self, src, tgt_in):
        self.seen.append(tgt_in)
        return self.table(tgt_in)


def test_the_loss_is_a_mean_over_tokens_and_smooth_only_in_training() -> None:
    net, pairs = Bag(), batch()
    task = SequenceToSequence(net, max_len=5, label_smoothing=0.2)
    log_probs = net.table(pairs.tgt_in).log_softmax(dim=2)
    real = pairs.tgt_out != IGNORE
    plain = -log_probs.gather(2, pairs.tgt_out.clamp(min=0).unsqueeze(2)).squeeze(2)[real].mean()
    even = -log_probs.mean(dim=2)[real].mean()
    mean = task.train().step(pairs)["loss"]
    assert mean.weight == 6
    assert mean.value.item() == pytest.approx((0.8 * plain + 0.2 * even).item(), rel=1e-5)
    assert task.eval().step(pairs)["loss"].value.item() == pytest.approx(plain.item(), rel=1e-5)


class Epoch:
    def __init__(self, number: int):
        self.current_epoch, self.max_epochs = number, 5


@pytest.mark.parametrize(("epoch", "least", "most"), [(0, 0, 0), (2, 0.35, 0.65), (4, 1, 1)])
def test_scheduled_sampling_replaces_more_and_more_tokens(epoch, least, most, monkeypatch) -> None:
    net = Bag()
    with torch.no_grad():
        net.table.weight[:] = F.one_hot(torch.tensor(8), VOCAB)  # it always says 8
    task = SequenceToSequence(net, max_len=5, scheduled_sampling=1.0).train()
    monkeypatch.setattr(type(task), "trainer", Epoch(epoch))
    monkeypatch.setattr(type(task), "current_epoch", epoch)
    pairs = Pairs(*(part.repeat(100, 1) for part in batch()))
    mixed = task.with_own_tokens(pairs).tgt_in
    assert (mixed[:, 0] == 2).all()
    assert (mixed[pairs.tgt_in == 0] == 0).all()
    replaced = (mixed == 8)[:, 1:][pairs.tgt_in[:, 1:] != 0].float().mean().item()
    assert least <= replaced <= most
    assert task.eval().with_own_tokens(pairs).tgt_in is pairs.tgt_in


def test_some_validation_rows_are_from_all_over_the_split() -> None:
    rows = [{"source": str(number)} for number in range(10)]
    assert [row["source"] for row in evenly(rows, 3)] == ["0", "3", "6"]
    assert evenly(rows, None) == evenly(rows, 10) == evenly(rows, 99) == rows
