"""A labelled file gives the metrics that the same rows have in training."""

import csv
from pathlib import Path

import pytest
from recorded_runs import bundle
from tables import write_csv

from runner.errors import UserError
from runner.inference.predictor import Predictor
from runner.inference.scoring import score_file
from runner.verbs.evaluate import scorer


@pytest.mark.parametrize("name", ["textcnn", "iris", "boston", "tfidf"])
def test_a_labelled_file_gives_the_metrics_of_the_split(recorded, tmp_path: Path, name: str) -> None:
    predictor = Predictor(bundle(recorded, name))
    data, task = predictor.data, predictor.task
    data.setup()
    rows, (_, truth) = data.raw("test", len(data.test)), data.examples("test")
    label = data.target_names[0] if data.class_names is None else "label"
    labels = truth if data.class_names is None else [data.class_names[number] for number in truth]
    path = write_csv(tmp_path / "in.csv", [row | {label: said} for row, said in zip(rows, labels, strict=True)])
    metrics, count, worst = score_file(predictor, path, None, tmp_path / "out.csv")
    with open(tmp_path / "out.csv", newline="") as file:
        written = list(csv.DictReader(file))
    assert len(written) == len(rows) == count
    if name == "tfidf":
        expected = task.evaluate(None, data, "test")
    else:
        cfg = predictor.cfg.copy()
        cfg.trainer.limit_test_batches = 1.0
        expected = task.evaluate(scorer(cfg), data, "test")
    assert metrics == pytest.approx({key.split("/")[1]: value for key, value in expected.items()}, rel=1e-4)
    assert worst[0].split(":")[0].startswith(f"{path}, line ")
    if "accuracy" in metrics:
        assert sum(float(row["error"]) == 0 for row in written) / len(rows) == pytest.approx(metrics["accuracy"])


def test_mistakes_in_a_labelled_file_are_named(recorded, tmp_path: Path) -> None:
    predictor = Predictor(bundle(recorded, "csv"))
    path = write_csv(tmp_path / "in.csv", [{"review": "fine", "stars": "god"}])
    with pytest.raises(UserError, match=r'line 2, column "stars": "god" is not a class.*Did you mean "good"'):
        score_file(predictor, path, None, None)
    with pytest.raises(UserError, match=r'no column "star".*Did you mean "stars".*the truth: label=COLUMN'):
        score_file(predictor, path, "star", None)
    path = write_csv(tmp_path / "in.csv", [{"text": "fine", "label": "1"}, {"text": "dull", "label": "negative"}])
    assert score_file(Predictor(bundle(recorded, "textcnn")), path, None, None)[1] == 2


def test_a_text_without_labels_is_scored_as_in_training(trained, tmp_path: Path) -> None:
    predictor = Predictor(trained("char_rnn") / "model")
    (tmp_path / "a.txt").write_text("the cat sat on the mat and looked at the rat\n" * 20)
    metrics, _, worst = score_file(predictor, tmp_path / "a.txt", None, None)
    assert 0 < metrics["loss"] < 6 and worst == []
    (tmp_path / "short.txt").write_text("\n")
    with pytest.raises(UserError, match="the text is too short"):
        score_file(predictor, tmp_path / "short.txt", None, None)
    with pytest.raises(UserError, match=r'line 2 has no column "text"; it has: word'):
        score_file(predictor, write_csv(tmp_path / "a.csv", [{"word": "x"}]), None, None)
