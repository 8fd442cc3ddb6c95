"""A text whose words are shaded by how much they count: what a net with attention looked at."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath

from runner.figures.alignment import readable

WIDTH, INDENT, SPACE, SIZE = 680.0, 14.0, 4.0, 8.0  # of a line, before it, between words, of the letters: points
MOST = 60  # lines of a figure
STRONG, TINY = 4.0, 1e-12


def shaded_text(sentences: Sequence[Sequence[str]], weights: Sequence[np.ndarray], title: str) -> Figure:
    """Words in red by their weight; sentences, if there are several, with a blue mark by the sum of their weights.

    Args:
        sentences: the words of each.
        weights: of the words of each sentence, (R, words): a panel for each of the R rows. What would be below the
            last line of a panel is left out.
        title: above the figure.
    """
    fonts, shown = readable([word for words in sentences for word in words])
    lengths = [len(words) for words in sentences]
    wide = {word: width(word, fonts) for word in set(shown)}
    left, line, ends = places([wide[word] for word in shown], lengths)
    panels, flat = len(weights[0]), np.concatenate(weights, axis=1)  # flat (R, words)
    lines = min(ends[-1], max(MOST // panels, 4))
    figure = Figure(figsize=(WIDTH / 72 + 0.3, 0.5 + panels * (0.2 * lines + 0.25)), layout="constrained", dpi=120)
    for number, axes in enumerate(figure.subplots(panels, 1, squeeze=False)[:, 0]):
        axes.set(xlim=(0, WIDTH), ylim=(lines, 0))
        axes.axis("off")
        if panels > 1:
            axes.set_title(f"hop {number + 1}", loc="left", fontsize=SIZE)
        strength = strengths(flat[number])
        for place in np.flatnonzero(line < lines):
            box = Rectangle((left[place] - 1, line[place] + 0.08), wide[shown[place]] + 2, 0.84)
            box.set(color="tab:red", alpha=0.85 * strength[place], linewidth=0)
            axes.add_patch(box)
            where = (left[place], line[place] + 0.5)
            axes.text(*where, shown[place], va="center", fontsize=SIZE, fontfamily=fonts, parse_math=False)
        sums = strengths(np.array([part[number].sum() for part in weights]))
        for start, end, strong in zip([0, *ends], ends, sums, strict=False):
            if len(sentences) > 1 and start < lines:
                mark = Rectangle((0, start + 0.08), 6, min(end, lines) - start - 0.16)
                mark.set(color="tab:blue", alpha=strong, linewidth=0)
                axes.add_patch(mark)
    figure.suptitle(title, fontsize=9, parse_math=False)
    return figure


def strengths(weights: np.ndarray) -> np.ndarray:
    """Weights (N,) as shades 0 .. 1: 1 is the largest one, if that is at least STRONG times an equal share."""
    return weights / max(weights.max(), STRONG * weights.sum() / len(weights), TINY)


def width(word: str, fonts: list[str]) -> float:
    """Points that a word is wide."""
    return float(TextPath((0, 0), word, size=SIZE, prop=FontProperties(family=fonts)).get_extents().x1)


def places(widths: Sequence[float], lengths: Sequence[int]) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Where words stand when each sentence begins on a line of its own.

    Returns:
        Where each word begins in its line, the number of its line, and the line after each sentence.
    """
    left, line, ends, number, number_of_line = [], [], [], 0, 0
    for length in lengths:
        across = INDENT
        for wide in widths[number : number + length]:
            if across > INDENT and across + wide > WIDTH:
                across, number_of_line = INDENT, number_of_line + 1
            left.append(across)
            line.append(number_of_line)
            across += wide + SPACE
        number, number_of_line = number + length, number_of_line + 1
        ends.append(number_of_line)
    return np.array(left), np.array(line), ends
