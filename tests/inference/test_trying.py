"""What is behind the page of `runner demo`: rows, texts that are written, and what is refused."""

import json
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from recorded_runs import bundle
from small_runs import untrained

from runner.errors import UserError
from runner.inference import trying
from runner.inference.predictor import Predictor


def test_texts_are_answered_and_their_words_weighed(recorded) -> None:
    model = Predictor(bundle(recorded, "textcnn"))
    assert trying.has_boxes(model) and trying.explains(model) and not trying.writes(model)
    answer = trying.answered(model, {"text": "a fine film"})
    assert answer.probabilities.keys() == {"negative", "positive"} and sum(answer.probabilities.values()) == (
        pytest.approx(1)
    )
    assert answer.whole == next(model([{"text": "a fine film"}])) and answer.label in answer.probabilities
    found = trying.shaded(model, {"text": "a fine film"})
    assert [word for word, _ in found.words] == ["a", "fine", "film"] and found.label == answer.label
    assert max(abs(weight) for _, weight in found.words) == pytest.approx(1)
    with pytest.raises(UserError, match="the text is empty"):
        trying.answered(model, {"text": " "})


def test_a_table_has_a_box_for_each_column_with_its_mean(recorded) -> None:
    model = Predictor(bundle(recorded, "iris"))
    assert trying.has_boxes(model) and trying.answers_classes(model) and not trying.explains(model)
    usual = trying.usual_values(model)
    assert list(usual) == list(model.columns) and usual["petal_length"] == pytest.approx(3.76, abs=0.3)
    with pytest.raises(UserError, match="column \"petal_width\": '' is not a number"):
        trying.answered(model, {**usual, "petal_width": ""})


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("{", "is not JSON"),
        ("[1]", "is a JSON object"),
        ("[" * 9000, "is not JSON"),
        (None, "is not JSON"),
        (3, "text"),
    ],
)
def test_a_row_is_a_json_object(typed, said: str) -> None:
    assert trying.json_row('{"a": 1}') == {"a": 1}
    with pytest.raises(UserError, match=said):
        trying.json_row(typed)


def test_a_source_is_written_by_one_or_several_paths(tmp_path: Path) -> None:
    model = untrained(tmp_path, "attention_seq2seq")
    assert trying.writes(model)
    before = model.task.how
    best = trying.written_targets(model, "abcd")
    assert best.answers == [(next(model([{"source": "abcd"}]))["prediction"], None)] and isinstance(best.look, Figure)
    several = trying.written_targets(model, "abcd", 3).answers
    assert len(several) == 3 and several == sorted(several, key=lambda one: -one[1])
    for size in (0, 21, 2.5, "3", None, float("nan"), 10**400, True):
        with pytest.raises(UserError, match="the beam size is a whole number from 1 to 20"):
            trying.written_targets(model, "abcd", size)
    with pytest.raises(UserError, match="the text is empty"):
        trying.written_targets(model, "", 2)
    assert model.task.how is before and not model.task.show_attention


def test_a_prompt_is_continued_as_the_settings_say(tmp_path: Path) -> None:
    model = untrained(tmp_path, "char_rnn")
    assert trying.continues(model)
    one, same, other = (trying.continued_text(model, "The film", seed=seed, length=40) for seed in (1, 1, 2))
    assert one == same != other and len(one) == 40
    greedy = {trying.continued_text(model, "The film", "greedy", seed=seed, length=40) for seed in (1, 2)}
    assert len(greedy) == 1
    for settings, said in (
        ({"method": "loud"}, "task.method must be one of"),
        ({"temperature": 0}, "the temperature is a number from 0.05 to 5"),
        ({"length": 1e9}, "the length is a whole number"),
        ({"seed": -1}, "the seed is a whole number"),
    ):
        with pytest.raises(UserError, match=said):
            trying.continued_text(model, "The film", **settings)
    with pytest.raises(UserError, match="20,001 characters"):
        trying.continued_text(model, "x" * 20_001)


def test_a_table_with_many_columns_is_typed_as_json(recorded, monkeypatch) -> None:
    monkeypatch.setattr(trying, "MOST_BOXES", 3)
    model = Predictor(bundle(recorded, "iris"))
    assert trying.answers_rows(model) and not trying.has_boxes(model)
    row = trying.usual_values(model)
    assert trying.answered(model, trying.json_row(json.dumps(row))).whole == next(model([row]))
