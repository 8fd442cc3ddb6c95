"""CBOW against its equations, word by word, in NumPy."""

import numpy as np
import pytest
import torch
from word_pairs import contexts, path_of, sigmoid, trained_tables

from runner.models.cbow import CBOW
from runner.tasks.word_vectors import logistic_loss


def words_with_neighbours(batch):
    """Yield the row, each word in the middle that has neighbours, and these."""
    for row, places in enumerate(batch.neighbours):
        for place, near in enumerate(places):
            if near.any():
                yield row, int(batch.words[row, place + 2]), batch.words[row][near].tolist()


def test_negative_sampling_is_the_equation_for_every_word():
    net, batch = trained_tables(CBOW, negatives=3.0), contexts()
    loss = logistic_loss(*net(*batch))
    loss.backward()
    words, outputs = (table.weight.detach().numpy() for table in (net.words, net.outputs))
    total, of_words, of_outputs = 0.0, np.zeros_like(words), np.zeros_like(outputs)
    share = 3.0 / batch.negatives.size(1)
    for row, centre, near in words_with_neighbours(batch):
        mean = words[near].mean(axis=0)
        for word, right, weight in [(centre, 1, 1.0), *((word, 0, share) for word in batch.negatives[row].tolist())]:
            score = mean @ outputs[word]
            total -= weight * np.log(sigmoid(score if right else -score))
            slope = weight * (sigmoid(score) - right)
            np.add.at(of_words, near, slope * outputs[word])  # the whole gradient, as in the authors' program
            of_outputs[word] += slope * mean
    assert loss.item() == pytest.approx(total, rel=1e-9)
    np.testing.assert_allclose(net.words.weight.grad.to_dense(), of_words, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(net.outputs.weight.grad.to_dense(), of_outputs, rtol=1e-9, atol=1e-12)


def test_hierarchical_softmax_is_the_equation_for_every_word():
    net, batch = trained_tables(CBOW, hierarchical=True), contexts()
    words, outputs = (table.weight.detach().numpy() for table in (net.words, net.outputs))
    total = 0.0
    for _, centre, near in words_with_neighbours(batch):
        mean = words[near].mean(axis=0)
        total -= sum(np.log(sigmoid(sign * outputs[node] @ mean)) for node, sign in path_of(net, centre))
    assert logistic_loss(*net(*batch)).item() == pytest.approx(total, rel=1e-9)


def test_a_word_without_neighbours_does_not_count():
    net, batch = trained_tables(CBOW), contexts()
    alone = batch._replace(neighbours=torch.zeros_like(batch.neighbours))
    assert logistic_loss(*net(*alone)).item() == 0
