"""Scores of written texts against sacrebleu, an exhaustive search, and known answers."""

import itertools
import random

import pytest
import sacrebleu

from runner.tasks.text_scores import TextScores, longest_common, rouge_l


def test_scores_are_those_of_the_whole_corpus() -> None:
    written = ["the cat sat on the mat", "a dog", "no"]
    references = ["the cat sat on a mat", "a dog barks loudly", "no"]
    scores = TextScores(str.split)
    scores.add(written[:2], references[:2])
    scores.add(written[2:], references[2:])
    found = scores.compute()
    assert found["bleu"] == pytest.approx(sacrebleu.corpus_bleu(written, [references]).score)
    assert found["chrf"] == pytest.approx(sacrebleu.corpus_chrf(written, [references]).score)
    assert found["exact_match"] == pytest.approx(1 / 3)
    assert found["rouge_l"] == pytest.approx((10 / 12 + 4 / 6 + 1) / 3)


def test_chinese_is_cut_into_characters() -> None:
    scores = TextScores(list, "zh")
    scores.add(["我们试试看吧。"], ["我们试试看。"])
    assert scores.compute()["bleu"] == pytest.approx(
        sacrebleu.corpus_bleu(["我们试试看吧。"], [["我们试试看。"]], tokenize="zh").score
    )


def subsequences(words: list[str]) -> set[tuple[str, ...]]:
    return {chosen for size in range(len(words) + 1) for chosen in itertools.combinations(words, size)}


def test_the_longest_common_subsequence_is_the_longest_of_all() -> None:
    draw = random.Random(0)
    for _ in range(50):
        one, other = (draw.choices("abc", k=draw.randrange(7)) for _ in range(2))
        assert longest_common(one, other) == max(map(len, subsequences(one) & subsequences(other)))


def test_nothing_written_is_nothing_in_common() -> None:
    assert rouge_l([], []) == 0
    assert rouge_l([], ["a"]) == 0
    assert TextScores(str.split).compute() == {}
