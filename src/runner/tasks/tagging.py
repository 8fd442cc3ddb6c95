"""Tagging: a label for each token, such as the names in a sentence.

The net maps tokens (B, T) to logits (B, T, K). Spans are compared as conlleval and seqeval do: one is right if its
kind, its beginning and its end are.

Shape letters: B batch, T tokens, K tags.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from runner.datamodules.base import DataModule
from runner.datamodules.parts.batches import IGNORE
from runner.datamodules.parts.codecs import TextInputs
from runner.datamodules.parts.tags import Tagged, Tags, spans_of, tagged_words
from runner.errors import UserError
from runner.tasks import examples
from runner.tasks.base import Task
from runner.tasks.means import Mean, Scalars
from runner.tasks.next_tokens import cross_entropy
from runner.text.vocabulary import PAD

SHOWN = 3  # sentences after each epoch


class SpanScores(Metric):
    """Precision, recall and F1 of spans over all sentences, and F1 of each kind.

    Args:
        names: of the tags, in the order of their numbers.
    """

    counts: Tensor  # (kinds, 3): spans that are right, that were said, that are true

    def __init__(self, names: Sequence[str]):
        super().__init__()
        self.names = list(names)
        self.kinds = [name[2:] for name in self.names if name.startswith("B-")]
        self.add_state("counts", torch.zeros(len(self.kinds), 3, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, said: Tensor, true: Tensor) -> None:
        """Add tag numbers (B, T); where the true one is -100, there is no token."""
        added = [[0, 0, 0] for _ in self.kinds]
        for some, others in zip(said.tolist(), true.tolist(), strict=True):
            real = [place for place, number in enumerate(others) if number != IGNORE]
            found, truth = (
                set(spans_of(self.names[tags[place]] for place in real)) for tags in (some, others)
            )  # spans hold their kind
            for column, spans in enumerate((found & truth, found, truth)):
                for span in spans:
                    added[self.kinds.index(span.kind)][column] += 1
        self.counts += torch.tensor(added, device=self.counts.device)

    def compute(self) -> dict[str, Tensor]:
        counts = self.counts.double()
        right, said, true = counts.sum(dim=0)
        each = ratio(2 * counts[:, 0], counts[:, 1] + counts[:, 2])
        of_kinds = {f"f1_{kind}": f1 for kind, f1 in zip(self.kinds, each, strict=True)}
        return {
            "precision": ratio(right, said),
            "recall": ratio(right, true),
            "f1": ratio(2 * right, said + true),
        } | of_kinds


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """The quotient; 0 where there is nothing to divide by."""
    return part / whole.clamp(min=1)


class Tagging(Task):
    """Cross-entropy of the tags, mean over tokens; precision, recall and F1 of the spans.

    Args:
        net: maps tokens (B, T) to logits (B, T, K).
        num_outputs: number of tags K.
    """

    asked_as = ("ner",)
    tokens = (0,)

    def __init__(self, net: nn.Module, num_outputs: int):
        super().__init__(net)
        self.num_tags = num_outputs
        self.samples: list[str] = []

    def connect(self, data: DataModule) -> None:
        self.metrics.add_metrics({"spans": SpanScores(targets_of(data).names)})

    def example(self, facts: Mapping[str, Any], read: set[str], rows: int, draw: torch.Generator) -> Tagged:
        stream, real = examples.texts(facts, rows, draw)
        tokens = stream[:, :-1]
        return Tagged(tokens.where(real, PAD), (tokens % self.num_tags).where(real, IGNORE))

    def step(self, batch: Tagged) -> Scalars:
        return self.scalars(self.net(*self.inputs(batch)), batch.target)

    def scalars(self, logits: Tensor, target: Tensor) -> Scalars:
        """The loss and the share of right tags, both means over tokens."""
        real = target != IGNORE
        right = (logits.argmax(dim=2) == target).sum() / real.sum().clamp(min=1)
        return {"loss": Mean(cross_entropy(logits, target), real.sum()), "accuracy": Mean(right, real.sum())}

    def evaluation_step(self, batch: Tagged) -> Scalars:
        logits = self.net(*self.inputs(batch))
        self.metrics.update(logits.argmax(dim=2), batch.target)
        return self.scalars(logits, batch.target)

    # Answering.

    @torch.inference_mode()
    def answer(self, rows: list[dict], data: DataModule) -> list[dict]:
        """Return the tokens of each text, their tags, and the spans in words."""
        assert isinstance(data.inputs, TextInputs), "data of tagged texts"
        (tokens,) = self.encoded(rows, data)
        said = self.net(tokens).argmax(dim=2)  # (B, T)
        answers = []
        for (words, places), numbers in zip(tagged_words(data.inputs, rows), said, strict=True):
            (tags,) = targets_of(data).decode(numbers[places].unsqueeze(0))
            spans = [f"{span.kind}: {' '.join(words[span.start : span.end])}" for span in spans_of(tags)]
            answers.append({"tokens": " ".join(words), "tags": " ".join(tags), "spans": "; ".join(spans)})
        return answers

    def answer_columns(self, data: DataModule) -> dict[str, str]:
        return dict.fromkeys(("tokens", "tags", "spans"), "string")

    @torch.inference_mode()
    def score(self, rows: list[dict], truths: Sequence | None, data: DataModule) -> None:
        """Add texts and their true tags to the metrics."""
        if truths is None:
            raise UserError("there are no tags to compare with: give a file with text and tags")
        assert isinstance(data.inputs, TextInputs), "data of tagged texts"
        (tokens,) = self.encoded(rows, data)
        target = torch.full_like(tokens, IGNORE)
        for row, ((words, places), tags) in enumerate(zip(tagged_words(data.inputs, rows), truths, strict=True)):
            if len(words) != len(tags):
                raise UserError(f"a text has {len(words)} tokens and {len(tags)} tags: {' '.join(tags)}")
            target[row, places] = targets_of(data).encode([tags])[0].to(self.device)
        batch = Tagged(tokens, target)
        self.evaluation_means.add(self.evaluation_step(batch), self.rows(batch))
        self.evaluation_means.close()

    def sample_text(self, data: DataModule) -> str | None:
        found = self.answer(data.raw("val", SHOWN), data)
        return "\n" + "\n".join(f"{row['tokens']}\n  {row['spans'] or 'nothing'}" for row in found)


def targets_of(data: DataModule) -> Tags:
    """What encodes the tags."""
    assert isinstance(data.targets, Tags), "data of tagged texts"
    return data.targets
