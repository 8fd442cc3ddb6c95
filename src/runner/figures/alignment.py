"""Which source words a model looked at while it wrote each target word."""

import importlib.metadata
import logging
from collections.abc import Iterable

import numpy as np
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from rich.cells import cell_len

from runner.figures.charts import new_figure

log = logging.getLogger(__name__)
SHADES = " \u2591\u2592\u2593\u2588"  # of a terminal, from no weight to all of it
MOST, LEAST = 3, 0.05  # source words that are named with their weights, and the smallest weight that is
USUAL = "DejaVu Sans"  # every matplotlib has it; it has no Chinese
FONTS = "noto-cjk-sans-otc"  # the package of the extra "fonts": Noto Sans CJK, one file


def alignment(weights: np.ndarray, read: list[str], written: list[str]) -> Figure:
    """Weights (L, S) as a heat map: written words downwards, source words across."""
    figure, axes = new_figure(min(1.8 + 0.32 * len(read), 14.0), min(1.4 + 0.28 * len(written), 14.0))
    fonts, shown = readable([*read, *written])
    image = axes.imshow(weights, cmap="Greys", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(read)), shown[: len(read)], rotation=90, fontfamily=fonts, parse_math=False)
    axes.set_yticks(range(len(written)), shown[len(read) :], fontfamily=fonts, parse_math=False)
    axes.set(xlabel="read", ylabel="written")
    figure.colorbar(image, ax=axes, label="weight")
    return figure


def alignment_lines(weights: np.ndarray, read: list[str], written: list[str]) -> list[str]:
    """Weights (L, S) for a terminal: for each written word a shade for each source word and the largest weights."""
    width = max(map(cell_len, written), default=0)  # Chinese characters are two cells wide
    lines = []
    for word, row in zip(written, weights, strict=True):
        shades = "".join(SHADES[min(int(weight * len(SHADES)), len(SHADES) - 1)] for weight in row)
        best = [place for place in np.argsort(-row, kind="stable")[:MOST] if row[place] >= LEAST]
        said = "  ".join(f"{read[place]} {row[place]:.2f}" for place in best)
        lines.append(f"{word}{' ' * (width - cell_len(word))}  |{shades}|  {said}")
    return lines


def readable(words: list[str]) -> tuple[list[str], list[str]]:
    """Return fonts that together have the characters, and the words, with code points for what no font has.

    An empty box in a figure says nothing: U+4F60 at least says which character it is.
    """
    fonts = [USUAL]
    missing = lacking(font_manager.findfont(USUAL), "".join(words))
    for path in [*packaged_fonts(), *sorted(font_manager.findSystemFonts())] if missing else []:
        try:
            still = lacking(path, missing)
            if len(still) < len(missing):
                font_manager.fontManager.addfont(path)
                fonts.append(font_manager.FontProperties(fname=path).get_name())
                missing = still
        except (RuntimeError, OSError) as error:  # a file that is not a font
            log.debug("%s: %s", path, error)
        if not missing:
            break
    if missing:
        log.info(
            "No font here has %s: code points are drawn instead. For Chinese: pip install noto-cjk-sans-otc, which is "
            'the extra "fonts", or the system\'s package fonts-noto-cjk.',
            "".join(sorted(missing)),
        )
    return fonts, ["".join(f"U+{ord(one):04X} " if one in missing else one for one in word) for word in words]


def packaged_fonts() -> list[str]:
    """The font of the extra "fonts", if it is installed."""
    try:
        found = importlib.metadata.distribution(FONTS)
    except importlib.metadata.PackageNotFoundError:
        return []
    return [str(found.locate_file(file)) for file in found.files or () if file.suffix in (".ttc", ".otf", ".ttf")]


def lacking(path: str, characters: Iterable[str]) -> set[str]:
    """The characters that a font has no glyph for."""
    known = FT2Font(path).get_charmap()
    return {one for one in characters if ord(one) not in known and not one.isspace()}
