"""WordLM beside torch's LSTM; its dropouts; tied weights."""

import pytest
import torch
from torch import nn

from runner.models.word_lm import WordLM

TOKENS = torch.randint(1, 30, (4, 9), generator=torch.Generator().manual_seed(0))


def test_it_is_torchs_lstm() -> None:
    net = WordLM(30, 6, 8).eval()
    theirs = nn.LSTM(6, 8, num_layers=2, batch_first=True)
    theirs.load_state_dict(
        {
            f"{name[:-1]}{number}": value
            for number, layer in enumerate(net.layers)
            for name, value in layer.state_dict().items()
        }
    )
    hidden, _ = theirs(net.embedding(TOKENS))
    torch.testing.assert_close(net(TOKENS), net.output(hidden))


def test_tied_weights_are_one_matrix() -> None:
    net = WordLM(30, 6, 8, tied=True)
    assert net.output.weight is net.embedding.weight and net(TOKENS).shape == (4, 9, 30)
    with pytest.raises(ValueError, match="no matrix of all words to be tied"):
        WordLM(30, 6, 16, tied=True, softmax="adaptive")


def test_whole_words_are_dropped() -> None:
    torch.manual_seed(0)
    net = WordLM(30, 6, 8, embedding_dropout=0.4)
    tokens = torch.arange(1, 30).repeat(2, 1)
    words = net.words(tokens)
    gone = (words == 0).all(dim=2)
    assert torch.equal(gone[0], gone[1]) and 0.1 < gone.float().mean() < 0.7
    torch.testing.assert_close(words[~gone], net.embedding(tokens)[~gone] / 0.6)
    torch.testing.assert_close(net.eval().words(tokens), net.embedding(tokens))


def test_locked_dropout_is_the_same_at_every_step() -> None:
    torch.manual_seed(0)
    ones = torch.ones(3, 7, 50)
    locked, free = (WordLM(30, 6, 8, dropout=0.5, locked=locked).dropped(ones) for locked in (True, False))
    assert (locked == locked[:, :1]).all() and not (locked[0] == locked[1]).all()
    assert not (free == free[:, :1]).all()
    assert locked.mean().item() == pytest.approx(1, abs=0.3)


def test_recurrent_weights_are_dropped_in_training_only() -> None:
    torch.manual_seed(0)
    net = WordLM(30, 6, 8, dropout=0.0, weight_dropout=0.5)
    assert not torch.equal(net(TOKENS), net(TOKENS)) and torch.equal(net(TOKENS)[:, 0], net(TOKENS)[:, 0])
    net.eval()
    assert torch.equal(net(TOKENS), net(TOKENS))


@pytest.mark.parametrize("softmax", ["sampled", "adaptive"])
def test_the_loss_of_a_large_vocabulary_is_the_layers_own(softmax: str) -> None:
    net = WordLM(30, 6, 16, softmax=softmax)
    features, _ = net.read(TOKENS)
    assert set(net.losses_of(features, TOKENS)) == {"loss"}
    assert WordLM(30, 6, 8).losses_of(features, TOKENS) == {}
