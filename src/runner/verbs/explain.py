"""`runner predict ... explain=true`: which words of a text mattered, on the screen and as a figure."""

from pathlib import Path

from rich.console import Console
from rich.text import Text

from runner.errors import UserError
from runner.figures import charts
from runner.inference.attribution import GRADIENTS
from runner.inference.predictor import Predictor
from runner.inference.word_weights import answer_name, weighted_words

STRONG = 0.15  # share of the largest weight from which a word is coloured


def show_words(predictor: Predictor, row: dict, figure: Path, console: Console | None = None) -> None:
    """Print the text with its most important words coloured, and draw the weight of each word.

    Args:
        predictor: the trained model.
        row: the raw columns of one text.
        figure: the file to draw, .png, .pdf or .svg.
        console: where to print; None = the screen.
    """
    if figure.suffix not in (".png", ".pdf", ".svg"):
        raise UserError(f"figure is a file that ends in .png, .pdf or .svg; received {str(figure)!r}")
    words, found = weighted_words(predictor, row)
    weights = found.weights[0]
    label = answer_name(predictor, int(found.column[0]))
    console = console or Console(highlight=False, soft_wrap=True)
    console.print(coloured(words, weights.tolist()))
    beside = None if found.beside is None else found.beside[0]
    both = "" if beside is None else f", then {GRADIENTS}"
    console.print(f"words for {label} are green, words against it red; {found.method}{both}:")
    order = weights.abs().argsort(descending=True, stable=True)[:10].tolist()
    for place in order:
        second = "" if beside is None else f"  {beside[place]:+.4f}"
        console.print(Text(f"  {weights[place]:+.4f}{second}  {words[place]}"))
    figure.parent.mkdir(parents=True, exist_ok=True)
    panels = {f"{label}: {found.method}": weights.numpy()}
    panels |= {} if beside is None else {GRADIENTS: beside.numpy()}
    charts.word_weights(words, panels).savefig(figure)
    console.print(str(figure), markup=False)


def coloured(words: list[str], weights: list[float]) -> Text:
    """Return the words in order, the important ones in colour."""
    largest = max(map(abs, weights), default=0.0) or 1.0
    text = Text()
    for word, weight in zip(words, weights, strict=True):
        share = weight / largest
        color = "green" if share > 0 else "red"
        style = "" if abs(share) < STRONG else f"bold {color}" if abs(share) > 0.5 else color
        text.append(word, style=style)
        text.append(" ")
    return text
