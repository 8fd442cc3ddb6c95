"""Perplexity against a closed form, and writing."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from objectives import Given, evaluated
from torch import nn

from runner.datamodules.parts.batches import Loader
from runner.datamodules.parts.token_store import LaneSplit, WindowSplit, one_document
from runner.errors import UserError
from runner.models.char_rnn import CharRNN
from runner.tasks.causal_lm import CausalLM
from runner.tasks.decoding import Decoding
from runner.tasks.means import value_of
from runner.tasks.next_tokens import cross_entropy


def test_perplexity_and_bits_per_char():
    vocabulary, draw = 11, torch.Generator().manual_seed(0)
    logits, target = torch.randn(9, 6, vocabulary, generator=draw), torch.randint(0, vocabulary, (9, 6), generator=draw)
    target[2, 3:], target[8, 1:] = -100, -100  # batches in which unequally many tokens count
    task = CausalLM(Given(), context_len=6)
    task.connect(SimpleNamespace(token_unit="character"))
    found = evaluated(task, logits, target, batch_size=4)
    keep = target.flatten() != -100
    probability = logits.flatten(0, 1).softmax(1)[keep].gather(1, target.flatten()[keep, None])
    nats = -probability.double().log().mean().item()
    wanted = {"loss": nats, "perplexity": math.exp(nats), "bits_per_char": nats / math.log(2)}
    assert found == pytest.approx(wanted, rel=1e-5)


def test_words_have_no_bits_per_char():
    task = CausalLM(Given(), context_len=2)
    task.connect(SimpleNamespace(token_unit="word"))
    found = evaluated(task, torch.zeros(1, 2, 4), torch.ones(1, 2, dtype=torch.int64))
    assert found == pytest.approx({"loss": math.log(4), "perplexity": 4})


def test_a_hopeless_model_has_a_finite_perplexity():
    task = CausalLM(Given(), context_len=1)
    task.connect(SimpleNamespace(token_unit="word"))
    logits = torch.tensor([[[1e4, 0.0]]])
    assert math.isfinite(evaluated(task, logits, torch.ones(1, 1, dtype=torch.int64))["perplexity"])


def test_writing_follows_the_model():
    shown = []

    class Counts(nn.Module):
        """The next token is the one after the last, with certainty; notes how many tokens it is shown."""

        def forward(self, tokens):
            shown.append(tokens.shape[1])
            return 1e4 * F.one_hot(tokens % 6 + 1, 7).float()

    task = CausalLM(Counts(), context_len=3)
    written = task.write(torch.tensor([[2, 3], [5, 0]]), Decoding(max_len=5))
    assert written.tolist() == [[4, 5, 6, 1, 2], [6, 1, 2, 3, 4]], "padding behind a prompt does not count"
    assert max(shown) == 3, "no more than its context"


def test_the_temperature_flattens():
    class Fixed(nn.Module):
        def forward(self, tokens):
            return torch.tensor([0.0, 0.0, math.log(9.0)]).expand(1, tokens.shape[1], 3)

    def share(temperature: float) -> float:
        task = CausalLM(Fixed(), context_len=2, temperature=temperature)
        written = task.write(torch.tensor([[1]]), replace(task.how, max_len=3000))
        return (written == 2).float().mean().item()

    assert share(1.0) == pytest.approx(0.9, abs=0.02)
    assert share(2.0) == pytest.approx(0.75, abs=0.03)
    assert share(0.5) == pytest.approx(81 / 82, abs=0.01)
    with pytest.raises(UserError, match=r"task.temperature must be above 0, received 0"):
        share(0)


# Carrying the state.

TEXT = torch.randint(1, 11, (61,), generator=torch.Generator().manual_seed(0)).numpy()


def batches(view, batch_size=2):
    return list(Loader(view(one_document(TEXT), 5), batch_size))


def test_a_stream_is_read_as_one_text():
    task = CausalLM(CharRNN(11, 4, 6), context_len=5).eval()
    with torch.no_grad():
        carried = [value_of(task.step(batch)["loss"]).item() for batch in batches(LaneSplit, batch_size=1)]
        whole = cross_entropy(task.net(torch.from_numpy(TEXT[None, :-1])), torch.from_numpy(TEXT[None, 1:]))
        alone = [value_of(task.step(batch)["loss"]).item() for batch in batches(WindowSplit, batch_size=1)]
    assert sum(carried) / len(carried) == pytest.approx(whole.item(), rel=1e-5)
    assert alone[0] == carried[0] and all(one != other for one, other in zip(alone[1:], carried[1:], strict=True))


def test_evaluation_does_not_disturb_the_state_of_training_and_a_new_epoch_begins_with_zeros():
    task = CausalLM(CharRNN(11, 4, 6), context_len=5)
    some = batches(LaneSplit)

    def losses(between):
        found = []
        for batch in some:
            found.append(value_of(task.train().step(batch)["loss"]).item())
            between()
        return found

    def evaluate():
        for batch in batches(LaneSplit, batch_size=3):
            task.eval().step(batch)

    assert losses(lambda: None) == losses(evaluate) == losses(lambda: None)


def test_gradients_end_at_the_beginning_of_a_window():
    task = CausalLM(CharRNN(11, 4, 6), context_len=5)
    for batch in batches(LaneSplit):
        value_of(task.step(batch)["loss"]).backward()  # a second time through an earlier window would be an error
    state = task.training_state()["carried"]
    assert not any(part.requires_grad for part in state)
    other = CausalLM(CharRNN(11, 4, 6), context_len=5)
    other.net.load_state_dict(task.net.state_dict())
    other.load_training_state({"carried": state})
    last = batches(LaneSplit)[-1]
    assert torch.equal(value_of(other.step(last)["loss"]), value_of(task.step(last)["loss"]))
