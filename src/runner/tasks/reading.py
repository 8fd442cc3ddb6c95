"""Reading: which word of a document is missing in a question.

The net maps documents (B, D) and questions (B, Q) to its attention to the document (B, D), whose weights add up to 1.
The probability of a word is the sum of the attention to the places where it stands; minimised is -log of that of the
right word, and the candidate with the largest sum is chosen.

Source: Rudolf Kadlec et al. 2016, arXiv:1603.01547, equations 3 and 4, which Cui et al. 2017, arXiv:1607.04423, keep.

Shape letters: B batch, D document tokens, Q question tokens.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from runner.datamodules.base import DataModule
from runner.datamodules.parts.questions import QuestionInputs, Questions
from runner.errors import UserError
from runner.tasks.base import Task
from runner.tasks.examples import LENGTH
from runner.tasks.means import Scalars
from runner.text.vocabulary import PAD

TINY = 1e-10  # keeps the logarithm of a sum finite
SHOWN = 3  # questions after each epoch
LONGEST = 60  # words of a question in an export


class ClozeReading(Task):
    """-log of the attention to the right word; accuracy, and that of the candidate that the document has most often.

    Args:
        net: maps documents (B, D) and questions (B, Q) to the attention to the document (B, D).
    """

    asked_as = ("question_answering",)
    tokens = (0, 1)

    def example(self, facts: Mapping[str, Any], read: set[str], rows: int, draw: torch.Generator) -> Questions:
        length = facts.get("max_len") or LENGTH
        lengths = torch.tensor([[max(length >> row, 1)] for row in range(rows)])  # (B, 1)
        words = torch.randint(2, facts["vocab_size"], (2, rows, length), generator=draw)
        document, question = words.where(torch.arange(length) < lengths, PAD)
        first = (document.unsqueeze(2) == document.unsqueeze(1)).int().argmax(dim=2)  # (B, D)
        return Questions(document, question, first.where(document != PAD, -1), torch.zeros(rows, dtype=torch.int64))

    def inputs(self, batch: Questions) -> tuple[Tensor, ...]:
        return batch.document, batch.question

    def step(self, batch: Questions) -> Scalars:
        attention = self.net(*self.inputs(batch))  # (B, D)
        if attention.shape != batch.document.shape:
            raise UserError(
                f"reading needs attention of shape {tuple(batch.document.shape)}, one weight for each token of the "
                f"document; {type(self.net).__name__} returned {tuple(attention.shape)}"
            )
        sums = sums_of(attention, batch.named)
        usual = sums_of((batch.named >= 0).float(), batch.named)  # how often each candidate stands there
        known = batch.target >= 0
        right = sums.gather(1, batch.target.clamp(min=0).unsqueeze(1)).squeeze(1) * known  # (B,)
        return {
            "loss": -(right + TINY).log().mean(),
            "accuracy": (sums.argmax(dim=1) == batch.target).float().mean(),
            "frequency_accuracy": (usual.argmax(dim=1) == batch.target).float().mean(),
        }

    # Answering.

    @torch.inference_mode()
    def answer(self, rows: list[dict], data: DataModule) -> list[dict]:
        """Return the word chosen for each row, and the share of the attention that it got."""
        document, question, named = self.encoded(rows, data)
        shares, places = sums_of(self.net(document, question).float(), named).max(dim=1)
        chosen = zip(codec_of(data).document.tokens(rows), places.tolist(), shares.tolist(), strict=True)
        return [{"prediction": tokens[place], "share": share} for tokens, place, share in chosen]

    def answer_columns(self, data: DataModule) -> dict[str, str]:
        return {"prediction": "string", "share": "double"}

    @torch.inference_mode()
    def score(self, rows: list[dict], truths: Sequence | None, data: DataModule) -> None:
        """Add questions and their true answers to the metrics."""
        if truths is None:
            raise UserError("there is no answer to compare with: give a file with document, question and answer")
        whole = [{**row, "answer": truth} for row, truth in zip(rows, truths, strict=True)]
        document, question, named = self.encoded(whole, data)
        batch = Questions(document, question, named, codec_of(data).right(whole).to(self.device))
        self.evaluation_means.add(self.step(batch), self.rows(batch))
        self.evaluation_means.close()

    def sample_text(self, data: DataModule) -> str | None:
        rows = data.raw("val", SHOWN)
        answers = zip(rows, self.answer(rows, data), strict=True)
        lines = [f"{row['question']}\n  {row['answer']}, answered {found['prediction']}" for row, found in answers]
        return "\n" + "\n".join(lines)

    def export_inputs(self, data: DataModule, rows: int, length: int) -> tuple[Tensor, ...]:
        document, question, _ = super().export_inputs(data, rows, length)
        return document, question[:, :LONGEST]  # recurrent layers are unrolled: a long question would double the work


def sums_of(weights: Tensor, named: Tensor) -> Tensor:
    """Sum the weights (B, D) of each candidate; the sum is at the place where it stands first, 0 elsewhere (B, D)."""
    table = weights.new_zeros(weights.size(0), weights.size(1) + 1)
    return table.scatter_add(1, named + 1, weights)[:, 1:]


def codec_of(data: DataModule) -> QuestionInputs:
    """What encodes documents and questions."""
    assert isinstance(data.inputs, QuestionInputs), "data of questions"
    return data.inputs
