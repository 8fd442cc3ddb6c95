"""Language modelling from left to right.

The net maps tokens (B, T) to logits (B, T, V); the target is the same text one token further on, -100 where it does not
count.
"""

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.errors import UserError
from runner.tasks.base import Task

log = logging.getLogger(__name__)
IGNORE = -100  # a target that does not count


class CausalLM(Task):
    """Cross-entropy of the next token; perplexity, and bits per character where the tokens are characters.

    Args:
        net: maps tokens (B, T) to logits (B, T, V).
        context_len: most tokens the net is shown at once when it writes.
        sample_len: tokens of the sample written after each epoch; 0 = none.
        temperature: of sampling, above 0; below 1 is more careful, above 1 bolder.
        optimizer: builds the optimizer from the parameters.
        schedule: builds the learning-rate schedule from the optimizer.
        monitor: the validation metric that picks the best checkpoint.
        mode: min or max of that metric.
    """

    def __init__(
        self,
        net: nn.Module,
        context_len: int,
        sample_len: int = 200,
        temperature: float = 0.8,
        optimizer: Callable | None = None,
        schedule: Callable | None = None,
        monitor: str | None = "val/loss",
        mode: Literal["min", "max"] = "min",
    ):
        super().__init__(net, optimizer, schedule, monitor, mode)
        if temperature <= 0:
            raise UserError(f"task.temperature must be above 0, received {temperature}")
        self.context_len = context_len
        self.sample_len = sample_len
        self.temperature = temperature
        self.data: Any = None

    def connect(self, data: Any) -> None:
        self.data = data

    def size(self, batch: tuple) -> int:
        """Tokens that count, since losses are means over tokens."""
        return int((batch[-1] != IGNORE).sum())

    def step(self, batch: tuple) -> dict[str, Tensor]:
        logits, target = self.net(*self.inputs(batch)), batch[-1]  # (B, T, V), (B, T)
        if logits.shape[:2] != target.shape:
            raise UserError(
                f"language modelling needs logits of shape {(*target.shape, 'V')}; "
                f"{type(self.net).__name__} returned {tuple(logits.shape)}"
            )
        return {"loss": F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=IGNORE)}

    def evaluation_metrics(self) -> dict[str, float]:
        metrics = super().evaluation_metrics()
        metrics["perplexity"] = math.exp(min(metrics["loss"], 700.0))  # beyond 700 a double overflows
        if self.data is not None and self.data.token_unit == "character":
            metrics["bits_per_char"] = metrics["loss"] / math.log(2)
        return metrics

    @torch.inference_mode()
    def write(self, tokens: Tensor, length: int, generator: torch.Generator) -> Tensor:
        """Return `length` sampled tokens, int64, that go on from the prompt `tokens` (T,)."""
        written = tokens
        for _ in range(length):
            logits = self.net(written[None, -self.context_len :])[0, -1]  # (V,)
            probabilities = (logits.float() / self.temperature).softmax(dim=-1).cpu()
            choice = torch.multinomial(probabilities, 1, generator=generator).to(tokens.device)
            written = torch.cat([written, choice])
        return written[len(tokens) :]

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        if self.sample_len and self.trainer.is_global_zero and self.trainer.state.fn == "fit":
            self.log_sample()

    def log_sample(self) -> None:
        """Write a sample to the log and to samples.txt; its random numbers are its own and disturb no training."""
        prompt = self.data.encode([self.data.raw("val", 1)[0]])[0][0, : self.context_len // 2].to(self.device)
        generator = torch.Generator().manual_seed(self.current_epoch)
        text = self.data.decode(self.write(prompt, self.sample_len, generator).tolist())
        start = self.data.decode(prompt.tolist())
        log.info("epoch %d: %s|%s", self.current_epoch + 1, start, text)
        path, heading = Path(self.trainer.default_root_dir) / "samples.txt", f"--- epoch {self.current_epoch + 1} ---\n"
        # A resumed run may come to an epoch again.
        before = path.read_text(encoding="utf-8").split(heading)[0] if path.exists() else ""
        path.write_text(f"{before}{heading}{start}|{text}\n", encoding="utf-8")

    def predict(self, inputs: tuple, data: Any) -> list[dict]:
        """One row an example: the text the model writes after the prompt."""
        (prompts,) = inputs
        generator = torch.Generator().manual_seed(0)
        texts = []
        for prompt in prompts:
            prompt = prompt[prompt != 0]
            if not len(prompt):
                raise UserError("a language model needs at least one token of text to go on from; the text was empty")
            texts.append(data.decode(self.write(prompt, self.sample_len or 200, generator).tolist()))
        return [{"continuation": text} for text in texts]

    def answer_columns(self, data: Any) -> dict[str, str]:
        return {"continuation": "string"}
