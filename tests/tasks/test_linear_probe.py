"""What a linear probe finds in codes, and the autoencoder of bags of words that they are compared with."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from runner.tasks.linear_probe import BagAutoencoder, bags, codes_of_bags, probe_accuracy


def test_the_probe_is_fitted_to_the_training_split_and_scored_on_the_test_split():
    draw = np.random.default_rng(0)
    labels = {"train": draw.integers(0, 2, 200), "test": draw.integers(0, 2, 100)}
    codes = {split: draw.normal(size=(len(y), 3)) + 0.7 * y[:, None] for split, y in labels.items()}
    mean, std = codes["train"].mean(axis=0), codes["train"].std(axis=0)
    scaled = {split: (values - mean) / std for split, values in codes.items()}
    expected = LogisticRegression(max_iter=2000).fit(scaled["train"], labels["train"])
    assert probe_accuracy(codes, labels) == expected.score(scaled["test"], labels["test"])
    assert probe_accuracy({split: values * 100 + 5 for split, values in codes.items()}, labels) == probe_accuracy(
        codes, labels
    )


def test_bags_count_words_and_no_padding():
    assert bags(torch.tensor([[2, 3, 2], [1, 0, 0]]), 4).tolist() == [[0, 0, 2, 1], [0, 1, 0, 0]]


def test_the_loss_of_a_bag_is_the_log_likelihood_of_its_words():
    torch.manual_seed(0)
    net, counts = BagAutoencoder(5, 2), torch.tensor([[0.0, 0, 2, 1, 0]])
    chances = net.decoder(net.encoder(torch.tensor([[0.0, 0, 1, 1, 0]])).tanh()).softmax(dim=1)[0]
    torch.testing.assert_close(net.loss(counts), -(2 * chances[2].log() + chances[3].log()))


def test_codes_of_bags_tell_two_vocabularies_apart_and_leave_the_random_numbers_alone():
    draw = torch.Generator().manual_seed(0)
    texts = {"train": [], "test": []}
    for found in texts.values():  # words 1 to 9, or 10 to 18
        found += [torch.randint(1, 10, (40, 6), generator=draw) + 9 * (torch.arange(40) % 2)[:, None] for _ in range(4)]
    labels = dict.fromkeys(texts, np.arange(160) % 2)
    torch.manual_seed(3)
    codes = codes_of_bags(texts, 20, 2, 30, torch.device("cpu"))
    after = torch.rand(1)
    assert codes["train"].shape == (160, 2) and probe_accuracy(codes, labels) > 0.95
    torch.manual_seed(3)
    assert torch.equal(torch.rand(1), after)
