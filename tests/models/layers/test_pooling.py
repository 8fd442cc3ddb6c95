"""From all steps to one vector, and which steps are real."""

import torch
from values import CLOSE, LENGTHS, ROWS, STEPS, UNITS, real

from runner.models.layers.pooling import Attending, Pooling, real_steps


def test_poolings() -> None:
    outputs, last = torch.randn(ROWS, STEPS, UNITS), torch.randn(ROWS, UNITS)
    mask = real(LENGTHS).squeeze(2)
    rows = [outputs[row, :length] for row, length in enumerate(LENGTHS)]
    assert Pooling("last", UNITS)(outputs, last, mask) is last
    mean = torch.stack([row.mean(0) for row in rows])
    torch.testing.assert_close(Pooling("mean", UNITS)(outputs, last, mask), mean, **CLOSE)
    largest = torch.stack([row.amax(0) for row in rows])
    torch.testing.assert_close(Pooling("max", UNITS)(outputs, last, mask), largest, **CLOSE)
    attention = Pooling("attention", UNITS, attention_dim=3)
    weights = attention.weights(outputs, mask)
    torch.testing.assert_close(weights.sum(1), torch.ones(ROWS), **CLOSE)
    assert not weights[~mask].any() and (weights[mask] > 0).all()
    dense, _, query = attention.score
    scores = torch.stack([torch.tanh(dense(step)) @ query.weight[0] for step in rows[2]])
    wanted = scores.softmax(0) @ rows[2]
    torch.testing.assert_close(attention(outputs, last, mask)[2], wanted, **CLOSE)


def test_each_hop_of_attention_has_a_query_of_its_own() -> None:
    outputs, mask = torch.randn(ROWS, STEPS, UNITS), real(LENGTHS).squeeze(2)
    attending = Attending(UNITS, 3, hops=2)
    weights = attending(outputs, mask)
    dense, _, queries = attending
    for hop in range(2):
        one = Attending(UNITS, 3)
        one[0], one[2].weight.data = dense, queries.weight.data[hop : hop + 1]
        torch.testing.assert_close(weights[:, hop : hop + 1], one(outputs, mask), **CLOSE)
    assert not torch.equal(weights[0, 0], weights[0, 1])
    assert attending(outputs)[1].gt(0).all(), "without a mask all steps count"


def test_lengths_of_tokens() -> None:
    lengths, mask = real_steps(torch.tensor([[3, 0, 4, 0], [5, 6, 7, 8], [0, 0, 0, 0]]))
    assert lengths.tolist() == [3, 4, 1]
    assert mask.tolist() == [[True] * 3 + [False], [True] * 4, [True] + [False] * 3]
