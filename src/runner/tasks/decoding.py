"""Generating text with a net, token by token: greedy, sampling, beam search.

What a net that generates has to provide, for B rows at once:
    state = net.start(*inputs)               what it has read: nested tuples of tensors, each with the batch first
    logits, state = net.step(token, state)   reads one more token, int64 (B,); logits of the next one, (B, V)
A language model starts from prompts, int64 (B, T) with padding at the end, and leaves the last token of each for the
first step (`last_tokens`). An encoder-decoder starts from its source, and its first step gets the start mark.
A net with attention may say where it looked in the step that produced a state: net.step_attention(state) -> (B, S).

Sources: beam search with a length penalty, Wu et al. 2016, arXiv:1609.08144, equation 14; top-k sampling, Fan et al.
2018, arXiv:1805.04833; nucleus (top-p) sampling, Holtzman et al. 2020, arXiv:1904.09751.

Shape letters: B rows, N paths of a row (possible answers), V vocabulary, L tokens generated, S source places.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor

from runner.errors import UserError
from runner.text.vocabulary import PAD

State: TypeAlias = "Tensor | tuple[State, ...]"


class Writer(Protocol):
    """A net that generates; its `start`, whose inputs differ from net to net, has already been called."""

    def step(self, token: Tensor, state: Any) -> tuple[Tensor, Any]: ...


@dataclass(frozen=True)
class Decoding:
    """How a text is generated.

    Args:
        method: greedy (the likeliest token each time), sample (drawn at random) or beam (the likeliest whole texts).
        max_len: tokens at most, at least 1.
        temperature: of sampling, above 0; below 1 is more careful, above 1 bolder.
        top_k: sampling draws from that many of the likeliest tokens, at least 1; None = from all.
        top_p: sampling draws from the fewest tokens that together have this probability, in (0, 1]; None = from all.
        beam_size: texts that beam search follows in parallel, at least 1.
        length_penalty: 0 = texts are compared by their log-probability, which favours short ones; larger favours
            longer ones, 0.6 to 1 being usual.
        n_best: answers for each row: 1 for greedy, at most beam_size for beam.
        seed: of sampling.
        end: the token that ends a text; None = all texts have max_len tokens.
        never: tokens that are not written.

    Raises:
        UserError: a value out of its range.
    """

    method: Literal["greedy", "sample", "beam"] = "greedy"
    max_len: int = 100
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    beam_size: int = 4
    length_penalty: float = 0.0
    n_best: int = 1
    seed: int = 0
    end: int | None = None
    never: tuple[int, ...] = (PAD,)

    def __post_init__(self) -> None:
        most = {"greedy": 1, "beam": self.beam_size}.get(self.method)
        few = f"1 to {most}" if most else "at least 1"
        ranges = {
            "method": (self.method in METHODS, f"one of {', '.join(METHODS)}"),
            "max_len": (self.max_len >= 1, "at least 1"),
            "temperature": (self.temperature > 0, "above 0"),
            "top_k": (self.top_k is None or self.top_k >= 1, "at least 1, or null for all tokens"),
            "top_p": (self.top_p is None or 0 < self.top_p <= 1, "above 0 and at most 1, or null for all tokens"),
            "beam_size": (self.beam_size >= 1, "at least 1"),
            "length_penalty": (self.length_penalty >= 0, "at least 0"),
            "n_best": (1 <= self.n_best <= (most or self.n_best), f"{few} with method={self.method}"),
        }
        for key, (kept, allowed) in ranges.items():
            if not kept:
                raise UserError(f"task.{key} must be {allowed}, received {getattr(self, key)}")


class Decoded(NamedTuple):
    """The generated texts: for each of B rows N answers, the best one first (samples: in the order of drawing).

    `tokens`, int64 (B, N, L), include the end mark, if there is one, and padding after it. `scores` (B, N) are
    log-probabilities over the length penalty. `attention` (B, N, L, S) is None unless the net says where it looked.
    """

    tokens: Tensor
    scores: Tensor
    attention: Tensor | None = None


@torch.inference_mode()
def decode(net: Writer, state: State, first: Tensor, how: Decoding) -> Decoded:
    """Generate from a state and the first token to read, int64 (B,). No row depends on the others."""
    rows, paths = len(first), how.beam_size if how.method == "beam" else how.n_best  # B, N
    row = torch.arange(rows, device=first.device).unsqueeze(1)  # (B, 1)
    copies = row.expand(rows, paths).flatten()  # (BN,): 0 0 0 1 1 1 ...
    token, state = first[copies], pick(state, copies)
    draw = torch.Generator().manual_seed(how.seed)
    look_back, looks = getattr(net, "step_attention", None), None
    tokens = first.new_empty(rows * paths, 0)  # (BN, L), L = 0 so far
    total = torch.zeros(rows, paths, device=first.device)  # log-probability of each path
    if how.method == "beam":
        total[:, 1:] = -torch.inf  # all paths are still the same: only the first counts
    length = torch.zeros_like(total)
    ended = torch.zeros_like(total, dtype=torch.bool)

    for _ in range(how.max_len):
        logits, state = net.step(token, state)  # (BN, V)
        every = torch.arange(logits.size(1), device=first.device)
        padding, never = every == PAD, torch.isin(every, torch.tensor(how.never, device=first.device))  # (V,) each
        log_probs = logits.float().masked_fill(never, -torch.inf).log_softmax(dim=1).view(rows, paths, -1)
        # A path that has ended is continued with padding at no cost: its log-probability and its length stay.
        log_probs = torch.where(ended.unsqueeze(2), torch.where(padding, 0.0, -torch.inf), log_probs)  # (B, N, V)
        length += ~ended
        sums = total.unsqueeze(2) + log_probs  # (B, N, V)

        parent, chosen = METHODS[how.method](log_probs, sums / penalty(length, how).unsqueeze(2), how, draw)  # (B, N)

        total = sums[row, parent, chosen]
        length = length[row, parent]
        ended = ended[row, parent] | (chosen == (-1 if how.end is None else how.end))
        token, kept = chosen.flatten(), (row * paths + parent).flatten()  # (BN,) each
        state = pick(state, kept)
        tokens = torch.cat([tokens[kept], token.unsqueeze(1)], dim=1)
        if look_back is not None:
            look = look_back(state).unsqueeze(1)  # (BN, 1, S)
            looks = look if looks is None else torch.cat([looks[kept], look], dim=1)
        if ended.all():
            break

    scores = total / penalty(length, how)  # (B, N)
    tokens = tokens.view(rows, paths, -1).masked_fill(scores.isinf().unsqueeze(2), PAD)  # fewer texts than paths
    best = slice(how.n_best)
    attention = None if looks is None else looks.unflatten(0, (rows, paths))[:, best]
    return Decoded(tokens[:, best], scores[:, best], attention)


# One more token for each path: from log-probabilities and scores of all next tokens, (B, N, V) each, to the path that
# is continued and the token it is continued with, int64 (B, N) each.


def greedy(log_probs: Tensor, scores: Tensor, how: Decoding, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Each path takes its likeliest token."""
    return same_paths(log_probs), log_probs.argmax(dim=2)


def sample(log_probs: Tensor, scores: Tensor, how: Decoding, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Each path draws a token.

    The largest of log p + g, with a g for each token that is minus the logarithm of an exponential number, is each
    token with its probability p (the Gumbel-max trick). All rows get the same g, so that none depends on the others.
    """
    noise = torch.empty(log_probs.shape[1:]).exponential_(generator=draw).log().to(log_probs.device)  # (N, V)
    return same_paths(log_probs), (likeliest(log_probs / how.temperature, how) - noise).argmax(dim=2)


def beam(log_probs: Tensor, scores: Tensor, how: Decoding, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """The N best of all N x V continuations of a row stay, best first."""
    best = scores.flatten(1).topk(scores.size(1)).indices  # (B, N)
    return best // scores.size(2), best % scores.size(2)


METHODS: dict[str, Callable[[Tensor, Tensor, Decoding, torch.Generator], tuple[Tensor, Tensor]]] = {
    "greedy": greedy,
    "sample": sample,
    "beam": beam,
}


def same_paths(log_probs: Tensor) -> Tensor:
    """Each path continues itself: 0 .. N - 1 for each row, (B, N)."""
    return torch.arange(log_probs.size(1), device=log_probs.device).expand(log_probs.shape[:2])


def likeliest(scores: Tensor, how: Decoding) -> Tensor:
    """Scores (B, N, V) with -inf for the tokens that top_k and top_p leave out."""
    ranked, order = scores.sort(dim=2, descending=True)  # (B, N, V) each
    if how.top_k is not None:
        ranked = ranked.masked_fill(torch.arange(ranked.size(2), device=ranked.device) >= how.top_k, -torch.inf)
    if how.top_p is not None:
        chances = ranked.softmax(dim=2)
        before = chances.cumsum(dim=2) - chances  # of the likelier tokens together
        ranked = ranked.masked_fill(before >= how.top_p, -torch.inf)
    return torch.empty_like(scores).scatter(2, order, ranked)


def penalty(length: Tensor, how: Decoding) -> Tensor:
    """What a log-probability is divided by: ((5 + L) / 6) ^ length_penalty."""
    return ((5 + length) / 6) ** how.length_penalty


def pick(state: State, rows: Tensor) -> State:
    """The state of these rows, int64 (R,): each tensor (B, ...) becomes (R, ...)."""
    if isinstance(state, tuple):
        parts = [pick(part, rows) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)  # a NamedTuple stays one
    return state.index_select(0, rows)


def last_tokens(prompts: Tensor) -> Tensor:
    """The last token of each prompt, int64 (B, T) with padding at the end, (B,)."""
    return prompts.gather(1, (lengths(prompts) - 1).clamp(min=0)).squeeze(1)


class Window:
    """Lets a language model without `start` and `step` generate: its state is the text, which it rereads at each step.

    Args:
        net: maps tokens (B, T) to logits (B, T, V).
        length: most tokens it sees at once.
    """

    def __init__(self, net: Callable[[Tensor], Tensor], length: int):
        self.net, self.length = net, length

    def start(self, tokens: Tensor) -> State:
        """The prompts (B, T), padding at the end, without the last token of each."""
        place = torch.arange(tokens.size(1), device=tokens.device)  # (T,)
        return tokens.masked_fill(place >= lengths(tokens) - 1, PAD)

    def step(self, token: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Append a token (B,) to each text and return the logits of the next one (B, V)."""
        text = torch.cat([state, torch.full_like(state[:, :1], PAD)], dim=1)  # (B, T + 1)
        text = text.scatter(1, lengths(state), token.unsqueeze(1))
        first = (lengths(text) - self.length).clamp(min=0)  # (B, 1): where the window begins
        place = first + torch.arange(min(self.length, text.size(1)), device=text.device)  # (B, W)
        window = text.gather(1, place)
        logits = self.net(window)  # (B, W, V)
        last = (lengths(window) - 1).unsqueeze(2).expand(-1, 1, logits.size(2))  # (B, 1, V)
        return logits.gather(1, last).squeeze(1), window


def lengths(tokens: Tensor) -> Tensor:
    """Tokens of each text before the padding at its end, int64 (B, 1)."""
    place = torch.arange(1, tokens.size(1) + 1, device=tokens.device)  # (T,)
    return torch.where(tokens != PAD, place, 0).amax(dim=1, keepdim=True)
