"""Language modelling by counting: the net is an estimator of the next token, without training steps.

It has `count(examples)`, `log_probs(contexts, following)`, `start` and `step` (see `runner.models.ngram`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pytorch_lightning import Trainer

from runner.datamodules.base import DataModule
from runner.datamodules.parts.token_store import WindowSplit, one_document
from runner.errors import UserError
from runner.tasks.causal_lm import CausalLM
from runner.tasks.means import Mean
from runner.text.vocabulary import PAD


class CountedLM(CausalLM):
    """Perplexity of the next token; settings and answers as in `CausalLM`."""

    by_gradient = False
    monitor = None

    def example(self, facts: Mapping[str, Any], read: set[str], rows: int, draw: torch.Generator) -> Any:
        """Return contexts and tokens that follow from the last token of each."""
        contexts = torch.randint(2, facts["vocab_size"], (rows * 10, self.net.n - 1), generator=draw).numpy()
        return contexts, (contexts[:, -1] * 7) % facts["vocab_size"]

    def fit(self, trainer: Trainer, data: DataModule, checkpoint: str | None = None) -> None:
        split = windows_of(data, "train")
        self.net.count(lambda: split.contexts(self.net.n))

    def evaluate(self, trainer: Trainer, data: DataModule, split: str) -> dict[str, float]:
        self.start_scoring()
        self.add(windows_of(data, split))
        return {f"{split}/{name}": value for name, value in self.scores().items()}

    def add(self, split: WindowSplit) -> None:
        """Add the tokens of a split to the metrics."""
        for contexts, following in split.contexts(self.net.n):
            loss = -self.net.log_probs(contexts, following).mean()
            self.evaluation_means.add({"loss": Mean(torch.tensor(loss), len(following))}, 1)
            self.evaluation_means.close()

    def score(self, rows: list[dict], truths: Sequence | None, data: DataModule) -> None:
        for tokens in self.encoded(rows, data)[0]:
            self.add(WindowSplit(one_document(tokens[tokens != PAD].numpy()), self.context_len))


def windows_of(data: DataModule, split: str) -> WindowSplit:
    """Return a split of a text.

    Raises:
        UserError: the data is not a text.
    """
    found = getattr(data, split)
    if not isinstance(found, WindowSplit):
        raise UserError("n-grams are counted in a text: use data=corpus or data=characters")
    return found
