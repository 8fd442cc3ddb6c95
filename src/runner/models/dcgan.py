"""Deep convolutional GAN: the generator unfolds noise by transposed convolutions, the discriminator folds images.

Source: Radford, Metz and Chintala, 2016, arXiv:1511.06434, section 3; networks of the course book, chapter 14, section
4: 7x7x256, then 5x5 filters to 128, 64 and the image; two 4x4 convolutions of 64 filters judge it. Spectral norm:
Miyato et al. 2018, arXiv:1802.05957; packing: Lin et al. 2018, arXiv:1712.04086, section 2. Departure: pixels are in
0 .. 1, by a sigmoid instead of tanh.

Shape letters: B batch, Z latent (noise), M packing; an image has `image_shape` = (channels, height, width).
"""

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm as limited

from runner.models.ranges import check_size


class DCGAN(nn.Module):
    """`generator`: noise (B, Z) to images; `discriminator`: packs of M images, one after another in the channels, to
    the logit of being real, (B,).

    Args:
        image_shape: channels, height and width of an image with pixels in 0 .. 1; the sides are multiples of 4.
        latent_dim: numbers of noise behind an image.
        num_filters: maps of the generator at a quarter of the sides, again, and at half of them.
        discriminator_filters: filters of the two convolutions of the discriminator.
        batch_norm: whether the generator normalises over the batch.
        spectral_norm: whether no layer of the discriminator may stretch any direction.
        packing: images that the discriminator judges together.

    Raises:
        ValueError: a size below 1, or sides that are not multiples of 4.
    """

    def __init__(
        self,
        image_shape: list[int] | tuple[int, ...],
        latent_dim: int = 100,
        num_filters: list[int] | tuple[int, ...] = (256, 128, 64),
        discriminator_filters: list[int] | tuple[int, ...] = (64, 64),
        batch_norm: bool = True,
        spectral_norm: bool = False,
        packing: int = 1,
    ):
        super().__init__()
        check_size(latent_dim=latent_dim, packing=packing, image_shape=min(image_shape))
        channels, height, width = image_shape
        if height % 4 or width % 4:
            raise ValueError(f"the sides of an image must be multiples of 4, received {height} x {width}")
        if len(num_filters) != 3 or len(discriminator_filters) != 2:
            raise ValueError(
                f"num_filters are three and discriminator_filters two numbers, received {list(num_filters)} and "
                f"{list(discriminator_filters)}"
            )
        check_size(num_filters=min(num_filters), discriminator_filters=min(discriminator_filters))
        self.latent_dim, self.packing = latent_dim, packing
        first, second, third = num_filters
        corner = (first, height // 4, width // 4)

        def activation(maps: int) -> list[nn.Module]:
            return [*([nn.BatchNorm2d(maps)] if batch_norm else []), nn.LeakyReLU(0.3)]

        self.generator = nn.Sequential(
            nn.Linear(latent_dim, corner[0] * corner[1] * corner[2], bias=not batch_norm),
            nn.Unflatten(1, corner),
            *activation(first),
            nn.ConvTranspose2d(first, second, 5, padding=2, bias=not batch_norm),
            *activation(second),
            nn.ConvTranspose2d(second, third, 5, stride=2, padding=2, output_padding=1, bias=not batch_norm),
            *activation(third),
            nn.ConvTranspose2d(third, channels, 5, stride=2, padding=2, output_padding=1),
            nn.Sigmoid(),
        )
        one, two = discriminator_filters
        folds = [
            nn.Conv2d(channels * packing, one, 4, stride=2, padding=1),
            nn.Conv2d(one, two, 4, stride=2, padding=1),
        ]
        for fold in folds:
            nn.init.normal_(fold.weight, std=0.02)
        limit = limited if spectral_norm else nn.Identity()
        self.discriminator = nn.Sequential(
            limit(folds[0]),
            nn.LeakyReLU(0.2),
            limit(folds[1]),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            limit(nn.Linear(two * corner[1] * corner[2], 1)),
            nn.Flatten(0),
        )

    def forward(self, noise: Tensor) -> Tensor:
        """Noise (B, Z) to images (B, *image_shape), pixels in 0 .. 1."""
        return self.generator(noise)
