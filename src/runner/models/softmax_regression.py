"""Softmax regression: one dense layer, whose outputs are the logits of the classes.

Source: multinomial logistic regression, as in Bishop, Pattern Recognition and Machine Learning, 2006, section
4.3.4. The softmax itself is part of the cross-entropy.

Shape letters: B batch, F features, K classes.
"""

from torch import Tensor, nn

from runner.models.ranges import check_size


class SoftmaxRegression(nn.Module):
    """Logits that are linear in the features.

    Args:
        in_features: numbers that describe one example; an image counts all its pixels.
        num_classes: classes to choose from.

    Raises:
        ValueError: a size below 1.
    """

    def __init__(self, in_features: int, num_classes: int):
        super().__init__()
        check_size(in_features=in_features, num_classes=num_classes)
        self.output = nn.Linear(in_features, num_classes)
        nn.init.zeros_(self.output.weight)  # the loss is convex: zero is the usual place to start
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Numbers (B, F), or (B, ...) with F numbers an example, to logits (B, K)."""
        return self.output(x.flatten(1))

    def first_layer_filters(self) -> Tensor:
        """What speaks for each class: (K, F)."""
        return self.output.weight
