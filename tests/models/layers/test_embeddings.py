"""Embeddings that begin as given vectors."""

import torch

from runner.models.layers.embeddings import load_vectors, word_embedding


def test_vectors_for_fewer_words_leave_the_others_alone():
    embedding = word_embedding(6, 2)
    before = embedding.weight.clone()
    load_vectors(embedding, torch.ones(4, 2))
    assert torch.equal(embedding.weight[:4], torch.ones(4, 2)) and torch.equal(embedding.weight[4:], before[4:])
    assert before[0].abs().sum() == 0 and before.abs().max() <= 0.25
