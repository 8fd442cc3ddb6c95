"""Fashion-MNIST: 70 000 grey images of clothes in the format and sizes of MNIST.

Source: Han Xiao, Kashif Rasul and Roland Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine
learning algorithms", 2017, arXiv:1708.07747. The archive is a Debian package; elsewhere give a folder with the IDX
files.
"""

from runner.datamodules.mnist import MNIST
from runner.files import sources

CLOTHES = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]


class FashionMNIST(MNIST):
    """Clothes of ten kinds, 28 x 28 grey values scaled to 0 .. 1, with their own test split.

    Args:
        in_features: declared number of pixels, 784.
        image_shape: declared channels, height and width: 1, 28, 28.
        num_classes: declared number of classes, 10.
        path: folder with the four IDX files, as they are or with .gz; None = the archive.
        batch_size: images of a training batch.
        eval_batch_size: images of a validation or test batch; None = at least 256.
        split_seed: of the choice of validation images.
        fold: which of `folds` parts of the training images is passed over in choosing; the next one is for
            validation.
        folds: number of equal parts; 12 gives 5 000 validation images.
    """

    archive = sources.Archive(
        kind="apt",
        name="dataset-fashion-mnist",
        version="0.0~git20200523.55506a9-1",
        filename="dataset-fashion-mnist_0.0~git20200523.55506a9-1_all.deb",
        sha256="39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
    )
    members = "./usr/share/datasets/fashion-mnist"
    packed = ".gz"
    names = CLOTHES
