"""NGram: Kneser-Ney beside nltk, add-k by hand, probabilities that sum to 1, counting in parts."""

import numpy as np
import pytest
import torch
from nltk.lm import KneserNeyInterpolated

from runner.datamodules.parts.token_store import WindowSplit, one_document
from runner.models.ngram import NGram

V = 12
DRAW = np.random.default_rng(0)
TEXT = np.concatenate([[2], (DRAW.random(600) ** 2 * (V - 2)).astype(int) + 2])  # tokens 2 .. V - 1, the low ones often
OTHER = np.concatenate([[2], (DRAW.random(80) ** 2 * (V - 2)).astype(int) + 2])


def examples(text: np.ndarray, n: int, size: int = 1 << 20) -> list:
    return list(WindowSplit(one_document(text), 8).contexts(n, size))


def fitted(n: int, **settings) -> NGram:
    return NGram(V, n, **settings).fit(*examples(TEXT, n)[0])


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("discount", [0.1, 0.75])
def test_kneser_ney_is_that_of_nltk(n: int, discount: float) -> None:
    contexts, following = examples(TEXT, n)[0]
    whole = [(*map(str, context), str(token)) for context, token in zip(contexts, following, strict=True)]
    theirs = KneserNeyInterpolated(n, discount=discount)
    theirs.fit([[gram[start:] for start in range(n)] for gram in whole], [str(token) for token in range(2, V)])
    ours = fitted(n, discount=discount)
    assert np.count_nonzero(ours.orders[0].counts) == V - 2
    asked, token = (part[:60] for part in examples(OTHER, n)[0])
    wanted = [theirs.score(str(w), [*map(str, context)]) for context, w in zip(asked, token, strict=True)]
    unknown = 1 + ours.orders[0].totals[0]  # the unknown token counts once with us
    near = np.exp(ours.log_probs(asked, token))
    ours.lowest = np.where(np.arange(V) == 1, 0, ours.lowest * unknown / (unknown - 1))
    np.testing.assert_allclose(np.exp(ours.log_probs(asked, token)), wanted, atol=1e-9)
    np.testing.assert_allclose(near, wanted, atol=0.01)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("smoothing", ["kneser_ney", "add_k"])
def test_probabilities_sum_to_one_and_are_those_of_log_probs(n: int, smoothing: str) -> None:
    net = fitted(n, smoothing=smoothing)
    contexts, following = examples(OTHER, n)[0]
    every = net.predict_proba(contexts)
    np.testing.assert_allclose(every.sum(axis=1), 1, atol=1e-12)
    assert (every[:, 0] == 0).all() and (every[:, 1:] > 0).all(), "all but padding may follow"
    np.testing.assert_allclose(every[np.arange(80), following], np.exp(net.log_probs(contexts, following)), rtol=1e-12)


def test_add_k_is_counting() -> None:
    net = fitted(3, smoothing="add_k", k=0.5)
    (contexts, following), asked = examples(TEXT, 3)[0], np.array([[2, 3], [3, 2], [11, 11]])
    for context, found in zip(asked, net.predict_proba(asked), strict=True):
        after = following[(contexts == context).all(axis=1)]
        counts = np.bincount(after, minlength=V)
        np.testing.assert_allclose(found[1:], (counts[1:] + 0.5) / (len(after) + 0.5 * (V - 1)), rtol=1e-12)


def test_discounts_follow_from_the_counts_of_counts() -> None:
    net = fitted(3)
    for order in net.orders:
        once, twice = (order.counts == 1).sum(), (order.counts == 2).sum()
        assert order.discount == pytest.approx(once / (once + 2 * twice) if once and twice else 0.5)


def test_counting_in_parts_is_counting() -> None:
    whole, parts = fitted(4), NGram(V, 4).count(lambda: examples(TEXT, 4, size=37))
    for one, other in zip(whole.orders, parts.orders, strict=True):
        assert np.array_equal(one.keys, other.keys) and np.array_equal(one.counts, other.counts)


def test_it_becomes_what_was_stored() -> None:
    net, again = fitted(3), NGram(V, 3)
    again.load_state(net.state())
    asked = examples(OTHER, 3)[0]
    np.testing.assert_array_equal(again.log_probs(*asked), net.log_probs(*asked))


def test_step_by_step_it_reads_the_same_contexts() -> None:
    net = fitted(3)
    prompts = torch.tensor([[2, 5, 3, 4], [2, 7, 0, 0], [2, 0, 0, 0]])
    state = net.start(prompts)
    assert state.tolist() == [[5, 3], [2, 2], [2, 2]]
    logits, state = net.step(torch.tensor([4, 7, 2]), state)
    assert state.tolist() == [[3, 4], [2, 7], [2, 2]]
    np.testing.assert_allclose(logits.exp(), net.predict_proba(state.numpy()), atol=1e-12)
    logits, state = NGram(V, 1).fit(*examples(TEXT, 1)[0]).step(torch.tensor([4]), torch.zeros(1, 0, dtype=torch.int64))
    assert state.shape == (1, 0) and logits.shape == (1, V)


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"n": 6}, "n must be at most 5"), ({"n": 0}, "n must be at least 1"), ({"k": 0.0}, "k must be above 0"),
     ({"discount": 1.0}, "discount must be above 0 and below 1"), ({"smoothing": "none"}, "smoothing must be one of")],
)  # fmt: skip
def test_values_out_of_range(settings: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        NGram(V, **settings)
