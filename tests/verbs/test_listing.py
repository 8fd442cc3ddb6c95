"""`runner list` and `runner show`: every choice, so that it can be read and searched."""

import json
import sys

import pytest

from runner.config import catalog
from runner.config.catalog import Catalog, folders
from runner.errors import UserError
from runner.verbs.listing import list_text, show_text

BUILT_IN = Catalog(folders())


def test_list_prints_every_choice_on_one_line():
    text = list_text()
    for group in catalog.KINDS:
        for name in catalog.choices(group):
            assert f"  {name} " in text and BUILT_IN.summary(group, name) in text
    textcnn = text[text.index("  textcnn ") :].splitlines()[1]
    assert textcnn.strip().startswith("reads:") and "movie_reviews" in textcnn
    assert "+ your own table with " in textcnn and "data=csv" in textcnn
    assert "reads: characters, corpus + your own table with data=ptb or data=text8\n" in text


def test_list_as_json():
    found = json.loads(list_text(format="json"))
    assert list(found) == list(catalog.KINDS.values())
    assert found["models"]["textcnn"] == {
        "summary": BUILT_IN.summary("model", "textcnn"),
        "data": BUILT_IN.readable("textcnn"),
    }
    assert "mlp" in found["data"]["iris"]["models"]


@pytest.mark.parametrize(("what", "first"), [("models", "models"), ("optim", "optimizers"), ("callbacks", "callbacks")])
def test_list_of_one_kind(what, first):
    assert list_text(what).startswith(first)
    assert "\n\n" not in list_text(what)


@pytest.mark.parametrize(
    ("call", "fragments"),
    [
        (lambda: list_text("modls"), ['Did you mean "models"?', "Allowed: models, data"]),
        (lambda: show_text("textcn"), ['nothing called "textcn"', 'Did you mean "textcnn"?']),
        (lambda: show_text("models"), ["runner list models"]),
        (lambda: show_text("trainer/defualt"), ['Did you mean "default"?']),
    ],
)
def test_unknown_names(call, fragments):
    with pytest.raises(UserError) as caught:
        call()
    assert all(fragment in str(caught.value) for fragment in fragments), str(caught.value)


@pytest.mark.parametrize("call", [list_text, lambda: show_text("textcnn"), lambda: show_text("iris")])
@pytest.mark.parametrize("width", ["60", "100"])
def test_a_terminal_gets_colours_and_whole_names(monkeypatch, call, width):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", width)
    text = call()
    assert "\x1b[" in text
    for name in ("textcnn", "movie_reviews", "softmax_regression", "iris"):
        assert name in text or call is not list_text


# show


def test_show_a_model():
    text = show_text("textcnn")
    for fragment in (
        "model=textcnn",
        "runner model=textcnn data=movie_reviews",
        "Kim",
        "runner.models.textcnn.TextCNN",
        "textcnn.py:",
        "num_filters: int = 100",
        "Reads",
        "movie_reviews",
        "num_filters: 100",
    ):
        assert fragment in text, fragment


def test_what_a_choice_builds_on_is_shown_with_its_comments_and_not_listed():
    text = show_text("peephole_lstm")
    for fragment in ("cell: CellName = peephole", "pool: mean                # last mean max attention",
                     "base/recurrent.yaml", "hidden_dim: int = 128"):  # fmt: skip
        assert fragment in text, fragment
    assert not {"recurrent", "base/recurrent"} & set(BUILT_IN.choices("model")) and "base" not in BUILT_IN.groups
    assert "movie_reviews" in BUILT_IN.readable("lstm") and BUILT_IN.node("model", "lstm")["cell"] == "lstm"


def test_show_says_what_can_be_added_and_what_is_filled_in():
    text = show_text("adam")
    assert "betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999) (write +optim.betas=...)" in text
    assert "params" not in text
    assert "movie_reviews" in show_text("data=movie_reviews") and "Read by" in show_text("movie_reviews")
    assert "The task of\n  vae" in show_text("variational")


def test_show_an_ambiguous_name_shows_all():
    assert [f"{group}=default" in show_text("default") for group in ("trainer", "callbacks", "tracking")] == [True] * 3
    assert "callbacks=default" not in show_text("trainer/default")


@pytest.mark.parametrize("group", BUILT_IN.groups)
def test_everything_can_be_shown(group):
    for name in BUILT_IN.choices(group):
        text = show_text(f"{group}/{name}")
        assert text.startswith(f"{group}={name}") and "(not found)" not in text
