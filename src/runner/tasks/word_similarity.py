"""What people know about words: how similar two are, and questions such as "man is to king as woman is to ...".

Sources: WordSim-353: Lev Finkelstein et al., Placing Search in Context, 2002; SimLex-999: Felix Hill, Roi Reichart and
Anna Korhonen, 2015; questions-words: Tomas Mikolov et al., 2013, arXiv:1301.3781, section 4.1. They are test data of
the package gensim, from which they are read without installing it.

Shape letters: P pairs, Q questions, V words, E numbers of a vector.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import spearmanr

from runner.errors import UserError
from runner.files import sources
from runner.files.tables import missing

ARCHIVE = sources.Archive(
    kind="pip",
    name="gensim",
    version="4.4.0",
    filename="gensim-4.4.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    sha256="91a7fa5e814e7b1bad4b2dffa8d62c1e55410d5cbdf930714c1997ffb4404db8",
)
FOLDER = "gensim/test/test_data"
PACKAGED = {"wordsim353": "wordsim353.tsv", "simlex999": "simlex999.txt", "analogies": "questions-words.txt"}
OTHERWISE = "read your own file: task.tests.wordsim353=FILE, or do without: task.tests=null"
BLOCK = 512  # questions answered at a time


class WordTest(NamedTuple):
    """Pairs of words with a judgement each, or questions of four words without.

    Args:
        words: of each line, in small letters: 2 or 4.
        judged: how similar two words are, (P,); None for questions.
    """

    words: list[list[str]]
    judged: np.ndarray | None

    def score(self, numbers: Mapping[str, int], vectors: np.ndarray) -> float | None:
        """Spearman's correlation with people's judgements, or the share of right answers; None if no words are known.

        Only lines whose words are all known count.

        Args:
            numbers: row of each word in `vectors`.
            vectors: of length 1, (V, E).
        """
        known = [place for place, words in enumerate(self.words) if all(word in numbers for word in words)]
        if len(known) < 2:
            return None
        rows = np.array([[numbers[word] for word in self.words[place]] for place in known])
        if self.judged is None:
            return float((analogous(rows[:, :3], vectors) == rows[:, 3]).mean())
        cosines = (vectors[rows[:, 0]] * vectors[rows[:, 1]]).sum(axis=1)  # (P,)
        return float(spearmanr(cosines, self.judged[known]).statistic)


def analogous(questions: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The answers (Q,) to "a is to b as c is to ...": the word nearest to b - a + c, none of these three.

    Args:
        questions: numbers of a, b and c, (Q, 3).
        vectors: of length 1, (V, E).
    """
    found = []
    for block in np.split(questions, range(BLOCK, len(questions), BLOCK)):
        a, b, c = vectors[block].transpose(1, 0, 2)  # each (Q, E)
        cosines = (b - a + c) @ vectors.T  # (Q, V)
        np.put_along_axis(cosines, block, -np.inf, axis=1)
        found.append(cosines.argmax(axis=1))
    return np.concatenate(found)


def word_test(name: str, file: str) -> WordTest:
    """Return one of the packaged tests, or that of the user's file.

    Args:
        name: of the test, for messages.
        file: "packaged", or a file with two words and a number, or with four words a line; lines that begin with # or :
            are left out.

    Raises:
        UserError: it cannot be had, or has a line that cannot be read.
    """
    if file != "packaged":
        if not Path(file).is_file():
            raise missing(Path(file), file)
        return read_test(Path(file).read_text(encoding="utf-8").splitlines(), file)
    if name not in PACKAGED:
        raise UserError(f"task.tests.{name}=packaged: there are {', '.join(PACKAGED)}; give your own file instead")
    text = sources.read_member(sources.archive(ARCHIVE, OTHERWISE), f"{FOLDER}/{PACKAGED[name]}").decode("utf-8")
    return read_test(text.splitlines(), f"{ARCHIVE}, {PACKAGED[name]}")


def read_test(lines: Iterable[str], source: str) -> WordTest:
    """Return the test that some lines hold."""
    words, judged = [], []
    for number, line in enumerate(lines, 1):
        cells: Sequence[str] = line.lower().replace(",", " ").split()
        if not cells or line.startswith(("#", ":")):
            continue
        try:
            words.append(list(cells[:2] if len(cells) == 3 else cells))
            judged += [float(cells[2])] if len(cells) == 3 else []
        except ValueError:
            raise UserError(f"{source}, line {number}: {cells[2]!r} is not a number") from None
        if len(cells) not in (3, 4) or (judged and len(judged) < len(words)):
            raise UserError(
                f"{source}, line {number}: two words and a number, or in all lines four words, are expected"
            )
    return WordTest(words, np.array(judged) if judged else None)
