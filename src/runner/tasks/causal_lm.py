"""Language modelling from left to right.

The net maps tokens (B, T) to logits (B, T, V); the target is the same text one token further on, -100 where it does not
count.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.datamodules.base import DataModule
from runner.datamodules.parts.batches import Loader, StreamSplit
from runner.errors import UserError
from runner.tasks import examples
from runner.tasks.base import Task
from runner.tasks.examples import IGNORE
from runner.tasks.means import Mean, Scalars


class CausalLM(Task):
    """Cross-entropy of the next token; perplexity, and bits per character where the tokens are characters.

    Args:
        net: maps tokens (B, T) to logits (B, T, V).
        context_len: most tokens the net is shown at once when it writes.
        sample_len: tokens of the sample written after each epoch; 0 = none.
        temperature: of sampling, above 0; below 1 is more careful, above 1 bolder.
    """

    causal = True
    at_use = ("sample_len", "temperature")

    def __init__(self, net: nn.Module, context_len: int, sample_len: int = 200, temperature: float = 0.8):
        super().__init__(net)
        if temperature <= 0:
            raise UserError(f"task.temperature must be above 0, received {temperature}")
        self.context_len = context_len
        self.sample_len = sample_len
        self.temperature = temperature
        self.token_unit = "token"

    def connect(self, data: DataModule) -> None:
        self.token_unit = getattr(data, "token_unit", self.token_unit)

    def example(self, facts: Mapping[str, Any], read: set[str], rows: int, draw: torch.Generator) -> Any:
        return examples.with_next_tokens(facts, read, rows, draw)

    def step(self, batch: Any) -> Scalars:
        logits, target = self.net(*self.inputs(batch)), batch[-1]  # (B, T, V), (B, T)
        if logits.shape[:2] != target.shape:
            raise UserError(
                f"language modelling needs logits of shape {(*target.shape, 'V')}; "
                f"{type(self.net).__name__} returned {tuple(logits.shape)}"
            )
        loss = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=IGNORE)
        return {"loss": Mean(loss, (target != IGNORE).sum())}

    def evaluation_metrics(self) -> dict[str, float]:
        metrics = super().evaluation_metrics()
        metrics["perplexity"] = math.exp(min(metrics["loss"], 700.0))  # beyond 700 a double overflows
        if self.token_unit == "character":
            metrics["bits_per_char"] = metrics["loss"] / math.log(2)
        return metrics

    # Writing.

    @torch.inference_mode()
    def write(self, tokens: Tensor, length: int, generator: torch.Generator) -> Tensor:
        """Return `length` sampled tokens, int64, that follow the prompt `tokens` (T,)."""
        written = tokens
        for _ in range(length):
            logits = self.net(written[None, -self.context_len :])[0, -1]  # (V,)
            probabilities = (logits.float() / self.temperature).softmax(dim=-1).cpu()
            choice = torch.multinomial(probabilities, 1, generator=generator).to(tokens.device)
            written = torch.cat([written, choice])
        return written[len(tokens) :]

    def sample_text(self, data: DataModule) -> str | None:
        """Continue the beginning of the validation text; the random numbers are its own and disturb no training."""
        if not self.sample_len:
            return None
        prompt = self.encoded(data.raw("val", 1), data)[0][0, : self.context_len // 2]
        generator = torch.Generator().manual_seed(self.current_epoch)
        text = data.decode(self.write(prompt, self.sample_len, generator).tolist())
        return f"{data.decode(prompt.tolist())}|{text}"

    def answer(self, rows: list[dict], data: DataModule) -> list[dict]:
        """One row an example: the text the model writes after the prompt."""
        (prompts,) = self.encoded(rows, data)
        generator = torch.Generator().manual_seed(0)
        texts = []
        for prompt in prompts:
            prompt = prompt[prompt != 0]
            if not len(prompt):
                raise UserError("a language model needs at least one token of text to continue; the text was empty")
            texts.append(data.decode(self.write(prompt, self.sample_len or 200, generator).tolist()))
        return [{"continuation": text} for text in texts]

    def answer_columns(self, data: DataModule) -> dict[str, str]:
        return {"continuation": "string"}

    # Scoring a text.

    @torch.inference_mode()
    def score(self, rows: list[dict], truths: Sequence | None, data: DataModule) -> None:
        """Add texts to the metrics, in windows as in training; a text is its own truth."""
        for tokens in self.encoded(rows, data)[0].cpu():
            for batch in Loader(StreamSplit(tokens[tokens != 0].numpy(), self.context_len), data.eval_batch_size):
                batch = type(batch)(*(part.to(self.device) for part in batch))
                self.evaluation_means.add(self.evaluation_step(batch), self.rows(batch))
            self.evaluation_means.close()

    def scores(self) -> dict[str, float]:
        if not self.evaluation_means.sums:
            raise UserError(f"the text is shorter than one window of {self.context_len} tokens and the next one")
        return self.evaluation_metrics()
