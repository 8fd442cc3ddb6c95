"""Texts changed at random, a whole batch at a time.

Shape letters: B batch, T time (words of the longest text), V vocabulary, S synonyms. Texts are token numbers, int64
(B, T), padding 0 at the end; a changed text has the same shape.
Source: Wei and Zou, EDA: Easy Data Augmentation, EMNLP 2019, arXiv:1901.11196.
"""

from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from runner.augment import share_of
from runner.errors import UserError
from runner.text.vocabulary import PAD, UNK


def check_tokens(tokens: Tensor, name: str) -> None:
    """Raise UserError unless this is a batch of texts."""
    if tokens.ndim != 2 or tokens.is_floating_point():
        raise UserError(
            f"augment: {name} changes texts, token numbers (batch, words); this data has "
            f"{str(tokens.dtype).removeprefix('torch.')} {tuple(tokens.shape)}. Leave augment=text out."
        )


class Swap(nn.Module):
    """Swap words with their right neighbours.

    Args:
        share: of the words that are swapped, in [0, 1].
    """

    def __init__(self, share: float = 0.1):
        super().__init__()
        self.share = share_of(share, "augment.swap.share")

    def forward(self, tokens: Tensor) -> Tensor:
        check_tokens(tokens, "Swap")
        starts = torch.rand(tokens.shape, device=tokens.device) < self.share
        starts[:, -1:] = False
        starts[:, :-1] &= (tokens[:, :-1] != PAD) & (tokens[:, 1:] != PAD)
        starts[:, 1:] &= ~starts[:, :-1]  # a word is swapped at most once
        ends = torch.zeros_like(starts)
        ends[:, 1:] = starts[:, :-1]
        place = torch.arange(tokens.size(1), device=tokens.device) + starts.long() - ends.long()
        return tokens.gather(1, place)


class Drop(nn.Module):
    """Leave words out; the others move up, and at least one word always stays.

    Args:
        share: of the words that are left out, in [0, 1].
    """

    def __init__(self, share: float = 0.1):
        super().__init__()
        self.share = share_of(share, "augment.drop.share")

    def forward(self, tokens: Tensor) -> Tensor:
        check_tokens(tokens, "Drop")
        luck = torch.rand(tokens.shape, device=tokens.device).masked_fill(tokens == PAD, -1)
        keep = (luck >= self.share) | (luck == luck.amax(dim=1, keepdim=True))
        keep &= tokens != PAD
        stretch = 2 * (tokens == PAD).cumsum(dim=1)  # padding stays where it is: sentences may have some between them
        order = torch.sort(stretch + (~keep & (tokens != PAD)), dim=1, stable=True).indices
        return tokens.masked_fill(~keep, PAD).gather(1, order)


class Synonyms(nn.Module):
    """Replace words by others of the same meaning.

    Args:
        share: of the words in the table that are replaced, in [0, 1].
        path: a text file, UTF-8, with words of the same meaning on a line, separated by spaces; None = a small English
            table.
    """

    def __init__(self, share: float = 0.1, path: str | None = None):
        super().__init__()
        self.share = share_of(share, "augment.synonyms.share")
        self.path = path
        self.register_buffer("table", None, persistent=False)  # (V, S), the synonyms of each token, from the left
        self.register_buffer("count", None, persistent=False)  # (V,), how many it has

    def lines(self) -> list[list[str]]:
        """Lists of words with the same meaning.

        Raises:
            UserError: the file cannot be read.
        """
        if self.path is None:
            text = files("runner.augment").joinpath("synonyms.txt").read_text(encoding="utf-8")
        else:
            try:
                text = Path(self.path).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise UserError(f"augment.synonyms.path={self.path}: {error}") from error
        return [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]

    def connect(self, data: Any) -> None:
        """Convert the table to token numbers of the data."""
        vocabulary = getattr(data.inputs, "vocabulary", None)
        if vocabulary is None:
            raise UserError("augment: Synonyms replaces words; this data has none. Leave augment=text out.")
        others: dict[int, list[int]] = {}
        for line in self.lines():
            known = [token for token in dict.fromkeys(vocabulary.encode(line)) if token not in (PAD, UNK)]
            for token in known:
                others.setdefault(token, []).extend(other for other in known if other != token)
        others = {token: found for token, found in others.items() if found}
        if not others:
            raise UserError(
                f"augment.synonyms.path={self.path}: no two words of one line are in the vocabulary of the data. Give "
                "a table in the language of the data, or leave it out: augment.synonyms=null"
            )
        self.table = torch.zeros(len(vocabulary), max(map(len, others.values())), dtype=torch.int64)
        for token, found in others.items():
            self.table[token, : len(found)] = torch.tensor(found)
        self.count = (self.table != PAD).sum(dim=1)

    def forward(self, tokens: Tensor) -> Tensor:
        check_tokens(tokens, "Synonyms")
        assert self.table is not None, "connect() comes first"
        if self.table.device != tokens.device:
            self.table, self.count = self.table.to(tokens.device), self.count.to(tokens.device)
        count = self.count[tokens]  # (B, T)
        replaced = (torch.rand(tokens.shape, device=tokens.device) < self.share) & (count > 0)
        which = (torch.rand(tokens.shape, device=tokens.device) * count).long().clamp(max=self.table.size(1) - 1)
        return torch.where(replaced, self.table[tokens, which], tokens)
