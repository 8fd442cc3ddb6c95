"""Trees: sentences of a treebank with labels, or made-up operations on lists and numbers whose value is asked for.

Sources: ListOps: Nangia and Bowman, 2018, arXiv:1804.06028 (MAX, MIN, MED and SM, the sum modulo 10, of digits). Files:
the Penn Treebank (Marcus et al. 1993) and the Stanford Sentiment Treebank (Socher et al. 2013) have the same brackets.
"""

import hashlib
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from runner.datamodules.base import DataModule
from runner.datamodules.corpus import NAMED, OWN_SPLIT
from runner.datamodules.parts.batches import Subset
from runner.datamodules.parts.brackets import Tree, TreeInputs, TreeStore, read_trees
from runner.datamodules.parts.codecs import Codec
from runner.datamodules.parts.prepared import Prepared
from runner.datamodules.parts.splits import OWN
from runner.datamodules.parts.targets import Classes, Targets
from runner.datamodules.parts.tensors import ArrayRows
from runner.datamodules.parts.texts import TextRow
from runner.datamodules.text_classes import Found, TextClasses
from runner.errors import UserError
from runner.files.tables import missing
from runner.text.vocabulary import SPECIALS, Vocabulary

Made = Literal["list_operations", "arithmetic"]
OPERATIONS: dict[str, dict[str, Callable[[list[int]], int]]] = {
    "list_operations": {
        "MAX": max,
        "MIN": min,
        "MED": lambda values: sorted(values)[len(values) // 2],
        "SM": lambda values: sum(values) % 10,
    },
    "arithmetic": {
        "+": lambda values: (values[0] + values[1]) % 10,
        "-": lambda values: (values[0] - values[1]) % 10,
        "*": lambda values: (values[0] * values[1]) % 10,
    },
}
ARGUMENTS = {"list_operations": (2, 5), "arithmetic": (2, 2)}  # fewest and most of an operation
NESTED = {"list_operations": 0.3, "arithmetic": 0.6}  # share of the arguments that are operations
ENDINGS = (".txt", ".mrg", ".ptb", ".tree", ".trees")  # of the files in a folder that are read
DIGITS = [str(digit) for digit in range(10)]


def made_trees(made: Made, rows: int, depth: int, seed: int) -> Iterator[str]:
    """Yield random operations on digits, such as [MAX 2 9 [MIN 4 7 ] 0 ], none of them twice.

    Args:
        made: which operations.
        rows: how many.
        depth: operations inside one another, at most.
        seed: of the random numbers.
    """
    draw, seen = random.Random(seed), set[str]()
    names, (fewest, most) = list(OPERATIONS[made]), ARGUMENTS[made]

    def operation(left: int) -> str:
        inner = [argument(left - 1) for _ in range(draw.randint(fewest, most))]
        return f"[{draw.choice(names)} {' '.join(inner)} ]"

    def argument(left: int) -> str:
        return operation(left) if left and draw.random() < NESTED[made] else draw.choice(DIGITS)

    while len(seen) < rows:
        if (text := operation(depth)) not in seen:
            seen.add(text)
            yield text


def valued(tree: Tree, made: Made) -> Tree:
    """Label each node with its value."""
    values = list[int]()
    for word, children in zip(tree.words, tree.children(), strict=True):
        values.append(OPERATIONS[made][word]([values[child] for child in children]) if children else int(word))
    return tree._replace(labels=[str(value) for value in values])


@dataclass(kw_only=True, eq=False, repr=False)
class Trees(DataModule):
    """Trees with a class each, or one for every node.

    Args:
        path: a file of trees, or a folder with files named .txt, .mrg, .ptb, .tree or .trees; one whose name has
            train, valid, dev or test in it belongs to that split. None = they are made here.
        made: which operations are made here.
        rows: trees that are made, in [1, 1000000].
        depth: made-up operations inside one another, at least 3.
        every_node: whether the class of every node is learned, or that of roots alone.
        num_classes: declared number of classes.
        max_children: children that an ordered net tells apart, at least 1.
        vocab_size: at most this many tokens in the vocabulary, including PAD and UNK, at least 3.
        min_count: words rarer than this in the training split become UNK, at least 1.
        bucket: whether trees of similar size come together in a training batch.
        short_first: in this many epochs at the beginning the trees come from short to long, at least 0.
    """

    path: str | None = None
    made: Made = "list_operations"
    rows: int = 20_000
    depth: int = 5
    every_node: bool = False
    num_classes: int = 10
    max_children: int = 5
    vocab_size: int = 20_000
    min_count: int = 1
    bucket: bool = False
    short_first: int = 0

    def prepare(self) -> Prepared:
        trees, texts, own, source = self.read() if self.path else self.make()
        roots = [tree.labels[-1] for tree in trees]
        unlabelled = roots.index(None) if None in roots else None
        if unlabelled is not None:
            raise UserError(f"{source}: tree {unlabelled + 1} has no label at its root: {texts[unlabelled][:60]!r}")
        names = sorted({str(label) for label in roots})
        if self.every_node:
            names = sorted({label for tree in trees for label in tree.labels if label is not None})
        classes = {name: number for number, name in enumerate(names)}
        target = np.array([classes[str(label)] for label in roots], dtype=np.int64)
        splits = self.splitting(len(trees), target, own if own.any() else None)
        counts = Counter(word for row in splits.train for word in trees[row].words)
        vocabulary = Vocabulary.build(counts, self.vocab_size, self.min_count)
        store = TreeStore(trees, vocabulary, classes, self.every_node)
        targets = Classes(names)
        train, val, test = (Subset(store, torch.from_numpy(index)) for index in splits)
        return Prepared(
            TreeInputs(vocabulary, operations=self.path is None),
            targets,
            train,
            val,
            test,
            rows=ArrayRows({"text": np.array(texts, dtype=object)}, target, splits),
            source=source,
            digest=hashlib.sha256("\n".join(texts).encode()).hexdigest(),
            facts=targets.facts,
        )

    def make(self) -> tuple[list[Tree], list[str], np.ndarray, str]:
        """Return made-up trees, as trees and as texts, the splits they belong to, and where they are from."""
        texts = list(made_trees(self.made, self.rows, self.depth, self.split_seed))
        trees = [valued(tree, self.made) for tree in read_trees("\n".join(texts), "made here")]
        return (
            trees,
            texts,
            np.zeros(len(texts)),
            f"made here: {self.rows} trees of {self.made}, seed {self.split_seed}",
        )

    def read(self) -> tuple[list[Tree], list[str], np.ndarray, str]:
        """The same of files."""
        path = Path(str(self.path))
        files = sorted(file for file in path.rglob("*") if file.suffix in ENDINGS) if path.is_dir() else [path]
        if not path.exists():
            raise missing(path, str(path))
        trees, texts, own = list[Tree](), list[str](), list[int]()
        for file in files:
            named = OWN_SPLIT.search(file.stem.lower())
            for tree in read_trees(file.read_text(encoding="utf-8"), str(file)):
                trees.append(tree._replace(labels=[plain(label) for label in tree.labels]))
                texts.append(bracketed(tree))
                own.append(OWN[NAMED[named[1]] if named else None])
        if not trees:
            raise UserError(f"{path} is empty, expected trees such as (3 (2 fine) (2 film))")
        return trees, texts, np.array(own), str(path)

    def small(self, facts: dict[str, Any]) -> tuple[Codec, Targets | None] | None:
        words = [chr(ord("a") + number) for number in range(facts["vocab_size"] - len(SPECIALS))]
        return TreeInputs(Vocabulary([*SPECIALS, *words]), operations=True), Classes(
            [f"class {number}" for number in range(facts["num_classes"])]
        )


def plain(label: str | None) -> str | None:
    """Return a label of a treebank without its function tags: NP-SBJ is NP."""
    return label if label is None or label.startswith("-") else re.split("[-=|]", label)[0]


def bracketed(tree: Tree) -> str:
    """Return a tree on one line."""
    made = list[str]()
    for word, label, children in zip(tree.words, tree.labels, tree.children(), strict=True):
        inner = " ".join(made[child] for child in children) if children else word
        made.append(inner if label is None and not children else f"({label or ''} {inner})")
    return made[-1]


@dataclass(kw_only=True, eq=False, repr=False)
class ListOperations(TextClasses):
    """The made-up trees of `Trees` as texts, for nets that read a sequence; the same rows in the same splits.

    Args:
        made: which operations.
        rows: how many are made, in [1, 1000000].
        depth: operations inside one another, at least 3.
    """

    made: Made = "list_operations"
    rows: int = 20_000
    depth: int = 5
    num_classes: int = 10
    max_len: int = 500
    tokenizer: str = "space"

    def find(self) -> Found:
        texts = list(made_trees(self.made, self.rows, self.depth, self.split_seed))
        return Found(
            self.made,
            lambda: labelled_texts(texts, self.made),
            DIGITS,
            source=f"made here: {self.rows} texts of {self.made}, seed {self.split_seed}",
            digest=hashlib.sha256("\n".join(texts).encode()).hexdigest(),
            reading={},
        )


def labelled_texts(texts: Sequence[str], made: Made) -> Iterator[TextRow]:
    """Yield made-up operations with their values."""
    for text, tree in zip(texts, read_trees("\n".join(texts), "made here"), strict=True):
        yield TextRow(text, str(valued(tree, made).labels[-1]))
