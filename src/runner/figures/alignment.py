"""Which source words a model looked at while it wrote each target word."""

import logging
from collections.abc import Iterable

import numpy as np
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font

from runner.figures.charts import new_figure

log = logging.getLogger(__name__)


def alignment(weights: np.ndarray, read: list[str], written: list[str]) -> Figure:
    """Weights (L, S) as a heat map: written words downwards, source words across."""
    figure, axes = new_figure(min(1.8 + 0.32 * len(read), 14.0), min(1.4 + 0.28 * len(written), 14.0))
    font, shown = readable([*read, *written])
    image = axes.imshow(weights, cmap="Greys", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(read)), shown[: len(read)], rotation=90, fontfamily=font)
    axes.set_yticks(range(len(written)), shown[len(read) :], fontfamily=font)
    axes.set(xlabel="read", ylabel="written")
    figure.colorbar(image, ax=axes, label="weight")
    return figure


def readable(words: list[str]) -> tuple[str, list[str]]:
    """Return a font that has all characters, and the words; without such a font, their code points instead.

    An empty box in a figure says nothing: U+4F60 at least says which character it is.
    """
    usual = "DejaVu Sans"
    missing = lacking(font_manager.findfont(usual), "".join(words))
    if not missing:
        return usual, words
    for path in sorted(font_manager.findSystemFonts()):
        try:
            if not lacking(path, "".join(words)):
                font_manager.fontManager.addfont(path)
                return font_manager.FontProperties(fname=path).get_name(), words
        except (RuntimeError, OSError) as error:  # a file that is not a font
            log.debug("%s: %s", path, error)
    log.info(
        "No font here has the characters of the alignment, so they are shown as code points; for Chinese, for example, "
        "install fonts-noto-cjk."
    )
    return usual, ["".join(f"U+{ord(one):04X} " if one in missing else one for one in word) for word in words]


def lacking(path: str, characters: Iterable[str]) -> set[str]:
    """The characters that a font has no glyph for."""
    known = FT2Font(path).get_charmap()
    return {one for one in characters if ord(one) not in known and not one.isspace()}
