"""Convolutional network for images: convolutions and pooling in turn, then dense layers.

Source: LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition, Proceedings of the
IEEE 86, 1998, doi:10.1109/5.726791; sizes of the course book, chapter 5, section 5. Departures from LeNet-5: ReLU,
maximum instead of trained averages in pooling, dropout (Srivastava et al. 2014) before the output. Batch normalisation
(Ioffe and Szegedy 2015, arXiv:1502.03167) is off unless asked for.

Shape letters: B batch, C channels, H height, W width, N filters, K outputs.
"""

import torch
from torch import Tensor, nn

from runner.models.ranges import check_share, check_size


class CNN(nn.Module):
    """Logits of an image from two or more rounds of convolution, ReLU and pooling.

    Args:
        image_shape: channels, height and width of an image.
        num_outputs: numbers returned for each image: classes or targets.
        num_filters: filters of each convolution, first to last; each is followed by a pooling that halves the sides.
        kernel_size: side of a filter, in pixels, odd; the borders are padded, so the sides stay the same.
        hidden_dim: units of the dense layer.
        dropout: share of the dense layer's units dropped in training, in [0, 1).
        batch_norm: whether the outputs of the convolutions are normalised over the batch.

    Raises:
        ValueError: a size below 1, an even kernel_size, more poolings than the sides can be halved, or a dropout
            outside [0, 1).
    """

    def __init__(
        self,
        image_shape: list[int] | tuple[int, ...],
        num_outputs: int,
        num_filters: list[int] | tuple[int, ...] = (32, 64),
        kernel_size: int = 5,
        hidden_dim: int = 1024,
        dropout: float = 0.5,
        batch_norm: bool = False,
    ):
        super().__init__()
        check_size(image_shape=min(image_shape), num_outputs=num_outputs, kernel_size=kernel_size)
        check_size(num_filters=min(num_filters, default=0), hidden_dim=hidden_dim)
        check_share(dropout=dropout)
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, received {kernel_size}")
        channels, height, width = image_shape
        halvings = len(num_filters)
        if min(height, width) >> halvings < 1:
            raise ValueError(f"num_filters has {halvings} rounds of pooling, too many for images of {height} x {width}")
        layers: list[nn.Module] = []
        for filters in num_filters:
            layers.append(nn.Conv2d(channels, filters, kernel_size, padding="same", bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm2d(filters))
            layers += [nn.ReLU(), nn.MaxPool2d(2)]
            channels = filters
        self.features = nn.Sequential(*layers)
        pixels = channels * (height >> halvings) * (width >> halvings)
        self.dense = nn.Linear(pixels, hidden_dim)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden_dim, num_outputs)
        for layer in (self.dense, *self.features):
            if isinstance(layer, nn.Linear | nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to logits (B, K)."""
        maps = self.features(images)  # (B, N, H / 2^rounds, W / 2^rounds)
        hidden = torch.relu(self.dense(maps.flatten(1)))
        return self.output(self.dropout(hidden))

    def first_layer_filters(self) -> Tensor:
        """What the first convolution looks for: (N, C, side, side)."""
        return self.features.get_parameter("0.weight")
