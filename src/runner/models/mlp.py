"""Multi-layer perceptron: dense layers with an activation between them.

Source: Rumelhart, Hinton and Williams, Learning representations by back-propagating errors, Nature 323, 1986,
doi:10.1038/323533a0. Initialisation schemes: Glorot and Bengio 2010 (glorot), He et al. 2015,
arXiv:1502.01852 (he), LeCun et al. 1998, Efficient BackProp (lecun), Saxe et al. 2014, arXiv:1312.6120
(orthogonal). Departures: batch normalisation and dropout are younger (Ioffe and Szegedy 2015; Srivastava et
al. 2014) and off unless asked for.

Shape letters: B batch, F features, H hidden units, K outputs.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import Tensor, nn

from runner.models.layers.batch_norm import BatchNorm
from runner.models.ranges import check_choice, check_share, check_size

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}
INITIALISERS: dict[str, Callable[[Tensor], Tensor]] = {
    "glorot_uniform": nn.init.xavier_uniform_,
    "glorot_normal": nn.init.xavier_normal_,
    "he_uniform": partial(nn.init.kaiming_uniform_, nonlinearity="relu"),
    "he_normal": partial(nn.init.kaiming_normal_, nonlinearity="relu"),
    "lecun_uniform": partial(nn.init.kaiming_uniform_, nonlinearity="linear"),
    "lecun_normal": partial(nn.init.kaiming_normal_, nonlinearity="linear"),
    "orthogonal": nn.init.orthogonal_,
}


class MLP(nn.Module):
    """Hidden layers of dense, batch norm, activation, dropout; then a dense output layer.

    Args:
        in_features: numbers that describe one example; an image counts all its pixels.
        num_outputs: numbers returned for each example: classes or targets.
        hidden_dims: units of each hidden layer, first to last; none makes the net linear.
        activation: function between the layers.
        init: how the weights are drawn, with biases of zero; "default" keeps torch's own scheme for both.
        dropout: share of the hidden units dropped in training, in [0, 1).
        batch_norm: whether hidden units are normalised over the batch.

    Raises:
        ValueError: a size below 1, a dropout outside [0, 1), or an unknown activation or scheme.
    """

    def __init__(
        self,
        in_features: int,
        num_outputs: int,
        hidden_dims: list[int] | tuple[int, ...] = (64, 64),
        activation: Literal["relu", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "sigmoid"] = "relu",
        init: Literal[
            "default",
            "glorot_uniform",
            "glorot_normal",
            "he_uniform",
            "he_normal",
            "lecun_uniform",
            "lecun_normal",
            "orthogonal",
        ] = "default",
        dropout: float = 0.0,
        batch_norm: bool = False,
    ):
        super().__init__()
        check_size(in_features=in_features, num_outputs=num_outputs)
        for width in hidden_dims:
            check_size(hidden_dims=width)
        check_choice(ACTIVATIONS, activation=activation)
        check_choice(["default", *INITIALISERS], init=init)
        check_share(dropout=dropout)
        layers: list[nn.Module] = []
        for width in hidden_dims:
            layers.append(nn.Linear(in_features, width, bias=not batch_norm))  # batch norm has its own bias
            if batch_norm:
                layers.append(BatchNorm(width))
            layers.append(ACTIVATIONS[activation]())
            if dropout > 0:
                layers.append(nn.Dropout(dropout))
            in_features = width
        self.layers = nn.Sequential(*layers, nn.Linear(in_features, num_outputs))
        if init != "default":
            for layer in self.layers:
                if isinstance(layer, nn.Linear):
                    INITIALISERS[init](layer.weight)
                    if layer.bias is not None:
                        nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Numbers (B, F), or (B, ...) with F numbers an example, to (B, K)."""
        return self.layers(x.flatten(1))

    def first_layer_filters(self) -> Tensor:
        """What each unit of the first layer looks for: (H, F)."""
        return self.layers.get_parameter("0.weight")
