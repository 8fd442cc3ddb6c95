"""Attention over attention against the equations of the paper in NumPy, and the attention sum reader."""

import numpy as np
import pytest
import torch

from runner.models.attention_over_attention import AttentionOverAttention
from runner.models.attention_sum import AttentionSum

DOCUMENT = torch.tensor([[2, 3, 4, 5, 3, 6], [7, 8, 2, 0, 0, 0]])
QUESTION = torch.tensor([[4, 9, 2], [9, 3, 0]])


def softmax(values: np.ndarray, axis: int) -> np.ndarray:
    powers = np.exp(values - values.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


@pytest.fixture
def rows():
    """The states of each document and question without their padding, and what the net answers."""

    def read(net):
        net.eval()
        with torch.inference_mode():
            answers = net(DOCUMENT, QUESTION)
            found = []
            for document, question, answer in zip(DOCUMENT, QUESTION, answers, strict=True):
                alone = net.reader(document[document != 0][None], question[question != 0][None])
                states = alone.document[0].numpy(), alone.question[0].numpy(), alone.last[0].numpy()
                found.append((*states, answer.numpy()))
        return found

    return read


def test_each_step_is_that_of_the_paper(rows) -> None:
    for document, question, _, answer in rows(AttentionOverAttention(10, embed_dim=5, hidden_dim=4)):
        matching = document @ question.T  # equation 3: (D, Q)
        looks = softmax(matching, axis=0)  # equations 4 and 5
        counts = softmax(matching, axis=1).mean(axis=0)  # equations 6 and 7
        expected = looks @ counts  # equation 8
        assert answer[: len(document)] == pytest.approx(expected, abs=1e-6)
        assert not answer[len(document) :].any()
        assert expected.sum() == pytest.approx(1)


def test_the_sum_reader_looks_with_the_last_states(rows) -> None:
    for document, _, last, answer in rows(AttentionSum(10, embed_dim=5, hidden_dim=4)):
        assert answer[: len(document)] == pytest.approx(softmax(document @ last, axis=0), abs=1e-6)
        assert not answer[len(document) :].any()


def test_the_last_states_are_those_of_both_directions() -> None:
    reader = AttentionSum(10, embed_dim=5, hidden_dim=4).eval().reader
    read = reader(DOCUMENT, QUESTION)
    for row, length in enumerate([3, 2]):
        ends = torch.cat([read.question[row, length - 1, :4], read.question[row, 0, 4:]])
        assert torch.allclose(read.last[row], ends)


def test_word_vectors_are_shared() -> None:
    net = AttentionOverAttention(10, embed_dim=5, hidden_dim=4)
    net.load_vectors(torch.full((10, 5), 0.5))
    assert (net.reader.embedding.weight == 0.5).all()
    with pytest.raises(ValueError, match="embed_dim=7"):
        net.load_vectors(torch.zeros(10, 7))
