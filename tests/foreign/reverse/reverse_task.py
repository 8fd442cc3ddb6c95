"""Translating: the likeliest next token of the target, given the source and the true text so far (teacher forcing)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from reverse_data import Pairs, as_batch
from torch import Tensor, nn

from runner.datamodules.base import DataModule
from runner.tasks import examples
from runner.tasks.base import Task
from runner.tasks.decoding import Decoding, decode
from runner.tasks.examples import IGNORE
from runner.tasks.means import Mean, Scalars
from runner.text.vocabulary import PAD


class Translation(Task):
    """Cross-entropy of the next token, a mean over tokens; the share of sentences that are right from end to end.

    Args:
        net: maps source (B, S) and the text so far (B, T) to logits (B, T, V); it has `start` and `step`.
        max_len: tokens written at most.
        method: how a translation is written: greedy, sample or beam.
        beam_size: translations that beam search follows at the same time.
    """

    tokens = (0, 1)
    aligned = 1  # the answers follow the text so far, not the source
    causal = True
    at_use = ("max_len", "method", "beam_size")

    def __init__(
        self, net: nn.Module, max_len: int, method: Literal["greedy", "sample", "beam"] = "beam", beam_size: int = 3
    ):
        super().__init__(net)
        self.how = Decoding(method=method, max_len=max_len, beam_size=beam_size)
        self.first = 0

    def connect(self, data: DataModule) -> None:
        vocabulary = data.inputs.parts["target"].vocabulary
        self.first, self.how = vocabulary.start, replace(self.how, end=vocabulary.end)

    def example(self, facts: Mapping[str, Any], read: set[str], rows: int, draw: torch.Generator) -> Pairs:
        tokens, real = examples.texts(facts, rows, draw)  # (B, T + 1), (B, T)
        return Pairs(*(torch.where(real, shifted, PAD) for shifted in (tokens[:, :-1], tokens[:, :-1], tokens[:, 1:])))

    def step(self, batch: Pairs) -> Scalars:
        target = batch.target.masked_fill(batch.target == PAD, IGNORE)
        logits = self.net(*self.inputs(batch))  # (B, T, V)
        loss = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=IGNORE)
        return {"loss": Mean(loss, (target != IGNORE).sum())}

    def evaluation_step(self, batch: Pairs) -> Scalars:
        written = self.write(batch.source)  # (B, L)
        width = max(written.size(1), batch.target.size(1))
        same = padded(written, width) == padded(batch.target, width)
        return self.step(batch) | {"exact_match": same.all(dim=1).float().mean()}  # a mean over sentences

    def write(self, source: Tensor) -> Tensor:
        """Return the translation of each row (B, S), int64 (B, L), with its end mark."""
        with torch.inference_mode():
            state = self.net.start(source)
        return decode(self.net, state, torch.full_like(source[:, 0], self.first), self.how).tokens[:, 0]

    def answer(self, rows: list[dict], data: DataModule) -> list[dict]:
        (source,) = data.inputs.parts["source"].encode(rows)
        return [{"target": data.decode(tokens)} for tokens in self.write(source.to(self.device)).tolist()]

    def answer_columns(self, data: DataModule) -> dict[str, str]:
        return {"target": "string"}

    @torch.inference_mode()
    def score(self, rows: list[dict], truths: Sequence | None, data: DataModule) -> None:
        whole = [{**row, "target": truth} for row, truth in zip(rows, truths or [], strict=True)]
        batch = as_batch(*self.encoded(whole, data))
        self.evaluation_means.add(self.evaluation_step(batch), self.rows(batch))

    def sample_text(self, data: DataModule) -> str | None:
        self.net.eval()
        (row,) = data.raw("val", 1)
        return f"{row['source']} -> {self.answer([row], data)[0]['target']}"


def padded(tokens: Tensor, width: int) -> Tensor:
    """Rows (B, T) with padding behind them, (B, width)."""
    return F.pad(tokens, (0, width - tokens.size(1)), value=PAD)
