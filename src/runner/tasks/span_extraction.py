"""Span extraction: the answer to a question is a part of a text, from one token to another.

The net maps tokens and segments (B, T) to two scores for each token (B, T, 2): that the answer begins there, and that
it ends there. Minimised is the mean of both cross-entropies; answered is the span with the largest sum of both, in the
text, not backwards and not too long.

Sources: Jacob Devlin et al., BERT, NAACL 2019, arXiv:1810.04805, section 4.2; the scores of an answer are those of the
program of SQuAD 1.1, Pranav Rajpurkar et al., EMNLP 2016, arXiv:1606.05250, here 0 .. 1.

Shape letters: B batch, T tokens, W windows.
"""

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.datamodules.base import DataModule
from runner.datamodules.parts.batches import IGNORE
from runner.datamodules.parts.spans import SpanInputs, SpanTexts, StoredQuestions, TextWindow
from runner.errors import UserError
from runner.tasks import examples
from runner.tasks.base import Task
from runner.tasks.means import Mean, Scalars
from runner.text.vocabulary import PAD

ARTICLES = re.compile(r"\b(a|an|the)\b")
MARKS = str.maketrans("", "", string.punctuation)
ROWS = 64  # windows that the net reads at a time when it answers


class SpanExtraction(Task):
    """Cross-entropy of the first and the last token of the answer; exact match and F1 of its words.

    Args:
        net: maps tokens and segments, both (B, T), to scores (B, T, 2).
        num_outputs: scores of each token, 2.
        max_answer: tokens of an answer at most, at least 1.
        shown: questions that are answered after each epoch, at least 0.
    """

    asked_as = ("question_answering",)
    tokens = (0, 1)

    def __init__(self, net: nn.Module, num_outputs: int = 2, max_answer: int = 30, shown: int = 3):
        super().__init__(net)
        if num_outputs != 2:
            raise UserError(f"task.num_outputs={num_outputs}: a span has 2, where it begins and where it ends")
        self.max_answer, self.shown_questions = max_answer, shown

    def inputs(self, batch: SpanTexts) -> tuple[Tensor, ...]:
        return batch.tokens, batch.segments

    def example(self, facts: Mapping[str, Any], read: set[str], rows: int, draw: torch.Generator) -> SpanTexts:
        stream, real = examples.texts(facts, rows, draw)
        segments, last = examples.halves(real), real.sum(dim=1) - 1
        target = torch.stack([(last - 1).clamp(min=0), last], dim=1)
        return SpanTexts(stream[:, :-1].where(real, PAD), segments, torch.arange(rows), target)

    def step(self, batch: SpanTexts) -> Scalars:
        return self.scalars(self.net(*self.inputs(batch)), batch)

    def scalars(self, logits: Tensor, batch: SpanTexts) -> Scalars:
        """The loss, a mean over the questions whose answer is in the row."""
        if logits.shape != (*batch.tokens.shape, 2):
            raise UserError(
                f"span_extraction needs scores of shape {(*batch.tokens.shape, 2)}; {type(self.net).__name__} returned "
                f"{tuple(logits.shape)}"
            )
        logits = logits.float().masked_fill((batch.tokens == PAD).unsqueeze(2), -1e9)
        there = (batch.target[:, 0] != IGNORE).sum()
        loss = F.cross_entropy(logits, batch.target, ignore_index=IGNORE, reduction="sum") / (2 * there.clamp(min=1))
        return {"loss": Mean(loss, there)}

    def evaluation_step(self, batch: SpanTexts) -> Scalars:
        logits = self.net(*self.inputs(batch))
        rows = self.stored.numbered(batch.question.tolist())
        found = [found["answer"] for found in self.answers(rows, self.data_module, logits)]
        pairs = [(answer, row["answers"]) for answer, row in zip(found, rows, strict=True)]
        return self.scalars(logits, batch) | self.scored(pairs)

    def scored(self, pairs: Sequence[tuple[str, list[str]]]) -> Scalars:
        """Exact match and F1 of answers, means over them."""
        return {
            name: torch.tensor([best(score, answer, truths) for answer, truths in pairs]).mean()
            for name, score in (("exact_match", exact_match), ("f1", f1))
        }

    @property
    def stored(self) -> StoredQuestions:
        """The raw questions of the data that the net is trained on."""
        prepared = self.data_module.prepared
        assert prepared is not None and isinstance(prepared.rows, StoredQuestions), "data of questions"
        return prepared.rows

    # Answering.

    @torch.inference_mode()
    def answer(self, rows: list[dict], data: DataModule) -> list[dict]:
        """Return the answer to each question, how likely it is, and the character of the text at which it begins."""
        return self.answers(rows, data)

    def answers(self, rows: list[dict], data: DataModule, known: Tensor | None = None) -> list[dict]:
        """Answer from the surest window of each text.

        Args:
            rows: questions and texts.
            data: what encodes them.
            known: scores (B, T, 2) that the net has given already, right for texts of one window.
        """
        windows = [span_codec(data).windows(row) for row in rows]
        asked = [(row, window) for row, some in enumerate(windows) if known is None or len(some) > 1 for window in some]
        found: dict[int, tuple[float, int, int]] = {}
        if known is not None:
            single = [row for row, some in enumerate(windows) if len(some) == 1]
            self.keep_best(found, [(row, windows[row][0]) for row in single], known[single])
        for start in range(0, len(asked), ROWS):
            part = asked[start : start + ROWS]
            inputs = span_codec(data).tensors([window for _, window in part])
            self.keep_best(found, part, self.net(*(tensor.to(self.device) for tensor in inputs)))
        return [
            {"answer": str(row["text"])[start:end], "probability": sure, "start": start}
            for row, (sure, start, end) in ((row, found[number]) for number, row in enumerate(rows))
        ]

    def keep_best(
        self, found: dict[int, tuple[float, int, int]], asked: Sequence[tuple[int, TextWindow]], logits: Tensor
    ) -> None:
        """Add to `found`, by question, how sure the best span of its windows is, and the characters that it covers."""
        logits = logits.float()
        for (row, window), scores in zip(asked, logits, strict=True):
            of_text = scores[window.second : window.second + len(window.characters)]  # (T, 2)
            likely = (of_text - scores[: len(window.numbers)].logsumexp(dim=0)).cpu()
            both = likely[:, None, 0] + likely[None, :, 1]  # (T, T)
            legal = torch.ones_like(both, dtype=torch.bool).triu().tril(self.max_answer - 1)
            place = int(both.masked_fill(~legal, -torch.inf).argmax())
            first, last = divmod(place, len(of_text))
            sure = float(both[first, last].exp())
            if row not in found or sure > found[row][0]:
                found[row] = sure, window.characters[first][0], window.characters[last][1]

    def answer_columns(self, data: DataModule) -> dict[str, str]:
        return {"answer": "string", "probability": "double", "start": "long"}

    @torch.inference_mode()
    def score(self, rows: list[dict], truths: Sequence | None, data: DataModule) -> None:
        """Add questions and their right answers to the metrics."""
        if truths is None:
            raise UserError("there are no answers to compare with: give a file with question, text and answers")
        found = [found["answer"] for found in self.answers(rows, data)]
        self.evaluation_means.add(self.scored(list(zip(found, truths, strict=True))), len(rows))
        self.evaluation_means.close()

    @torch.inference_mode()
    def sample_text(self, data: DataModule) -> str | None:
        if not self.shown_questions or data.val is None:
            return None
        rows = data.raw("val", self.shown_questions)
        answers = zip(rows, self.answers(rows, data), strict=True)
        return "\n" + "\n".join(
            f"{row['question']}\n  {' | '.join(row['answers'])}, answered {found['answer']}" for row, found in answers
        )


def best(score: Any, answer: str, truths: Sequence[str]) -> float:
    """The largest score of an answer against any of the right ones."""
    return max(score(answer, truth) for truth in truths)


def exact_match(answer: str, truth: str) -> float:
    """1 if both have the same words, in small letters, without articles and punctuation."""
    return float(answer_words(answer) == answer_words(truth))


def f1(answer: str, truth: str) -> float:
    """The harmonic mean of the shares of the words of each that the other has too; 0 .. 1."""
    one, other = answer_words(answer), answer_words(truth)
    if not one or not other:
        return float(one == other)
    common = (Counter(one) & Counter(other)).total()
    return 2 * common / (len(one) + len(other))


def answer_words(text: str) -> list[str]:
    """The words of an answer as SQuAD compares them."""
    return ARTICLES.sub(" ", text.lower().translate(MARKS)).split()


def span_codec(data: DataModule) -> SpanInputs:
    """What encodes questions and texts."""
    assert isinstance(data.inputs, SpanInputs), "data of questions"
    return data.inputs
