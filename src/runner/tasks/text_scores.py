"""How near written texts are to their references: BLEU, chrF, ROUGE-L and exact matches.

Sources: BLEU: Papineni et al., ACL 2002, doi:10.3115/1073083.1073135, and chrF: Popovic, WMT 2015,
doi:10.18653/v1/W15-3049, both as sacrebleu computes them (Post 2018, arXiv:1804.08771), 0 .. 100, of the whole corpus;
ROUGE-L: Lin 2004, the F1 of the longest common subsequence, 0 .. 1, a mean over texts.
"""

from collections.abc import Callable, Iterable, Sequence

from runner.tasks.means import of_all_processes


class TextScores:
    """Collects texts and their references; all processes of a run together.

    Args:
        cut: text -> words, for ROUGE-L.
        bleu_tokenizer: how sacrebleu cuts a text into words: 13a, zh, ja-mecab, char, intl or none.
    """

    def __init__(self, cut: Callable[[str], list[str]], bleu_tokenizer: str = "13a"):
        self.cut, self.bleu_tokenizer = cut, bleu_tokenizer
        self.pairs: list[tuple[str, str]] = []  # what was written, what should have been

    def add(self, written: Iterable[str], references: Iterable[str]) -> None:
        """Add texts with one reference each."""
        self.pairs += zip(written, references, strict=True)

    def compute(self) -> dict[str, float]:
        """Return the scores of all texts; nothing if there are none."""
        pairs = [pair for part in of_all_processes(self.pairs) for pair in part]
        return self.scores(pairs) if pairs else {}

    def scores(self, pairs: Sequence[tuple[str, str]]) -> dict[str, float]:
        """Return the scores of texts and their references, at least one pair."""
        from sacrebleu.metrics import BLEU, CHRF  # late: only what writes texts needs it

        written, references = map(list, zip(*pairs, strict=True))
        bleu = BLEU(tokenize=self.bleu_tokenizer, force=True)
        return {
            "bleu": bleu.corpus_score(written, [references]).score,
            "chrf": CHRF().corpus_score(written, [references]).score,
            "rouge_l": mean(rouge_l(self.cut(one), self.cut(other)) for one, other in pairs),
            "exact_match": mean(float(one.split() == other.split()) for one, other in pairs),
        }


def mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers)


def rouge_l(written: list[str], reference: list[str]) -> float:
    """F1 of the longest common subsequence of two lists of words."""
    common = longest_common(written, reference)
    return 2 * common / max(len(written) + len(reference), 1)


def longest_common(one: list[str], other: list[str]) -> int:
    """Length of the longest sequence of words that both lists have in this order."""
    lengths = [0] * (len(other) + 1)  # of the words of `one` so far and the first words of `other`
    for word in one:
        before = lengths
        lengths = [0]
        for place, its in enumerate(other):
            lengths.append(before[place] + 1 if word == its else max(before[place + 1], lengths[-1]))
    return lengths[-1]
