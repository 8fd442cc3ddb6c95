"""Output layers: the adaptive loss is that of its log-probabilities; the sampled one goes to the full one."""

import pytest
import torch
import torch.nn.functional as F

from runner.models.layers.softmax import AdaptiveSoftmax, SampledSoftmax, Softmax

FEATURES = torch.randn(3, 40, 32, generator=torch.Generator().manual_seed(0))
TARGET = torch.randint(0, 50, (3, 40), generator=torch.Generator().manual_seed(1))
TARGET[1, 30:] = -100


def full(output: Softmax | AdaptiveSoftmax) -> torch.Tensor:
    return F.cross_entropy(output(FEATURES).flatten(0, 1), TARGET.flatten(), ignore_index=-100)


def test_the_adaptive_loss_is_that_of_its_probabilities() -> None:
    output = AdaptiveSoftmax(32, 50, [5, 20])
    torch.testing.assert_close(output.loss(FEATURES, TARGET), full(output))
    torch.testing.assert_close(output(FEATURES).exp().sum(dim=2), torch.ones(3, 40))


def test_the_sampled_loss_goes_to_the_full_one() -> None:
    torch.manual_seed(0)
    output = SampledSoftmax(32, 50, samples=20_000)
    loss = output.loss(FEATURES, TARGET)
    assert loss is not None
    torch.testing.assert_close(loss, full(output), atol=0.02, rtol=0)
    few = SampledSoftmax(32, 50, samples=5)
    few.load_state_dict(output.state_dict())
    losses = torch.stack([few.loss(FEATURES, TARGET) for _ in range(50)])
    assert losses.std() > 0.001, "each batch draws other words"
    gradients = []
    for loss in (output.loss(FEATURES, TARGET), full(output)):
        output.zero_grad()
        loss.backward()
        gradients.append(output.weight.grad.clone())
    torch.testing.assert_close(*gradients, atol=0.003, rtol=0)
    assert gradients[1].abs().max() > 0.02
    assert output.eval().loss(FEATURES, TARGET) is None, "what is measured is the full softmax"


def test_words_are_drawn_as_often_as_expected() -> None:
    torch.manual_seed(0)
    output = SampledSoftmax(4, 50, samples=200_000)
    found = output.drawn().bincount(minlength=50)
    expected = output.expected(torch.arange(50)).exp()
    assert expected.sum().item() == pytest.approx(200_000, rel=1e-4)
    torch.testing.assert_close(found.float(), expected, rtol=0.1, atol=0)


@pytest.mark.parametrize("cutoffs", [[], [20, 5], [5, 5], [0, 5], [5, 50]])
def test_cutoffs_rise_below_the_vocabulary(cutoffs: list[int]) -> None:
    with pytest.raises(ValueError, match="cutoffs have to rise and to be below vocab_size=50"):
        AdaptiveSoftmax(32, 50, cutoffs)


def test_few_features_have_no_rare_classes() -> None:
    with pytest.raises(ValueError, match="2 classes need at least 16 features, received 15"):
        AdaptiveSoftmax(15, 50, [5, 20])
