"""What the constructors of nets refuse."""

import pytest

from runner.models.char_rnn import CharRNN
from runner.models.gan import GAN
from runner.models.linear_regression import LinearRegression
from runner.models.mlp import MLP
from runner.models.softmax_regression import SoftmaxRegression
from runner.models.textcnn import TextCNN
from runner.models.textcnn1d import TextCNN1d
from runner.models.tfidf_linear import TfidfLinear
from runner.models.vae import VAE


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: TextCNN(10, 2, dropout=1.5), r"dropout must be in \[0, 1\), received 1.5"),
        (lambda: TextCNN(10, 2, dropout=-0.1), r"dropout must be in \[0, 1\), received -0.1"),
        (lambda: TextCNN(0, 2), "vocab_size must be at least 1, received 0"),
        (
            lambda: TextCNN(10, 2, kernel_sizes=[]),
            r"kernel_sizes must be widths of at least 1, received \[\]",
        ),
        (lambda: TextCNN(10, 2, kernel_sizes=[3, 0]), r"kernel_sizes must be .* received \[3, 0\]"),
        (lambda: TextCNN1d(10, 2, kernel_size=0), "kernel_size must be at least 1, received 0"),
        (lambda: TextCNN1d(10, 2, dropout=1), r"dropout must be in \[0, 1\), received 1"),
        (lambda: MLP(4, 2, hidden_dims=[8, 0]), "hidden_dims must be at least 1, received 0"),
        (
            lambda: MLP(4, 2, activation="swish"),
            "activation must be one of relu, leaky_relu, .* received 'swish'",
        ),
        (
            lambda: MLP(4, 2, init="xavier"),
            "init must be one of default, glorot_uniform, .* received 'xavier'",
        ),
        (lambda: MLP(4, 2, dropout=1.0), r"dropout must be in \[0, 1\), received 1.0"),
        (lambda: SoftmaxRegression(0, 2), "in_features must be at least 1, received 0"),
        (lambda: VAE([1, 4, 4], latent_dim=0), "latent_dim must be at least 1, received 0"),
        (lambda: VAE([1, 0, 4]), "image_shape must be at least 1, received 0"),
        (lambda: GAN([1, 4, 4], dropout=2), r"dropout must be in \[0, 1\), received 2"),
        (lambda: CharRNN(10, cell="lstmm"), "cell must be one of rnn, gru, lstm, received 'lstmm'"),
        (lambda: CharRNN(10, num_layers=0), "num_layers must be at least 1, received 0"),
        (lambda: TfidfLinear(2, 10, max_ngram=0), "max_ngram must be at least 1, received 0"),
        (lambda: TfidfLinear(2, 10, c=0), "c must be above 0, received 0"),
        (lambda: LinearRegression(0, 1), "in_features must be at least 1, received 0"),
        (
            lambda: LinearRegression(3, 1).fit([[1.0, 2.0]], [1.0]),
            "made for 3 features and 1 targets, received 2 and 1",
        ),
    ],
)
def test_values_out_of_range(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
