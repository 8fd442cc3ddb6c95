"""The text models of chapter 7 against an independent computation of the same thing."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from runner.models.embedding_mlp import EmbeddingMLP
from runner.models.fasttext import FastText
from runner.models.layers.embeddings import load_vectors, word_embedding
from runner.models.textcnn import TextCNN


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def numbers(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def test_embedding_mlp_is_one_product_with_all_places():
    net = EmbeddingMLP(vocab_size=20, num_outputs=3, max_len=4, embed_dim=5).eval()
    tokens = torch.tensor([[3, 4, 5, 6], [7, 8, 0, 0]])
    vectors, weight, bias = numbers(net.embedding.weight), numbers(net.output.weight), numbers(net.output.bias)
    expected = [weight @ np.concatenate([vectors[token] for token in row]) + bias for row in tokens.tolist()]
    assert np.allclose(numbers(net(tokens)), expected, atol=1e-6)
    assert torch.equal(net(tokens), net(F.pad(tokens, (0, 7)))), "words after the last place are not read"
    assert torch.allclose(net(tokens[1:, :2]), net(tokens)[1:])
    assert not torch.allclose(net(tokens[:, [1, 0, 2, 3]]), net(tokens)), "word order counts"


def test_embedding_mlp_with_hidden_layers():
    net = EmbeddingMLP(20, 2, max_len=3, embed_dim=4, hidden_dims=[6, 5])
    assert [tuple(p.shape) for p in net.hidden.parameters()] == [(6, 12), (6,), (5, 6), (5,)]
    with pytest.raises(ValueError, match="hidden_dims must be at least 1"):
        EmbeddingMLP(20, 2, max_len=3, hidden_dims=[6, 0])


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


def test_a_filter_of_textcnn_adds_up_both_channels():
    both = TextCNN(20, 2, embed_dim=4, num_filters=3, kernel_sizes=[2], mode="multichannel").eval()
    tokens = torch.randint(1, 20, (3, 6))
    (convolve,) = both.convolutions
    learnt, fixed = both.embedding(tokens).transpose(1, 2), both.fixed(tokens).transpose(1, 2)
    scores = F.conv1d(learnt, convolve.weight[:, :4]) + F.conv1d(fixed, convolve.weight[:, 4:])
    features = F.relu(scores + convolve.bias[:, None]).amax(dim=2)
    assert torch.allclose(both(tokens), both.output(features), atol=1e-6)


@pytest.mark.parametrize(
    ("mode", "frozen", "needs"),
    [
        ("rand", [], False),
        ("static", ["embedding.weight"], True),
        ("non_static", [], True),
        ("multichannel", ["fixed.weight"], True),
    ],
)
def test_the_modes_of_textcnn(mode, frozen, needs):
    net = TextCNN(20, 2, embed_dim=4, num_filters=3, mode=mode)
    assert [name for name, parameter in net.named_parameters() if not parameter.requires_grad] == frozen
    assert net.needs_vectors == needs


def test_an_unknown_mode_of_textcnn():
    with pytest.raises(ValueError, match=r"mode must be one of rand, static, .* received 'fixed'"):
        TextCNN(20, 2, mode="fixed")


def test_vectors_for_fewer_words_leave_the_others_alone():
    embedding = word_embedding(6, 2)
    before = embedding.weight.clone()
    load_vectors(embedding, torch.ones(4, 2))
    assert torch.equal(embedding.weight[:4], torch.ones(4, 2)) and torch.equal(embedding.weight[4:], before[4:])
    assert before[0].abs().sum() == 0 and before.abs().max() <= 0.25
