"""Trees written with brackets, as tables of their nodes.

Two forms are read: `(3 (2 fine) (2 film))` of treebanks, where each bracket opens with the label of a node (a category
of the Penn Treebank, a sentiment 0 .. 4), and `[MAX 2 9 [MIN 4 7 ] 0 ]`, where it opens with what is done to the rest.

Shape letters: B trees, N nodes of the largest.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from runner.datamodules.parts.batches import IGNORE, padded
from runner.datamodules.parts.codecs import Codec, cells
from runner.errors import UserError
from runner.text.vocabulary import Vocabulary

PIECES = re.compile(r"[()\[\]]|[^\s()\[\]]+")
CLOSING = {"(": ")", "[": "]"}
INNER = "("  # the token of a node that has none of its own


class TreeBatch(NamedTuple):
    """Nodes of B trees: tokens (B, N), parents counted from 1 (B, N), of a root itself, classes (B, N); int64."""

    tokens: Tensor
    parents: Tensor
    target: Tensor


class Tree(NamedTuple):
    """The nodes of a tree, children before their parents, the root last.

    Attributes:
        words: the token of each.
        parents: the number of its parent, from 0; of the root its own.
        labels: what a treebank says of each; None = nothing.
    """

    words: list[str]
    parents: list[int]
    labels: list[str | None]

    def children(self) -> list[list[int]]:
        """The numbers of the children of each node, in order."""
        found: list[list[int]] = [[] for _ in self.words]
        for number, parent in enumerate(self.parents):
            if parent != number:
                found[parent].append(number)
        return found


class Bracket(NamedTuple):
    """A bracket that is still open: its kind, the words in it so far, and the nodes."""

    kind: str
    words: list[str]
    nodes: list[int]


def read_trees(text: str, place: str) -> Iterator[Tree]:
    """Yield the trees of a text, which may extend over several lines each.

    Args:
        text: brackets and words.
        place: where it is from, for errors.

    Raises:
        UserError: a bracket that is not closed, or that holds nothing or too much.
    """
    tree, opened = Tree([], [], []), list[Bracket]()
    for piece in PIECES.findall(text):
        if piece in CLOSING:
            opened.append(Bracket(piece, [], []))
        elif not opened:
            raise wrong(place, f"{piece!r} outside of any bracket", text)
        elif piece not in CLOSING.values():
            bracket = opened[-1]
            if bracket.kind == "[" and bracket.words:  # an argument
                bracket.nodes.append(add(tree, piece, [], None))
            else:
                bracket.words.append(piece)
        elif CLOSING[opened[-1].kind] != piece:
            raise wrong(place, f"{piece!r} closes {opened[-1].kind!r}", text)
        else:
            bracket = opened.pop()
            if not well_formed(bracket):
                raise wrong(place, f"a bracket with the words {bracket.words} and {len(bracket.nodes)} brackets", text)
            if opened:
                opened[-1].nodes.append(close(tree, bracket))
            else:
                if bracket.words or len(bracket.nodes) > 1:  # not the outer bracket of ( (S ...) )
                    close(tree, bracket)
                yield tree
                tree = Tree([], [], [])
    if opened:
        raise wrong(place, f"{len(opened)} brackets that are not closed", text)


def well_formed(bracket: Bracket) -> bool:
    """Whether it has an operation and arguments; or a label at most, and then brackets or a word."""
    if bracket.kind == "[":
        return bool(bracket.words and bracket.nodes)
    return len(bracket.words) <= 1 if bracket.nodes else 1 <= len(bracket.words) <= 2


def close(tree: Tree, bracket: Bracket) -> int:
    """Add the node of a bracket; return its number."""
    if bracket.kind == "[":
        return add(tree, bracket.words[0], bracket.nodes, None)
    if bracket.nodes:
        return add(tree, INNER, bracket.nodes, bracket.words[0] if bracket.words else None)
    *label, word = bracket.words
    return add(tree, word, [], label[0] if label else None)


def add(tree: Tree, word: str, children: list[int], label: str | None) -> int:
    """Add a node; return its number."""
    number = len(tree.words)
    tree.words.append(word)
    tree.parents.append(number)
    tree.labels.append(label)
    for child in children:
        tree.parents[child] = number
    return number


def wrong(place: str, what: str, text: str) -> UserError:
    return UserError(
        f"{place}: found {what} in {text[:60]!r}. A tree is written (3 (2 fine) (2 film)) or [MAX 2 9 [MIN 4 7 ] 0 ]"
    )


class TreeInputs(Codec):
    """Trees as the tokens and the parents of their nodes.

    Args:
        vocabulary: numbers of the tokens.
        operations: whether trees are of the form [MAX 2 9 ], for made-up ones; else (S (NP it) (VP is)).
        column: name of the raw column.
    """

    kind = "trees"

    def __init__(self, vocabulary: Vocabulary, operations: bool, column: str = "text"):
        self.vocabulary, self.operations, self.column = vocabulary, operations, column

    @property
    def columns(self) -> dict[str, str]:
        return {self.column: "string"}

    def trees(self, rows: list[dict]) -> list[Tree]:
        """Return the tree of each row.

        Raises:
            UserError: a row has none, or several.
        """
        found = []
        for number, text in enumerate(cells(rows, self.column), 1):
            trees = list(read_trees(str(text), f"row {number}"))
            if len(trees) != 1:
                raise wrong(f"row {number}", f"{len(trees)} trees instead of one", str(text))
            found += trees
        return found

    def encode(self, rows: list[dict]) -> tuple[Tensor, ...]:
        """Return tokens and parents, both int64 (B, N)."""
        store = TreeStore(self.trees(rows), self.vocabulary, {})
        return tuple(store.gather(torch.arange(len(rows)), torch.Generator())[:2])

    def example(self, rows: int, draw: np.random.Generator) -> list[dict]:
        words = self.vocabulary.tokens[len(self.vocabulary.specials) :] or ["word"]
        begin, end = ("[{} ", " ]") if self.operations else ("(", ")")

        def made(depth: int) -> str:
            word = str(draw.choice(words))
            if not depth or draw.random() < 0.5:
                return word if self.operations else f"(x {word})"
            inner = " ".join(made(depth - 1) for _ in range(draw.integers(2, 4)))
            return f"{begin.format(word)}{inner}{end}" if self.operations else f"(x {inner})"

        return [{self.column: made_up if made_up[0] in CLOSING else f"[{made_up} {made_up} ]"}
                for made_up in (made(3) for _ in range(rows))]  # fmt: skip

    def state(self) -> dict[str, Any]:
        return {"vocabulary": self.vocabulary.state(), "operations": self.operations, "column": self.column}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        return cls(Vocabulary(**state["vocabulary"]), state["operations"], state["column"])


class TreeStore:
    """Trees of unequal size, their nodes one after another; a batch is padded to its own largest.

    Args:
        trees: all rows.
        vocabulary: numbers of the tokens.
        classes: number of the class of each label.
        every_node: whether all labels are targets, or those of roots alone.
    """

    def __init__(self, trees: Sequence[Tree], vocabulary: Vocabulary, classes: dict[str, int], every_node: bool = True):
        sizes = np.array([len(tree.words) for tree in trees], dtype=np.int64)
        self.offsets = np.concatenate([[0], sizes.cumsum()])
        self.tokens = np.array([number for tree in trees for number in vocabulary.encode(tree.words)], dtype=np.int32)
        self.parents = np.array([parent + 1 for tree in trees for parent in tree.parents], dtype=np.int32)
        labels = [classes.get(str(label), -1) + 1 for tree in trees for label in tree.labels]
        self.labels = np.array(labels, dtype=np.int32)  # from 1; 0 = none
        if not every_node:
            inner = np.ones(len(labels), dtype=bool)
            inner[self.offsets[1:] - 1] = False
            self.labels[inner] = 0

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def lengths(self) -> Tensor:
        """Nodes of each tree, int64 (N,)."""
        return torch.from_numpy(np.diff(self.offsets))

    def gather(self, index: Tensor, draw: torch.Generator) -> TreeBatch:
        largest = int(np.diff(self.offsets).max(initial=1))
        tokens, parents, labels = (
            padded(column, self.offsets, index, largest) for column in (self.tokens, self.parents, self.labels)
        )
        return TreeBatch(tokens, parents, torch.where(labels > 0, labels - 1, IGNORE))
