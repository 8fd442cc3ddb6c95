"""Skip-gram against its equations, pair by pair, in NumPy."""

import numpy as np
import pytest
from word_pairs import contexts, path_of, sigmoid, trained_tables

from runner.models.skipgram import SkipGram
from runner.tasks.word_vectors import logistic_loss


def test_negative_sampling_is_the_equation_for_every_pair():
    """Equation 4; each of the K negatives of a row stands for negatives / K of a pair."""
    net, batch = trained_tables(SkipGram, negatives=3.0), contexts()
    loss = logistic_loss(*net(*batch))
    loss.backward()
    words, outputs = (table.weight.detach().numpy() for table in (net.words, net.outputs))
    total, of_words, of_outputs = 0.0, np.zeros_like(words), np.zeros_like(outputs)
    share = 3.0 / batch.negatives.size(1)
    for row, place, other in batch.neighbours.nonzero().tolist():
        centre = int(batch.words[row, place + 2])
        asked = [(int(batch.words[row, other]), 1, 1.0)] + [(word, 0, share) for word in batch.negatives[row].tolist()]
        for word, right, weight in asked:
            score = words[centre] @ outputs[word]
            total -= weight * np.log(sigmoid(score if right else -score))
            slope = weight * (sigmoid(score) - right)
            of_words[centre] += slope * outputs[word]
            of_outputs[word] += slope * words[centre]
    assert loss.item() == pytest.approx(total, rel=1e-9)
    np.testing.assert_allclose(net.words.weight.grad.to_dense(), of_words, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(net.outputs.weight.grad.to_dense(), of_outputs, rtol=1e-9, atol=1e-12)


def test_hierarchical_softmax_is_the_equation_for_every_pair():
    """Equation 3: each neighbour predicts the word in the middle."""
    net, batch = trained_tables(SkipGram, hierarchical=True), contexts()
    words, outputs = (table.weight.detach().numpy() for table in (net.words, net.outputs))
    total = 0.0
    for row, place, other in batch.neighbours.nonzero().tolist():
        path = path_of(net, int(batch.words[row, place + 2]))
        total -= sum(np.log(sigmoid(sign * outputs[node] @ words[int(batch.words[row, other])])) for node, sign in path)
    assert logistic_loss(*net(*batch)).item() == pytest.approx(total, rel=1e-9)


def test_a_tree_has_a_node_less_than_words():
    assert SkipGram(10, hierarchical=True).outputs.num_embeddings == 9


@pytest.mark.parametrize("wrong", [{"vocab_size": 1}, {"embed_dim": 0}, {"negatives": 0}])
def test_sizes_that_cannot_be(wrong):
    with pytest.raises(ValueError, match="received"):
        SkipGram(**{"vocab_size": 10} | wrong)
