"""Judgements and questions about words: their files, and how vectors are scored with them."""

import zipfile

import numpy as np
import pytest
from scipy.stats import spearmanr

from runner.errors import UserError
from runner.files import cache, sources
from runner.tasks import word_similarity
from runner.tasks.word_similarity import read_test, word_test

WORDS = ["king", "man", "woman", "queen", "apple", "pear"]
VECTORS = np.array([[3.0, 1, 0], [0, 1, 0], [0, 0, 1], [3, 0, 1], [-1, 2, 2], [-1, 2, 1.9]])
UNIT = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
NUMBERS = {word: number for number, word in enumerate(WORDS)}


def test_similarity_is_the_correlation_of_ranks_over_the_known_pairs():
    lines = ["# a comment", "King\tqueen\t8.5", "apple,pear,9", "man woman 6", "apple king 1", "king unicorn 10"]
    test = read_test(lines, "here")
    pairs = [("king", "queen"), ("apple", "pear"), ("man", "woman"), ("apple", "king")]
    cosines = [UNIT[NUMBERS[one]] @ UNIT[NUMBERS[other]] for one, other in pairs]
    assert test.score(NUMBERS, UNIT) == pytest.approx(spearmanr(cosines, [8.5, 9, 6, 1]).statistic)


def test_an_analogy_is_the_nearest_word_that_was_not_asked_about():
    test = read_test([": family", "man king woman queen", "woman queen man king", "king man queen apple"], "here")
    assert test.score(NUMBERS, UNIT) == pytest.approx(2 / 3)


def test_without_known_words_there_is_no_score():
    assert read_test(["unicorn gryphon 3"], "here").score(NUMBERS, UNIT) is None


@pytest.mark.parametrize("line", ["one two", "one two three", "a b c d e"])
def test_lines_that_cannot_be_read(line):
    with pytest.raises(UserError, match="here, line 2: "):
        read_test(["king queen 3", line], "here")
    with pytest.raises(UserError, match=r"here, line 2: .*four words"):
        read_test(["king queen 3", "king man queen woman"], "here")


def test_packaged_tests_are_read_from_the_archive(tmp_path, monkeypatch):
    file = tmp_path / "package.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("gensim/test/test_data/wordsim353.tsv", "# heading\nlove\tsex\t6.77\ntiger\tcat\t7.35\n")
    monkeypatch.setattr(sources, "archive", lambda wanted, otherwise: file)
    assert word_test("wordsim353", "packaged").words == [["love", "sex"], ["tiger", "cat"]]
    with pytest.raises(UserError, match="wordsim353, simlex999, analogies"):
        word_test("mine", "packaged")
    with pytest.raises(UserError, match=r"none\.txt"):
        word_test("mine", "none.txt")


def test_offline_says_how_to_do_without(monkeypatch, tmp_path):
    monkeypatch.setenv("RUNNER_OFFLINE", "1")
    monkeypatch.setattr(cache, "folder", lambda: tmp_path)
    with pytest.raises(UserError, match=r"task\.tests=null"):
        word_test("simlex999", "packaged")
    assert word_similarity.ARCHIVE.filename.startswith("gensim-4.4.0")
