"""N-gram language model: the probability of a token from how often it followed the n - 1 tokens before it.

Sources: add-k, Lidstone 1920; interpolated Kneser-Ney, Kneser and Ney, Improved backing-off for m-gram language
modeling, ICASSP 1995, in the form of Chen and Goodman, An Empirical Study of Smoothing Techniques for Language
Modeling, 1998, TR-10-98, equation 24, with one discount for each order, D = n1 / (n1 + 2 n2) (n1, n2: n-grams counted
once, twice). An order below n counts before how many different tokens an n-gram occurs. Departure: the unknown token
counts as seen once if it never was.

A context of j tokens is numbered by the context of its last j - 1 tokens and the token before them, so that the number
of the shorter context, which probabilities are interpolated with, is found on the way. All tables are sorted arrays.

Shape letters: N examples, B rows, T time, V vocabulary, C contexts, G n-grams.
"""

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from runner.models.ranges import check_choice, check_size

UNK = 1  # the token for everything that is not in the vocabulary
USUAL_DISCOUNT = 0.5  # where too few n-grams were counted once or twice to tell

Examples = tuple[np.ndarray, np.ndarray]  # contexts (N, n - 1), the token before last, and the tokens that follow (N,)


class Order(NamedTuple):
    """The n-grams of one order: what followed each context, and how often.

    Args:
        keys: number of the context times V plus the token, ascending, int64 (G,).
        counts: of the n-grams (G,).
        totals: sum of the counts of each context (C,).
        kinds: different tokens that followed each context (C,).
        discount: taken off each count.
    """

    keys: np.ndarray
    counts: np.ndarray
    totals: np.ndarray
    kinds: np.ndarray
    discount: float


class NGram:
    """An estimator of the next token. Used through its task, which cuts texts into contexts.

    Args:
        vocab_size: tokens, padding (0) included.
        n: the next token is predicted from n - 1 tokens; 1 to 5.
        smoothing: kneser_ney or add_k.
        discount: of Kneser-Ney, in (0, 1); None = estimated for each order.
        k: what add_k adds to every count, above 0.

    Raises:
        ValueError: a value out of its range.
    """

    def __init__(
        self,
        vocab_size: int,
        n: int = 3,
        smoothing: Literal["kneser_ney", "add_k"] = "kneser_ney",
        discount: float | None = None,
        k: float = 0.01,
    ):
        check_size(vocab_size=vocab_size, n=n)
        check_choice(("kneser_ney", "add_k"), smoothing=smoothing)
        if n > 5:
            raise ValueError(f"n must be at most 5, received {n}")
        if discount is not None and not 0 < discount < 1:
            raise ValueError(f"discount must be above 0 and below 1, received {discount}")
        if k <= 0:
            raise ValueError(f"k must be above 0, received {k}")
        self.vocab_size, self.n, self.smoothing, self.discount, self.k = vocab_size, n, smoothing, discount, k
        self.contexts: list[np.ndarray] = []  # of 1, 2 ... n - 1 tokens: shorter context times V plus token, ascending
        self.orders: list[Order] = []  # of 1, 2 ... n tokens
        self.lowest = np.zeros(vocab_size)  # probabilities without any context (V,)

    # Counting.

    def fit(self, X: np.ndarray, y: np.ndarray) -> "NGram":
        """Count N contexts (N, n - 1) and the tokens that follow (N,)."""
        return self.count(lambda: [(X, y)])

    def count(self, examples: Callable[[], Iterable[Examples]]) -> "NGram":
        """Count examples that come in parts, `n` times."""
        self.contexts, size = [], self.vocab_size
        for length in range(1, self.n):
            found = tallied(self.numbers(X)[-1] * size + X[:, -length] for X, _ in examples())
            self.contexts.append(found[0])
        keys, counts = tallied(self.numbers(X)[-1] * size + y for X, y in examples())
        self.orders = [self.order(keys, counts)]
        for contexts in reversed(self.contexts):  # in how many different longer ones does a shorter n-gram occur?
            keys, counts = tallied([contexts[keys // size] // size * size + keys % size])
            self.orders.insert(0, self.order(keys, counts))
        self.lowest = self.without_context()
        return self

    def order(self, keys: np.ndarray, counts: np.ndarray) -> Order:
        """The n-grams of an order with these keys and counts."""
        context = keys // self.vocab_size
        once, twice = (int((counts == times).sum()) for times in (1, 2))
        estimated = once / (once + 2 * twice) if once and twice else USUAL_DISCOUNT
        totals = np.bincount(context, counts).astype(np.int64)
        return Order(keys, counts, totals, np.bincount(context), self.discount or estimated)

    def without_context(self) -> np.ndarray:
        """Probabilities of the tokens where no context is known (V,)."""
        counts = np.zeros(self.vocab_size)
        counts[self.orders[0].keys] = self.orders[0].counts
        counts[UNK] = max(counts[UNK], 1)
        known = counts > 0
        if self.smoothing == "add_k":
            return known / known.sum()
        return counts / counts.sum()

    def numbers(self, X: np.ndarray) -> list[np.ndarray]:
        """Numbers (N,) of the contexts of 0, 1, 2 ... tokens that end the contexts (N, n - 1); -1 = never seen."""
        found = [np.zeros(len(X), dtype=np.int64)]
        for length, keys in enumerate(self.contexts, 1):
            place = positions(keys, found[-1] * self.vocab_size + X[:, -length])
            found.append(np.where(found[-1] < 0, -1, place))
        return found

    # Probabilities.

    def log_probs(self, X: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Log-probabilities (N,) of tokens y (N,) after contexts (N, n - 1)."""
        found = self.lowest[y]
        for context, order in self.used(X):
            seen = context >= 0
            place = positions(order.keys, context * self.vocab_size + y)
            counts = np.where(seen & (place >= 0), order.counts[place], 0)
            share, rest = self.interpolated(order, context, counts)
            found = np.where(seen, share + rest * found, found)
        with np.errstate(divide="ignore"):
            return np.log(found)

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Probabilities (N, V) of all tokens after contexts (N, n - 1)."""
        found = np.tile(self.lowest, (len(X), 1))
        for contexts, order in self.used(X):
            for row, context in enumerate(contexts.tolist()):
                if context >= 0:
                    first, last = np.searchsorted(
                        order.keys, [context * self.vocab_size, (context + 1) * self.vocab_size]
                    )
                    counts = np.zeros(self.vocab_size, dtype=np.int64)
                    counts[order.keys[first:last] % self.vocab_size] = order.counts[first:last]
                    share, rest = self.interpolated(order, np.array(context), counts)
                    found[row] = share + rest * found[row]
        return found

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The likeliest tokens (N,)."""
        return self.predict_proba(X).argmax(axis=1)

    def used(self, X: np.ndarray) -> list[tuple[np.ndarray, Order]]:
        """Numbers of the contexts (N,) and n-grams of each order that counts, shortest first."""
        every = list(zip(self.numbers(X), self.orders, strict=True))
        return every[-1:] if self.smoothing == "add_k" else every[1:]

    def interpolated(self, order: Order, context: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The shares of tokens with these counts, and the weight of their probabilities in the shorter context."""
        totals = order.totals[context]
        if self.smoothing == "add_k":
            added = self.k * (self.lowest > 0).sum()
            return counts / (totals + added), added / (totals + added)
        share = np.maximum(counts - order.discount, 0) / totals
        return share, order.discount * order.kinds[context] / totals

    # Writing, a token at a time.

    def start(self, tokens: Tensor) -> Tensor:
        """The context before the last token of each prompt, int64 (B, T) with padding 0 at the end: (B, n - 1)."""
        length = (tokens != 0).sum(dim=1, keepdim=True)  # (B, 1)
        place = length - 1 - torch.arange(self.n - 1, 0, -1, device=tokens.device)  # (B, n - 1)
        return tokens.gather(1, place.clamp(min=0))

    def step(self, token: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Read one more token: int64 (B,) and the context to log-probabilities (B, V) and the next context."""
        state = torch.cat([state, token[:, None]], dim=1)[:, 1:]
        return torch.from_numpy(self.predict_proba(state.cpu().numpy())).log().to(token.device), state

    # Storing.

    def state(self) -> dict:
        """The counts, in plain containers and tensors."""
        return {
            "contexts": [torch.from_numpy(keys) for keys in self.contexts],
            "orders": [(torch.from_numpy(order.keys), torch.from_numpy(order.counts)) for order in self.orders],
        }

    def load_state(self, state: dict) -> None:
        """Become the estimator whose `state` this is."""
        self.contexts = [keys.numpy() for keys in state["contexts"]]
        self.orders = [self.order(keys.numpy(), counts.numpy()) for keys, counts in state["orders"]]
        self.lowest = self.without_context()


def positions(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each wanted number is among ascending keys; -1 = nowhere."""
    place = np.searchsorted(keys, wanted).clip(max=max(len(keys) - 1, 0))
    return np.where(keys[place] == wanted, place, -1)


def tallied(parts: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The different numbers of all parts, ascending, and how often each occurs; a few times their size in memory."""
    waiting: list[tuple[np.ndarray, np.ndarray]] = []
    for part in parts:
        waiting.append(np.unique(part, return_counts=True))
        while len(waiting) > 1 and len(waiting[-1][0]) * 2 > len(waiting[-2][0]):
            waiting.append(merged(waiting.pop(), waiting.pop()))
    while len(waiting) > 1:
        waiting.append(merged(waiting.pop(), waiting.pop()))
    return waiting[0]


def merged(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Add up two tallies."""
    keys, place = np.unique(np.concatenate([one[0], other[0]]), return_inverse=True)
    return keys, np.bincount(place, np.concatenate([one[1], other[1]])).astype(np.int64)
