"""Perplexity of counts: by hand, and as the command reports it."""

import math

import numpy as np
import pytest
from small_runs import result

from runner.inference.predictor import Predictor


def test_unigrams_of_a_text(tmp_path):
    (tmp_path / "a.txt").write_text("the cat sat\n" * 60 + "a dog ran\n" * 40)
    command = ["model=ngram", "model.n=1", "data=corpus", f"data.path={tmp_path / 'a.txt'}", "data.vocab_size=20"]
    found = result(command, tmp_path / "run")
    assert found["test/perplexity"] == pytest.approx(math.exp(found["test/loss"]))
    predictor = Predictor(tmp_path / "run" / "model")
    shares = predictor.task.net.lowest
    words = predictor.data.inputs.vocabulary
    assert shares[words.numbers["the"]] / shares[words.numbers["dog"]] == pytest.approx(60 / 40, rel=0.25)
    predictor.task.start_scoring()
    predictor.task.score([{"text": "the dog\n"}], None, predictor.data)
    wanted = -np.log(shares[words.encode(["the", "dog", "<end>"])]).mean()
    assert predictor.task.scores()["loss"] == pytest.approx(wanted, rel=1e-5)


def test_more_context_is_better_and_texts_are_continued(tmp_path):
    (tmp_path / "a.txt").write_text("the cat sat on the mat\nthe dog lay on the rug\n" * 50)
    base = ["model=ngram", "data=corpus", f"data.path={tmp_path / 'a.txt'}", "data.vocab_size=20", "task.method=greedy"]
    losses = [result([*base, f"model.n={n}"], tmp_path / f"{n}")["test/loss"] for n in (1, 2, 4)]
    assert losses == sorted(losses, reverse=True)
    predictor = Predictor(tmp_path / "4" / "model")
    (answer,) = predictor.task.answer([{"text": "the cat sat on"}], predictor.data)
    assert answer["continuation"].startswith("the mat\nthe")
