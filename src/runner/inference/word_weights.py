"""The words of a raw text with what each of them did for a trained model's answer."""

from torch import nn

from runner.datamodules.parts.codecs import TextInputs
from runner.errors import UserError
from runner.inference.attribution import Explanation, explain_answers
from runner.inference.predictor import Predictor, cleaned
from runner.tasks.answers import value_names
from runner.text.vocabulary import PAD


def weighted_words(predictor: Predictor, row: dict) -> tuple[list[str], Explanation]:
    """Return the words of a text that a net sees, unknown ones marked, and their weights."""
    task, data = predictor.task, predictor.data
    if not isinstance(task.net, nn.Module) or not isinstance(data.inputs, TextInputs):
        raise UserError(f"explain=true is for nets that read texts; this is {type(task.net).__name__}")
    clean = cleaned(row, predictor.columns, "the row")
    (tokens,) = task.encoded([clean], data)
    found = explain_answers(task.net, tokens)
    words, real = data.inputs.tokens([clean])[0], tokens[0] != PAD  # sentences may have padding between them
    known = data.inputs.vocabulary.numbers
    marked = [word if word in known else f"{word} (unknown)" for word, keep in zip(words, real, strict=True) if keep]
    beside = None if found.beside is None else found.beside[:, real].cpu()
    return marked, Explanation(found.weights[:, real].cpu(), found.method, found.column.cpu(), beside)


def answer_name(predictor: Predictor, column: int) -> str:
    """Return what a column of the net's answer means."""
    return (predictor.data.class_names or value_names(predictor.data))[column]
