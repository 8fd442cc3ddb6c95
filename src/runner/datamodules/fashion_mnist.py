"""Fashion-MNIST: 70 000 grey images of clothes in the format and sizes of MNIST.

Source: Han Xiao, Kashif Rasul and Roland Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine
learning algorithms", 2017, arXiv:1708.07747. The archive is a Debian package; elsewhere give a folder with the IDX
files.
"""

from runner.datamodules.mnist import MNIST
from runner.files import sources

CLOTHES = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]


class FashionMNIST(MNIST):
    """Clothes of ten kinds, 28 x 28 grey values scaled to 0 .. 1, with their own test split."""

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
