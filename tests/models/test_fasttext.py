"""FastText is the mean of words and n-grams."""

import numpy as np
import torch
from values import numbers

from runner.models.fasttext import FastText


def test_fasttext_is_the_mean_of_words_and_pairs():
    net = FastText(vocab_size=20, num_outputs=3, embed_dim=5, max_ngram=3, num_buckets=40).eval()
    rows = [[3, 4, 5, 6], [7, 8], [9]]
    tokens = torch.tensor([row + [0] * (4 - len(row)) for row in rows])
    words, tables = numbers(net.embedding.weight), [numbers(table.weight) for table in net.ngrams]
    for row, found in zip(rows, numbers(net(tokens)), strict=True):
        vectors = [words[token] for token in row]
        for span, table in zip((2, 3), tables, strict=True):
            for end in range(span - 1, len(row)):
                hashed = row[end]
                for back in range(1, span):
                    hashed = hashed * 1_000_003 + row[end - back]
                vectors.append(table[hashed % 40 + 1])
        assert np.allclose(found, numbers(net.output.weight) @ np.mean(vectors, axis=0) + numbers(net.output.bias))


def test_fasttext_without_pairs_does_not_see_the_order():
    tokens = torch.tensor([[3, 4, 5]])
    words, pairs = FastText(20, 2, max_ngram=1).eval(), FastText(20, 2, max_ngram=2).eval()
    assert torch.allclose(words(tokens), words(tokens.flip(1)), atol=1e-7)
    assert not torch.allclose(pairs(tokens), pairs(tokens.flip(1)), atol=1e-5)
