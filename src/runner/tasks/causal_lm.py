"""Language modelling from left to right.

The net maps tokens (B, T) to logits (B, T, V); the target is the same text shifted by one token, -100 where it does not
count.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from runner.datamodules.base import DataModule
from runner.datamodules.parts.batches import Loader
from runner.datamodules.parts.token_store import Carried, LaneSplit, one_document
from runner.errors import UserError
from runner.tasks import examples
from runner.tasks.base import Task
from runner.tasks.decoding import Decoding, Window, decode, last_tokens
from runner.tasks.means import Scalars
from runner.tasks.next_tokens import cross_entropy, mean_over_tokens, perplexity
from runner.text.vocabulary import PAD


class CausalLM(Task):
    """Cross-entropy of the next token; perplexity, and bits per character if the tokens are characters.

    Args:
        net: maps tokens (B, T) to logits (B, T, V). One with `start` and `step` generates without rereading its text;
            one with `read`, `output` and `losses_of` (`models/layers/carrying.py`) carries its state between batches.
        context_len: most tokens that a net without `start` and `step` sees at once when it generates.
        sample_len: tokens of the sample generated after each epoch; 0 = none.
        method: how a text is generated: greedy, sample or beam (see `runner.tasks.decoding`).
        temperature: of sampling, above 0; below 1 is more careful, above 1 bolder.
        top_k: sampling draws from that many of the likeliest tokens; None = from all.
        top_p: sampling draws from the fewest tokens that together have this probability; None = from all.
        beam_size: texts that beam search follows in parallel.
        sample_seed: of sampling.
    """

    asked_as = ("generate",)
    causal = True
    at_use = ("sample_len", "method", "temperature", "top_k", "top_p", "beam_size", "sample_seed")

    def __init__(
        self,
        net: nn.Module,
        context_len: int,
        sample_len: int = 200,
        method: Literal["greedy", "sample", "beam"] = "sample",
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        beam_size: int = 4,
        sample_seed: int = 0,
    ):
        super().__init__(net)
        self.sample_len = sample_len
        self.how = Decoding(
            method, sample_len or 200, temperature, top_k, top_p, beam_size, seed=sample_seed
        )  # the other settings are for translation
        self.writer: Any = net if hasattr(net, "step") else Window(net, context_len)
        self.context_len = context_len
        self.token_unit = "token"
        self.carried: dict[bool, tuple[Tensor, ...] | None] = {True: None, False: None}  # in training, in evaluation

    def connect(self, data: DataModule) -> None:
        self.token_unit = getattr(data, "token_unit", self.token_unit)

    def example(self, facts: Mapping[str, Any], read: set[str], rows: int, draw: torch.Generator) -> Any:
        return examples.with_next_tokens(facts, read, rows, draw)

    def inputs(self, batch: Any) -> tuple[Tensor, ...]:
        return tuple(batch[:1])

    def step(self, batch: Any) -> Scalars:
        target = batch[-1]  # (B, T)
        if hasattr(self.net, "read"):
            features = self.read(batch)  # (B, T, F)
            own = self.net.losses_of(features, target)
            return mean_over_tokens(own, target, lambda: cross_entropy(self.net.output(features), target))
        own = self.own_losses(batch)
        return mean_over_tokens(own, target, lambda: cross_entropy(self.net(*self.inputs(batch)), target))

    # Carrying the state of the net from batch to batch: gradients end at the beginning of a window.

    def read(self, batch: Any) -> Tensor:
        """Let the net read a batch, from the state after the batch before where its rows continue that one."""
        if not isinstance(batch, Carried):
            return self.net.read(batch[0])[0]
        state = self.carried[self.training]
        if state is not None and len(batch.tokens) <= len(state[0]):  # a larger batch begins an epoch
            continues = batch.continues
            state = tuple(continued(part[: len(continues)].to(self.device), continues) for part in state)
        else:
            state = None
        features, after = self.net.read(batch.tokens, state)
        self.carried[self.training] = tuple(part.detach() for part in after)
        return features

    def training_state(self) -> dict:
        return {"carried": self.carried[True]}

    def load_training_state(self, state: dict) -> None:
        self.carried[True] = state["carried"]

    def evaluation_metrics(self) -> dict[str, float]:
        metrics = super().evaluation_metrics()
        metrics["perplexity"] = perplexity(metrics["loss"])
        if self.token_unit == "character":
            metrics["bits_per_char"] = metrics["loss"] / math.log(2)
        return metrics

    # Writing.

    def write(self, prompts: Tensor, how: Decoding) -> Tensor:
        """Return the tokens that follow prompts (B, T) with padding at the end, int64 (B, L)."""
        with torch.inference_mode():
            state = self.writer.start(prompts)
        return decode(self.writer, state, last_tokens(prompts), how).tokens[:, 0]

    def sample_text(self, data: DataModule) -> str | None:
        """Continue the beginning of the validation text, with random numbers that do not affect training."""
        if not self.sample_len:
            return None
        self.net.eval()
        (tokens,) = self.encoded(data.raw("val", 1), data)
        prompt = tokens[:, : max(self.context_len // 2, 1)]
        (written,) = self.write(prompt, replace(self.how, seed=self.how.seed + self.current_epoch))
        return f"{data.decode(prompt[0].tolist())}|{data.decode(written.tolist())}"

    def answer(self, rows: list[dict], data: DataModule) -> list[dict]:
        """Return one row for each example: the text that the model generates after the prompt."""
        (prompts,) = self.encoded(rows, data)
        if not (prompts != PAD).any(dim=1).all():
            raise UserError("a language model needs at least one token of text to continue; the text was empty")
        return [{"continuation": data.decode(tokens)} for tokens in self.write(prompts, self.how).tolist()]

    def answer_columns(self, data: DataModule) -> dict[str, str]:
        return {"continuation": "string"}

    # Scoring a text.

    @torch.inference_mode()
    def score(self, rows: list[dict], truths: Sequence | None, data: DataModule) -> None:
        """Add texts to the metrics, in windows as in training; no labels are needed."""
        for tokens in self.encoded(rows, data)[0].cpu():
            windows = LaneSplit(one_document(tokens[tokens != PAD].numpy()), self.context_len)
            for batch in Loader(windows, data.eval_rows):
                batch = type(batch)(*(part.to(self.device) for part in batch))
                self.evaluation_means.add(self.evaluation_step(batch), self.rows(batch))
            self.evaluation_means.close()

    def scores(self) -> dict[str, float]:
        if not any(self.evaluation_means.weights.values()):
            raise UserError("the text is too short: a language model predicts from the second token on")
        return self.evaluation_metrics()


def continued(part: Tensor, continues: Tensor) -> Tensor:
    """Part of a state (B, ...), zeros for rows that do not continue (B,)."""
    return part * continues.view(-1, *[1] * (part.ndim - 1))
