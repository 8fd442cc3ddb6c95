"""What a person tries on the page of `runner demo`, without the page: rows, texts and how texts are written.

Whoever sits at the page can send anything, so every function says in a `UserError` what it cannot read. Images are in
`runner.inference.drawings`.
"""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from runner.datamodules.parts.codecs import NumberInputs
from runner.errors import UserError
from runner.figures.alignment import alignment
from runner.inference.predictor import Predictor
from runner.inference.word_weights import answer_name, weighted_words
from runner.tasks.causal_lm import CausalLM
from runner.tasks.sequence_to_sequence import Look, SequenceToSequence

LONGEST_TEXT = 20_000  # characters of a text that is typed
LONGEST_ROW = 1_000_000  # of a row as JSON, which may hold arrays
LONGEST_ANSWER = 2000  # tokens that a language model writes at once
MOST_PATHS = 20  # of beam search
MOST_BOXES = 120  # columns that have a box each


class Answered(NamedTuple):
    """An answer: its label and the probabilities of the classes, if it has them, and everything as it is."""

    label: str | None
    probabilities: dict[str, float]
    whole: dict[str, Any]


class Shaded(NamedTuple):
    """Words with their weights for an answer, the largest being 1 or -1, and how they were found."""

    words: list[tuple[str, float]]
    label: str
    method: str


class Written(NamedTuple):
    """What was written for a source: answers with their scores, best first, and where the net looked."""

    answers: list[tuple[str, float | None]]
    look: Figure | None


# What fits a model.


def has_boxes(predictor: Predictor) -> bool:
    """Whether a row can be typed into a box for each column: texts and numbers, not arrays."""
    kinds = predictor.columns.values()
    return answers_rows(predictor) and 0 < len(kinds) <= MOST_BOXES and set(kinds) <= {"string", "double", "long"}


def answers_rows(predictor: Predictor) -> bool:
    """Whether the objective answers single examples."""
    return bool(predictor.task.answer_columns(predictor.data))


def answers_classes(predictor: Predictor) -> bool:
    """Whether what it answers is a class."""
    return "label" in predictor.task.answer_columns(predictor.data)


def writes(predictor: Predictor) -> bool:
    return isinstance(predictor.task, SequenceToSequence)


def continues(predictor: Predictor) -> bool:
    return isinstance(predictor.task, CausalLM)


def explains(predictor: Predictor) -> bool:
    """Whether it can say which words mattered; tried with a made-up text."""
    if list(predictor.columns.values()) != ["string"]:
        return False
    try:
        weighted_words(predictor, {next(iter(predictor.columns)): "a text"})
    except UserError:
        return False
    return True


def usual_values(predictor: Predictor) -> dict[str, float]:
    """The mean of each number column in training, for its box."""
    inputs = predictor.data.inputs
    if not isinstance(inputs, NumberInputs) or inputs.logs:
        return {}
    return {name: float(f"{value:.3g}") for name, value in zip(inputs.names, np.ravel(inputs.mean), strict=True)}


# What is typed.


def whole_number(value: Any, name: str, least: int, most: int) -> int:
    """Return a whole number.

    Raises:
        UserError: it is none, or out of its range.
    """
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if number is None or not least <= number <= most or number != int(number):
        raise UserError(f"{name} is a whole number from {least} to {most}, received {cut_short(value)}")
    return int(number)


def number_within(value: Any, name: str, least: float, most: float) -> float:
    """Return a number in a range, ends included.

    Raises:
        UserError: it is none, or out of its range.
    """
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not least <= number <= most:
        raise UserError(f"{name} is a number from {least:g} to {most:g}, received {cut_short(value)}")
    return float(number)


def typed_text(value: Any, name: str, most: int = LONGEST_TEXT) -> str:
    """Return a text of reasonable length; whether it may be empty is the model's affair.

    Raises:
        UserError: it is none, or too long.
    """
    if value is not None and not isinstance(value, str):
        raise UserError(f"{name} is a text, received {cut_short(value)}")
    if value and len(value) > most:
        raise UserError(f"{name} has {len(value):,} characters; this page takes {most:,} at most")
    return value or ""


def cut_short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) < 80 else f"{shown[:77]}..."


# Rows.


def answered(predictor: Predictor, row: Mapping[str, Any]) -> Answered:
    """Answer one raw row as `predict` does."""
    (found,) = predictor.answers([("the row", dict(row))])
    names = predictor.data.class_names or []
    shares = {name: found[f"probability_{name}"] for name in names if f"probability_{name}" in found}
    return Answered(found.get("label"), shares, found)


def shaded(predictor: Predictor, row: Mapping[str, Any]) -> Shaded:
    """Return what each word of the text did for the answer."""
    words, found = weighted_words(predictor, dict(row))
    weights = found.weights[0] / found.weights[0].abs().max().clamp(min=1e-12)
    label = answer_name(predictor, int(found.column[0]))
    return Shaded(list(zip(words, weights.tolist(), strict=True)), label, found.method)


def json_row(value: Any) -> dict[str, Any]:
    """Return a row that is typed as JSON.

    Raises:
        UserError: it is no object.
    """
    try:
        row = json.loads(typed_text(value, "the row", LONGEST_ROW))
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f'the row is not JSON ({error}); type it as {{"column": value, ...}}') from None
    if not isinstance(row, dict):
        raise UserError(f'the row is a JSON object, {{"column": value, ...}}; received {cut_short(row)}')
    return row


# Texts that are written.


@contextmanager
def with_settings(task: Any, **settings: Any) -> Iterator[None]:
    """Change attributes of an objective for the duration of the block."""
    before = {name: getattr(task, name) for name in settings}
    try:
        for name, value in settings.items():
            setattr(task, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(task, name, value)


def written_targets(predictor: Predictor, source: Any, paths: Any = 1) -> Written:
    """Write a target for a source; with several paths by beam search, and all of them are returned."""
    task, beam_size = predictor.task, whole_number(paths, "the beam size", 1, MOST_PATHS)
    assert isinstance(task, SequenceToSequence)
    method: Literal["greedy", "beam"] = "greedy" if beam_size == 1 else "beam"
    looks = hasattr(task.net, "step_attention")
    how = replace(task.how, method=method, beam_size=beam_size, n_best=beam_size)
    with with_settings(task, how=how, show_attention=looks):
        row = {next(iter(predictor.columns)): typed_text(source, "the text")}
        found = answered(predictor, row).whole
    several = [(found[f"prediction_{number}"], found[f"score_{number}"]) for number in range(2, beam_size + 1)]
    look = alignment(*Look.restored(found["attention"])) if looks and found["prediction"] else None
    return Written([(found["prediction"], found.get("score_1")), *several], look)


def continued_text(
    predictor: Predictor, prompt: Any, method: Any = "sample", temperature: Any = 0.8, length: Any = 200, seed: Any = 0
) -> str:
    """Let a language model go on with a prompt; `temperature` and `seed` are of sampling."""
    task = predictor.task
    assert isinstance(task, CausalLM)
    how = replace(
        task.how,
        method=method,
        temperature=number_within(temperature, "the temperature", 0.05, 5),
        max_len=whole_number(length, "the length", 1, LONGEST_ANSWER),
        seed=whole_number(seed, "the seed", 0, 2**31 - 1),
    )
    with with_settings(task, how=how):
        return answered(predictor, {next(iter(predictor.columns)): typed_text(prompt, "the text")}).whole[
            "continuation"
        ]
