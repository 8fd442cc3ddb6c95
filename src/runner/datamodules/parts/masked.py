"""Pairs of sentences with hidden words: what BERT is pre-trained on.

Source: Jacob Devlin et al., BERT, NAACL 2019, arXiv:1810.04805, section 3.1 and appendix A.1, and the authors' program.
Departure: both halves of a row are one sentence each, not as many as fit.

A row is `<start> first <end> second <end>`. The second sentence is the one that follows in the text, or one of another
document. All of it is drawn again for every epoch, from the generator of the batch.

Shape letters: B batch, T tokens, P hidden places of the row that has most, N sentences, D documents.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from runner.datamodules.parts.batches import IGNORE
from runner.datamodules.parts.codecs import TextInputs, cells
from runner.datamodules.parts.text_pairs import ROOM, segments_of, shares
from runner.datamodules.parts.token_store import TokenStore
from runner.errors import UserError
from runner.text.pipeline import Pipeline
from runner.text.tokenizers import truncated
from runner.text.vocabulary import END, MASK, SPECIALS, START, UNK, Vocabulary

MASKED_MARKS = (*SPECIALS, START, END, MASK)  # special tokens of a vocabulary for hidden words


class Masked(NamedTuple):
    """Two sentences in each row, some words hidden.

    Token numbers (B, T); which sentence a token belongs to (B, T): 0 = first and padding, 1 = second; places of the
    hidden words (B, P); whether the second sentence is from elsewhere (B,): 0 = it follows, 1 = it does not; the words
    that were hidden (B, P), -100 = the row has fewer. All int64.
    """

    tokens: Tensor
    segments: Tensor
    places: Tensor
    elsewhere: Tensor
    target: Tensor


class MaskedSplit:
    """The sentences of some documents, each with the one after it or with one of another document.

    Args:
        sentences: the tokens by sentences, each ending with an end mark.
        index: numbers of the sentences of this split, those of a document one after another, int64 (N,).
        sizes: sentences of each document, in this order, int64 (D,).
        vocab_size: tokens of the vocabulary, whose special ones are MASKED_MARKS.
        max_len: tokens of a row at most, marks included; the longer sentence loses its last words first.
        share: share of the words of a row that are hidden, at least one.
        hidden: share of these that are replaced by the mark for a hidden word.
        changed: share of these that are replaced by any word; the rest stays as it is.
        elsewhere: share of the rows whose second sentence is of another document.

    Raises:
        UserError: a share outside 0 .. 1, rows without room, or a split with no sentences to pair.
    """

    def __init__(
        self,
        sentences: TokenStore,
        index: np.ndarray,
        sizes: np.ndarray,
        vocab_size: int,
        max_len: int = 64,
        share: float = 0.15,
        hidden: float = 0.8,
        changed: float = 0.1,
        elsewhere: float = 0.5,
    ):
        for name, value in (("share", share), ("hidden", hidden), ("changed", changed), ("elsewhere", elsewhere)):
            if not 0 <= value <= 1:
                raise UserError(f"task.masks.{name} is a share, 0 .. 1, received {value}")
        if hidden + changed > 1:
            raise UserError(f"task.masks.hidden and task.masks.changed are more than 1 together: {hidden} + {changed}")
        if max_len < ROOM + 2:
            raise UserError(f"data.max_len={max_len} is too small: three marks and two words make {ROOM + 2}")
        self.sentences, self.index, self.vocab_size, self.max_len = sentences, index, vocab_size, max_len
        self.share, self.hidden, self.changed, self.elsewhere = share, hidden, changed, elsewhere
        ends = sizes.cumsum()  # (D,)
        self.begin = np.repeat(ends - sizes, sizes)  # (N,): the first sentence of the same document
        self.end = np.repeat(ends, sizes)  # (N,): and the one after its last
        self.first = np.flatnonzero(np.arange(len(index)) + 1 < self.end)  # sentences that another one follows
        if not len(self.first) or self.end[0] == len(index):
            raise UserError(
                "pairs of sentences need documents of at least two sentences, and at least two documents in each "
                "split: look at data.document, data.sentence and data.max_words"
            )

    def __len__(self) -> int:
        return len(self.first)

    def gather(self, index: Tensor, draw: torch.Generator) -> Masked:
        first = self.first[index.numpy()]  # (B,)
        elsewhere = torch.rand(len(first), generator=draw) < self.elsewhere  # (B,)
        second = np.where(elsewhere.numpy(), self.of_another(first, draw), first + 1)
        tokens, segments = self.rows(first, second)
        return hide(tokens, segments, elsewhere.long(), self.vocab_size, draw, self.share, self.hidden, self.changed)

    def of_another(self, first: np.ndarray, draw: torch.Generator) -> np.ndarray:
        """One sentence of another document for each, all equally likely."""
        begin, end = self.begin[first], self.end[first]
        others = len(self.index) - (end - begin)  # (B,)
        place = (torch.rand(len(first), generator=draw, dtype=torch.float64).numpy() * others).astype(np.int64)
        return np.where(place < begin, place, place + end - begin)

    def rows(self, first: np.ndarray, second: np.ndarray) -> tuple[Tensor, Tensor]:
        """Tokens and segments (B, T) of pairs of sentences."""
        both = self.sentences.documents(self.index[np.stack([first, second], axis=1).ravel()])
        tokens, starts = [], []
        for one, other in zip(both[::2], both[1::2], strict=True):
            one, other = one[:-1], other[:-1]  # without their end marks
            of_one, of_other = shares(len(one), len(other), self.max_len - ROOM)
            tokens.append([MARK_START, *one[:of_one], MARK_END, *other[:of_other], MARK_END])
            starts.append(of_one + 2)
        made = torch.zeros(len(tokens), max(map(len, tokens)), dtype=torch.int64)
        for row, numbers in enumerate(tokens):
            made[row, : len(numbers)] = torch.as_tensor(np.array(numbers, dtype=np.int64))
        return made, segments_of(made, torch.tensor(starts))


MARK_START, MARK_END, MARK = (MASKED_MARKS.index(mark) for mark in (START, END, MASK))


def hide(
    tokens: Tensor,
    segments: Tensor,
    elsewhere: Tensor,
    vocab_size: int,
    draw: torch.Generator,
    share: float = 0.15,
    hidden: float = 0.8,
    changed: float = 0.1,
) -> Masked:
    """Hide words of rows; see `Masked` and `MaskedSplit`."""
    words = (tokens >= len(MASKED_MARKS)) | (tokens == UNK)  # (B, T)
    count = (words.sum(dim=1) * share).round().long().clamp(min=1)  # (B,)
    mixed = torch.rand(tokens.shape, generator=draw).masked_fill(~words, 2.0).argsort(dim=1)  # words first
    places = mixed[:, : int(count.max())]  # (B, P)
    real = torch.arange(places.size(1)) < count.unsqueeze(1)  # (B, P)
    places = torch.where(real, places, 0)
    target = torch.where(real, tokens.gather(1, places), IGNORE)
    fate = torch.rand(places.shape, generator=draw)
    any_word = torch.randint(len(MASKED_MARKS), vocab_size, places.shape, generator=draw)
    shown = torch.where(fate < hidden, MARK, torch.where(fate < hidden + changed, any_word, target))
    row = torch.arange(len(tokens)).unsqueeze(1).expand_as(places)
    tokens = tokens.index_put((row[real], places[real]), shown[real])
    return Masked(tokens, segments, places, elsewhere, target)


class MaskedTexts(TextInputs):
    """Texts in which words may be hidden: `<mask>` stands for one.

    Args:
        column: name of the raw column.
        pipeline: the function text -> tokens.
        vocabulary: numbers of the tokens, whose special ones are MASKED_MARKS.
    """

    kind = "masked"

    def __init__(self, column: str, pipeline: Pipeline, vocabulary: Vocabulary):
        super().__init__(column, pipeline, vocabulary)

    def tokens(self, rows: list[dict]) -> list[list[str]]:
        """Return the tokens of each row between its marks."""
        return [[START, *self.marked(str(text)), END] for text in cells(rows, self.column)]

    def marked(self, text: str) -> list[str]:
        """Return the tokens of one text, cut so that its marks stay; one without tokens gets an unknown one."""
        found: list[str] = []
        for part in text.split(MASK):
            found += [MASK, *self.pipeline.words(part)]
        most = None if self.max_len is None else self.max_len - 2
        return truncated(found[1:] or [SPECIALS[UNK]], most)

    def decode(self, numbers: Sequence[int]) -> str:  # type: ignore[override]
        """Return the text of token numbers without start and end marks; an unknown token is shown as U+FFFD."""
        return self.pipeline.joined(self.vocabulary.readable(n for n in numbers if n not in (MARK_START, MARK_END)))

    def example(self, rows: int, draw: np.random.Generator) -> list[dict]:
        return [{self.column: f"{row[self.column]} {MASK}"} for row in super().example(rows, draw)]

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        return cls(state["column"], Pipeline.from_state(state), Vocabulary(**state["vocabulary"]))
