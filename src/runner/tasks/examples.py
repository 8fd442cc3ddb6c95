"""Small made-up batches from the facts of the data alone: for contracts, `runner doctor` and exports.

Shape letters: B batch, T time (tokens), D targets.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from runner.config.catalog import noted
from runner.datamodules.base import DataModule
from runner.datamodules.parts.batches import IGNORE, Features, Images, Stream, TextPairs, Texts, Windows
from runner.datamodules.parts.mixed import mixed_batch
from runner.datamodules.parts.text_pairs import PairInputs
from runner.errors import UserError
from runner.text.vocabulary import PAD

LENGTH = 12  # tokens, or steps of a signal, where the facts do not say
MIXED = {"vocab_size", "in_features", "category_sizes"}  # facts of a table with columns of several kinds
Facts = Mapping[str, Any]


def with_classes(facts: Facts, read: set[str], rows: int, draw: torch.Generator) -> NamedTuple:
    """Inputs and a class for each, (B,)."""
    return batch(facts, read, rows, draw, torch.arange(rows) % (facts.get("num_classes") or 2))


def with_values(facts: Facts, read: set[str], rows: int, draw: torch.Generator) -> NamedTuple:
    """Inputs and real values for each, (B, D)."""
    made = batch(facts, read, rows, draw, torch.zeros(rows))
    return made._replace(target=torch.randn(rows, facts["num_targets"], generator=draw))


def with_labels(facts: Facts, read: set[str], rows: int, draw: torch.Generator) -> NamedTuple:
    """Inputs and a set of labels for each, 0 or 1, (B, K)."""
    made = batch(facts, read, rows, draw, torch.zeros(rows))
    return made._replace(target=torch.rand(rows, facts["num_labels"], generator=draw).round())


def with_next_tokens(facts: Facts, read: set[str], rows: int, draw: torch.Generator) -> Stream:
    """Tokens and, as their targets, the same tokens shifted by one step, both (B, T)."""
    stream, real = texts(facts, rows, draw)
    return Stream(torch.where(real, stream[:, :-1], PAD), torch.where(real, stream[:, 1:], IGNORE))


def batch(facts: Facts, read: set[str], rows: int, draw: torch.Generator, target: Tensor) -> Any:
    """Texts (B, T) that end in padding, or numbers 0 .. 1 of the shape that the facts describe, with this target.

    A net that reads several of texts, numbers and categories gets all of them side by side.
    """
    if len(kinds := MIXED & read) > 1 and all(facts.get(kind) for kind in kinds):
        return mixed(facts, rows, draw, target)
    if "vocab_size" in read:
        stream, real = texts(facts, rows, draw)
        tokens = torch.where(real, stream[:, :-1], PAD)
        return (
            TextPairs(tokens, halves(real), target) if "text_pairs" in noted(facts, "asks") else Texts(tokens, target)
        )
    if "image_shape" in read:
        return Images(torch.rand(rows, *facts["image_shape"], generator=draw), target)
    if {"num_steps", "num_channels"} & read:
        steps, channels = facts.get("num_steps") or LENGTH, facts.get("num_channels", 1)
        return Windows(torch.rand(rows, steps, channels, generator=draw), target)
    if "in_features" in read:
        return Features(torch.rand(rows, facts["in_features"], generator=draw), target)
    raise UserError(
        "the model reads none of vocab_size, image_shape, num_steps, num_channels and in_features from its data, "
        "so no example can be made up for it. Pass it one of them in its YAML, for example "
        '"in_features: ${data.in_features}", or let its objective define example().'
    )


def mixed(facts: Facts, rows: int, draw: torch.Generator, target: Tensor) -> Any:
    """Numbers (B, F), categories (B,) of each column and tokens (B, T), as far as the facts name them."""
    numbers, sizes, words = (facts.get(kind) for kind in ("in_features", "category_sizes", "vocab_size"))
    columns = [torch.rand(rows, numbers, generator=draw)] if numbers else []
    columns += [torch.arange(rows) % size for size in sizes or ()]
    if words:
        stream, real = texts(facts, rows, draw)
        columns.append(torch.where(real, stream[:, :-1], PAD))
    return mixed_batch(bool(numbers), len(sizes or ()), bool(words))(*columns, target)


def texts(facts: Facts, rows: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Token numbers (B, T + 1), and which of the first T are real: T, T/2, T/4 ... 1 of them."""
    length = facts.get("context_len") or facts.get("max_len") or LENGTH
    stream = torch.randint(2, facts["vocab_size"], (rows, length + 1), generator=draw)
    lengths = torch.tensor([max(length >> row, 1) for row in range(rows)])  # (B,)
    return stream, torch.arange(length) < lengths[:, None]


def halves(real: Tensor) -> Tensor:
    """Segments (B, T) of rows of two texts: 1 for the second half of the real tokens, at least for the last one."""
    place, half = torch.arange(real.size(1)), real.sum(dim=1, keepdim=True) // 2
    return (real & (place >= half)).long()


def of_length(data: DataModule, rows: int, length: int) -> tuple[Tensor, ...]:
    """Random inputs like the encoded rows of this data: `rows` of them and, if they are tokens, `length` long.

    Of pairs of texts, the last input says which text a token belongs to: 0 or 1.
    """
    draw = torch.Generator().manual_seed(0)
    vocabulary = getattr(data.inputs, "vocabulary", None)
    made = []
    assert data.inputs is not None, "data that is encoded has inputs"
    for example in data.encode(data.inputs.example(1, np.random.default_rng(0))):
        if example.is_floating_point():
            made.append(torch.randn((rows, *example.shape[1:]), generator=draw).to(example.dtype))
        else:
            of_pairs = isinstance(data.inputs, PairInputs) and len(made) == 1
            highest = 2 if of_pairs else len(vocabulary) if vocabulary is not None else int(example.max()) + 1
            shape = (rows, length, *example.shape[2:]) if example.ndim > 1 else (rows,)
            made.append(torch.randint(0 if of_pairs else 1, max(highest, 2), shape, generator=draw))
    return tuple(made)
