"""Every net that carries a state: windows one after another are one long text, and writing reads on from there."""

import pytest
import torch
from torch import nn

from runner.models.char_rnn import CharRNN
from runner.models.layers.carrying import CarryingLM
from runner.models.nnlm import NNLM
from runner.models.word_lm import WordLM

NETS = {
    "rnn": lambda: CharRNN(11, 4, 6, num_layers=2),
    "gru": lambda: CharRNN(11, None, 6, cell="gru"),
    "lstm": lambda: CharRNN(11, 4, 6, num_layers=2, cell="lstm", dropout=0.3),
    "nnlm": lambda: NNLM(11, n=4, embed_dim=5, hidden_dim=6),
    "nnlm of pairs": lambda: NNLM(11, n=2, embed_dim=5, hidden_dim=6, direct=False),
    "word_lm": lambda: WordLM(11, 5, 7),
    "word_lm, tied": lambda: WordLM(11, 5, 7, tied=True, locked=True, embedding_dropout=0.2, weight_dropout=0.5),
    "word_lm, sampled": lambda: WordLM(11, 5, 7, tied=True, softmax="sampled", samples=5),
    "word_lm, adaptive": lambda: WordLM(11, 5, 16, softmax="adaptive"),
}


@pytest.fixture(params=NETS)
def net(request: pytest.FixtureRequest) -> CarryingLM:
    torch.manual_seed(0)
    return NETS[request.param]().eval()


@torch.no_grad()
def test_windows_one_after_another_are_one_text(net: CarryingLM) -> None:
    tokens = torch.randint(1, 11, (3, 12))
    state, logits = None, []
    for window in tokens.split(5, dim=1):  # the last one is shorter
        features, state = net.read(window, state)
        logits.append(net.output(features))
        assert all(len(part) == 3 for part in state)
    torch.testing.assert_close(torch.cat(logits, dim=1), net(tokens))


@torch.no_grad()
def test_the_initial_state_is_that_of_a_text_that_begins(net: CarryingLM) -> None:
    tokens = torch.randint(1, 11, (2, 6))
    torch.testing.assert_close(net.read(tokens, net.initial(2))[0], net.read(tokens)[0])


@torch.no_grad()
def test_step_by_step_is_forward(net: CarryingLM) -> None:
    tokens = torch.randint(1, 11, (3, 8))
    state, logits = net.start(tokens[:, :1]), []
    for token in tokens.unbind(1):
        each, state = net.step(token, state)
        logits.append(each)
    torch.testing.assert_close(torch.stack(logits, dim=1), net(tokens))


@torch.no_grad()
def test_a_prompt_is_read_to_its_last_token(net: CarryingLM) -> None:
    tokens, lengths = torch.randint(1, 11, (4, 7)), torch.tensor([5, 1, 7, 5])
    prompts = torch.where(torch.arange(7) < lengths[:, None], tokens, 0)
    logits, _ = net.step(prompts[torch.arange(4), lengths - 1], net.start(prompts))
    torch.testing.assert_close(logits, net(prompts)[torch.arange(4), lengths - 1])


@torch.no_grad()
def test_the_output_sums_to_one(net: CarryingLM) -> None:
    logits = net(torch.randint(1, 11, (2, 4)))
    assert logits.shape == (2, 4, 11)
    if isinstance(net.output, nn.AdaptiveLogSoftmaxWithLoss):
        torch.testing.assert_close(logits.exp().sum(dim=2), torch.ones(2, 4))
