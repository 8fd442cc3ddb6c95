"""What a net with attention looked at: the words of some test texts.

A net says how much each token counts by its method `attention(tokens)`: (B, T), or (B, R, T) if it weights the tokens R
times over, or None if it has no attention as it is set.

Shape letters: B batch, R weightings (hops), T time (tokens).
"""

import inspect

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from runner.datamodules.base import DataModule
from runner.datamodules.parts.codecs import TextInputs
from runner.figures.shaded_text import shaded_text
from runner.tasks.answers import class_names
from runner.tasks.base import Task
from runner.text.vocabulary import PAD, SPECIALS

SHOWN = 3  # texts


def attention_of(net: nn.Module, tokens: Tensor) -> Tensor | None:
    """How much each token, int64 (B, T), counts, (B, R, T); None if the net does not say."""
    attention = getattr(net, "attention", None)
    if not inspect.ismethod(attention):  # a layer may have this name too
        return None
    with torch.no_grad():
        weights = attention(tokens)
    return weights.unsqueeze(1) if weights is not None and weights.ndim == 2 else weights


def attended_words(task: Task, data: DataModule) -> dict[str, Figure]:
    """Draw what the net of a classifier looked at in the first texts of the test split, if it says so."""
    if not isinstance(data.inputs, TextInputs) or not hasattr(task.net, "attention"):
        return {}
    rows, training = data.raw("test", SHOWN), task.net.training
    task.net.eval()
    answers, weights = task.answer(rows, data), attention_of(task.net, *task.encoded(rows, data))
    task.net.train(training)
    if weights is None:
        return {}
    names, drawn = class_names(data), {}
    for number, (answer, truth) in enumerate(zip(answers, data.targets_of("test"), strict=False)):
        words = data.inputs.tokens(rows[number : number + 1])[0]
        title = f"predicted {answer['label']}, actual {names[truth]}"
        drawn[f"attention_{number + 1}"] = shaded_text(
            *in_sentences(words, weights[number].cpu().numpy(), data.inputs.pipeline.sentence_len), title
        )
    return drawn


def in_sentences(
    words: list[str], weights: np.ndarray, sentence_len: int | None
) -> tuple[list[list[str]], list[np.ndarray]]:
    """Divide words and their weights (R, T) into sentences, without padding."""
    size = sentence_len or len(words)
    sentences, parts = [], []
    for start in range(0, len(words), size):
        real = [place for place in range(start, min(start + size, len(words))) if words[place] != SPECIALS[PAD]]
        sentences.append([words[place] for place in real])
        parts.append(weights[:, real])
    return sentences, parts
