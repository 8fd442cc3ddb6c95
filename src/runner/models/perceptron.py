"""Perceptron: one layer of units, each a weighted sum of its inputs.

Source: Rosenblatt, The Perceptron: a probabilistic model for information storage and organization in the brain,
Psychological Review 65, 1958, doi:10.1037/h0042519. Departure: the step function belongs to the decision (the largest
output wins), not to the net, so that it can be trained by gradient descent; Widrow and Hoff, Adaptive switching
circuits, 1960, train it the same way.

Shape letters: B batch, F features, K outputs.
"""

from torch import Tensor, nn

from runner.models.ranges import check_size

LISTED = 16  # inputs up to which the fitted weights are worth listing one by one


class Perceptron(nn.Module):
    """Weighted sums of the inputs.

    Args:
        in_features: numbers that describe one example; an image counts all its pixels.
        num_outputs: numbers returned for each example: classes or targets.
        bias: whether each unit has a bias.
        start: initial value of all weights; None = torch's random scheme.

    Raises:
        ValueError: a size below 1.
    """

    def __init__(self, in_features: int, num_outputs: int, bias: bool = True, start: float | None = None):
        super().__init__()
        check_size(in_features=in_features, num_outputs=num_outputs)
        self.output = nn.Linear(in_features, num_outputs, bias=bias)
        if start is not None:
            nn.init.constant_(self.output.weight, start)
            if bias:
                nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Numbers (B, F), or (B, ...) with F numbers an example, to (B, K)."""
        return self.output(x.flatten(1))

    def fitted(self) -> dict[str, float]:
        """The weights w0, w1 ... and the bias b of a single unit with few inputs, for which a list is readable."""
        outputs, inputs = self.output.weight.shape
        if outputs > 1 or inputs > LISTED:
            return {}
        weights = {f"w{number}": value for number, value in enumerate(self.output.weight[0].tolist())}
        return weights if self.output.bias is None else weights | {"b": self.output.bias.item()}
