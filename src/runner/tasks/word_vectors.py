"""Word vectors: words that are used alike get vectors that point into the same direction.

The net asks yes-or-no questions about words and their neighbours: it returns scores and answers of one shape, where an
answer says how often "yes" (above 0) or "no" (below 0) is right.

Source: Tomas Mikolov et al., 2013, arXiv:1301.3781 (analogies, section 4) and arXiv:1310.4546 (the loss, equation 4).

Shape letters: B rows, T words of a row, S words seen, K negatives, V vocabulary, E embedding.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from pytorch_lightning import Trainer
from torch import Tensor

from runner.datamodules.base import DataModule
from runner.datamodules.parts.contexts import Contexts
from runner.errors import UserError, closest, first_line
from runner.figures import charts
from runner.tasks.base import Question, Task
from runner.tasks.means import Mean, Scalars
from runner.tasks.word_similarity import WordTest, word_test
from runner.text.vectors import write_vectors
from runner.text.vocabulary import SPECIALS

FEW = 4  # neighbours of each probe word in the sample of an epoch


class WordVectors(Task):
    """Logistic loss of the questions of a net, per word.

    Args:
        net: maps words (B, S), negatives (B, K) and neighbours (B, T, S) to scores and answers; has `word_vectors()`.
        contexts: how the data draw neighbours and negatives, see `ContextSplit`.
        tests: what is measured on the test split besides the loss: by name "packaged" (wordsim353, simlex999,
            analogies) or a file of your own.
        nearest: words, at least 1, that are named for `predict near=WORD` and `analogy="WORD WORD WORD"`.
        probes: words whose neighbours are shown after each epoch.
        map: how vectors are drawn in two dimensions: pca or tsne.
        map_words: most frequent words that are drawn, at least 0; 0 = no figure.
    """

    tokens = ()
    at_use = ("nearest",)

    def __init__(
        self,
        net: Any,
        contexts: Mapping[str, Any],
        tests: Mapping[str, str] | None = None,
        nearest: int = 10,
        probes: Sequence[str] = (),
        map: Literal["pca", "tsne"] = "pca",
        map_words: int = 200,
    ):
        super().__init__(net)
        self.contexts, self.tests, self.nearest = dict(contexts), dict(tests or {}), nearest
        self.probes, self.map, self.map_words = list(probes), map, map_words

    # Training.

    def connect(self, data: DataModule) -> None:
        if data.is_set_up:
            self.net.use_counts(torch.from_numpy(data.counts))  # type: ignore[attr-defined]

    def example(self, facts: Mapping[str, Any], read: set[str], rows: int, draw: torch.Generator) -> Contexts:
        window, length, vocab_size = 2, 8, facts["vocab_size"]
        first = torch.randint(vocab_size, (rows, 1), generator=draw)
        words = 2 + (first + torch.arange(length + 2 * window)) % (vocab_size - 2)  # the same neighbours each time
        apart = (torch.arange(words.size(1)) - window - torch.arange(length)[:, None]).abs()  # (T, S)
        neighbours = ((apart > 0) & (apart <= window)).repeat(rows, 1, 1)
        return Contexts(words, torch.randint(2, vocab_size, (rows, length), generator=draw), neighbours)

    def inputs(self, batch: Contexts) -> tuple[Tensor, ...]:
        return tuple(batch)

    def step(self, batch: Contexts) -> Scalars:
        scores, answers = self.net(*self.inputs(batch))
        words = batch.neighbours.any(dim=2).sum()
        return {"loss": Mean(logistic_loss(scores, answers) / words.clamp(min=1), words)}

    def training_step(self, batch: Contexts, batch_idx: int) -> Tensor | None:
        """Minimise the sum over the words, so that the learning rate is that of a pair, whatever the batch holds."""
        loss = super().training_step(batch, batch_idx)
        return None if loss is None else loss * batch.neighbours.any(dim=2).sum()

    def fit(self, trainer: Trainer, data: DataModule, checkpoint: str | None = None) -> None:
        self.fetch({"tests": self.tests})  # what cannot be had is better known before hours of training than after
        super().fit(trainer, data, checkpoint)

    # Measuring.

    def optimizer_step(
        self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Callable | None = None
    ) -> None:
        try:
            super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        except RuntimeError as error:
            if "sparse" not in str(error):
                raise
            raise UserError(f"{first_line(error)}. Type optim=row_sgd, or model.sparse=false") from error

    @classmethod
    def fetch(cls, settings: Mapping[str, Any]) -> None:
        for name, file in (settings["tests"] or {}).items():
            word_test(name, file)

    @cached_property
    def word_similarity(self) -> dict[str, WordTest]:
        """The tests by name, read once."""
        return {name: word_test(name, file) for name, file in self.tests.items()}

    def on_test_epoch_end(self) -> None:
        numbers, vectors = self.known_words(self.data_module)
        scores = {name: test.score(numbers, vectors) for name, test in self.word_similarity.items()}
        found = {name: score for name, score in scores.items() if score is not None}
        self.report("test", self.evaluation_metrics() | found)

    def known_words(self, data: DataModule) -> tuple[dict[str, int], np.ndarray]:
        """The row of each word, and the vectors of all words of the vocabulary, of length 1, (V, E)."""
        vocabulary = vocabulary_of(data)
        vectors = F.normalize(self.net.word_vectors()[: len(vocabulary)], dim=1)
        numbers = {word: number for word, number in vocabulary.numbers.items() if number >= len(vocabulary.specials)}
        return numbers, vectors.cpu().numpy()

    # Asking.

    def questions(self) -> dict[str, Question]:
        return {"near": self.near, "analogy": self.analogy}

    def near(self, text: str, data: DataModule) -> list[dict]:
        """The words whose vectors point into the direction of the mean of these words."""
        return self.closest_to(text.split(), [1.0] * len(text.split()), data, "near")

    def analogy(self, text: str, data: DataModule) -> list[dict]:
        """What stands to the third word as the first one to the second: "king man woman" is king - man + woman."""
        words = text.split()
        if len(words) != 3:
            raise UserError(f'analogy="king man woman" takes three words, received {len(words)}: {text!r}')
        return self.closest_to(words, [1.0, -1.0, 1.0], data, "analogy")

    def closest_to(self, words: list[str], signs: list[float], data: DataModule, question: str) -> list[dict]:
        """The words nearest to a sum of words, none of which is among them."""
        numbers, vectors = self.known_words(data)
        if not words:
            raise UserError(f"{question}= takes words, received none")
        for word in words:
            if word not in numbers:
                raise UserError(f"{question}={word}: the vocabulary has no such word.{closest(word, numbers)}")
        rows = [numbers[word] for word in words]
        target = np.array(signs) @ vectors[rows]  # (E,)
        cosines = vectors @ target / max(float(np.linalg.norm(target)), 1e-12)  # (V,)
        cosines[[*rows, *set(range(len(vectors))) - set(numbers.values())]] = -np.inf
        best = np.argsort(-cosines, kind="stable")[: min(self.nearest, len(numbers) - len(set(rows)))]
        return [
            {"word": word, "cosine": float(cosines[row])}
            for row, word in zip(best, vocabulary_of(data).decode(best.tolist()), strict=True)
        ]

    # Samples, figures and files.

    def sample_text(self, data: DataModule) -> str | None:
        """The neighbours of the probe words that occur."""
        known = vocabulary_of(data).numbers
        lines = [
            f"{probe}: {', '.join(found['word'] for found in self.near(probe, data)[:FEW])}"
            for probe in self.probes
            if probe in known
        ]
        return "\n".join(lines) or None

    def figures(self) -> dict[str, Figure]:
        if not self.map_words:
            return {}
        numbers, vectors = self.known_words(self.data_module)
        shown = list(numbers)[: self.map_words]
        probes = [word for word in self.probes if word in numbers and word not in shown]
        words = [*shown, *probes]
        return {"word_map": charts.word_map(vectors[[numbers[word] for word in words]], words, self.map, self.probes)}

    def write_files(self, folder: Path, data: DataModule) -> None:
        """Write vectors.txt and vectors.bin, in the two formats of word2vec, without the special words."""
        vocabulary = vocabulary_of(data)
        specials = len(vocabulary.specials)
        vectors = self.net.word_vectors()[specials : len(vocabulary)].cpu().numpy()
        write_vectors(folder, vocabulary.tokens[specials:], vectors)

    def export_inputs(self, data: DataModule, rows: int, length: int) -> tuple[Tensor, ...]:
        facts = {"vocab_size": max(len(vocabulary_of(data)), len(SPECIALS) + 1)}
        return tuple(self.example(facts, set(), rows, torch.Generator().manual_seed(0)))


def logistic_loss(scores: Tensor, answers: Tensor) -> Tensor:
    """The sum of -log sigmoid(s) for every right "yes" and of -log sigmoid(-s) for every right "no"."""
    return F.binary_cross_entropy_with_logits(scores, (answers > 0).to(scores), answers.abs(), reduction="sum")


def vocabulary_of(data: DataModule) -> Any:
    """The vocabulary of texts."""
    vocabulary = getattr(data.inputs, "vocabulary", None)
    assert vocabulary is not None, "data that give contexts are texts"
    return vocabulary
