"""The loss of tokens: a mean over those that count, with the losses of the net itself."""

import math

import pytest
import torch

from runner.datamodules.parts.batches import IGNORE
from runner.errors import UserError
from runner.tasks.next_tokens import cross_entropy, mean_over_tokens, perplexity

TARGET = torch.tensor([[1, 2], [0, IGNORE]])


def test_tokens_that_do_not_count_change_nothing() -> None:
    logits = torch.randn(2, 2, 4)
    log_probs = logits.log_softmax(dim=2)
    wanted = -(log_probs[0, 0, 1] + log_probs[0, 1, 2] + log_probs[1, 0, 0]) / 3
    assert cross_entropy(logits, TARGET).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_logits_of_another_shape_are_refused() -> None:
    with pytest.raises(UserError, match=r"logits of shape \(2, 2, 'V'\); received \(2, 3, 4\)"):
        cross_entropy(torch.randn(2, 3, 4), TARGET)


def test_a_loss_of_the_net_replaces_the_usual_one_and_others_are_added() -> None:
    usual = mean_over_tokens({}, TARGET, lambda: torch.tensor(2.0))
    assert usual == {"loss": (torch.tensor(2.0), torch.tensor(3))}
    own = mean_over_tokens({"loss": torch.tensor(1.0), "penalty": torch.tensor(0.5)}, TARGET, lambda: 1 / 0)
    assert own["loss"].value == 1.5 and own["penalty"] == 0.5


def test_perplexity_of_equally_likely_tokens_is_their_number() -> None:
    assert perplexity(math.log(7)) == pytest.approx(7)
    assert perplexity(1e6) < math.inf
