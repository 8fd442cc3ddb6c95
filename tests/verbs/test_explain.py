"""The words that mattered, on the screen and as a figure."""

import io

import pytest
from rich.console import Console

from runner.errors import UserError
from runner.inference.predictor import Predictor
from runner.inference.word_weights import weighted_words
from runner.verbs.explain import coloured, show_words


def test_weighty_words_are_coloured():
    text = coloured(["fine", "the", "dull"], [1.0, 0.05, -0.4])
    assert text.plain == "fine the dull "
    assert [str(span.style) for span in text.spans] == ["bold green", "red"]


def test_words_are_shown_and_drawn(trained, tmp_path):
    predictor = Predictor(trained("textcnn") / "model")
    screen = Console(file=io.StringIO(), width=100)
    show_words(predictor, {"text": "A fine film, zzqqzz!"}, tmp_path / "words.png", screen)
    shown = screen.file.getvalue()
    assert "a fine film zzqqzz (unknown)" in shown and "integrated gradients" in shown
    assert (tmp_path / "words.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UserError, match=r"\.png, \.pdf or \.svg"):
        show_words(predictor, {"text": "A film"}, tmp_path / "words.txt", screen)


def test_words_of_sentences_stand_together(trained):
    words, found = weighted_words(Predictor(trained("han") / "model"), {"text": "A film. Very good! It has a plot"})
    assert " ".join(words) == "a film very good it has a plot" and found.method == "attention weights"
    assert found.weights.shape == (1, 8) and float(found.weights.sum()) == pytest.approx(1)
    assert found.beside is not None and found.beside.shape == (1, 8), "integrated gradients of the same words"


def test_a_table_of_numbers_has_no_words(trained):
    with pytest.raises(UserError, match="nets that read texts"):
        weighted_words(Predictor(trained("mlp") / "model"), {})
