"""CharRNN: its recurrence, its start and its steps."""

import numpy as np
import pytest
import torch
from values import numbers, sentences

from runner.models.char_rnn import CharRNN


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_char_rnn_step_by_step_is_forward(cell: str) -> None:
    net = CharRNN(vocab_size=11, embed_dim=4, hidden_dim=6, num_layers=2, cell=cell, dropout=0.3).eval()
    tokens = torch.randint(1, 11, (3, 8))
    wanted, logits = net(tokens), []
    state = net.start(tokens[:, :1])
    for token in tokens.unbind(1):
        each, state = net.step(token, state)
        logits.append(each)
        assert all(part.shape == (3, 2, 6) for part in state)
    torch.testing.assert_close(torch.stack(logits, dim=1), wanted)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_char_rnn_starts_where_forward_has_read_the_prompt(cell: str) -> None:
    net = CharRNN(vocab_size=11, embed_dim=4, hidden_dim=6, num_layers=2, cell=cell).eval()
    lengths = torch.tensor([5, 1, 7, 2])
    prompts = sentences(lengths.tolist(), 11)
    last = prompts[torch.arange(4), lengths - 1]
    logits, _ = net.step(last, net.start(prompts))
    torch.testing.assert_close(logits, net(prompts)[torch.arange(4), lengths - 1])
    alone, _ = net.step(last[3:], net.start(prompts[3:, :2]))
    torch.testing.assert_close(alone, logits[3:])


def test_char_rnn_is_elmans_recurrence() -> None:
    net = CharRNN(vocab_size=11, embed_dim=4, hidden_dim=6)
    tokens = torch.randint(1, 11, (1, 5))
    weights = {name: numbers(each) for name, each in net.recurrent.named_parameters()}
    hidden = np.zeros(6)
    for place, x in enumerate(numbers(net.embedding.weight)[tokens[0].numpy()]):
        from_input = weights["weight_ih_l0"] @ x + weights["bias_ih_l0"]
        hidden = np.tanh(from_input + weights["weight_hh_l0"] @ hidden + weights["bias_hh_l0"])
        expected = numbers(net.output.weight) @ hidden + numbers(net.output.bias)
        np.testing.assert_allclose(numbers(net(tokens))[0, place], expected, atol=1e-6)


def test_char_rnn_reads_one_hot_characters() -> None:
    net = CharRNN(vocab_size=11, embed_dim=None, hidden_dim=6)
    tokens = torch.randint(1, 11, (2, 5))
    hidden, _ = net.recurrent(torch.nn.functional.one_hot(tokens, 11).float())
    torch.testing.assert_close(net(tokens), net.output(hidden))
    assert not net.embedding.weight.requires_grad and not net.embedding.weight[0].any()
