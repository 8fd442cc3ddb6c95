"""A causal language model to be prompted: that of a run here, or a folder in the Hugging Face layout."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from runner.errors import UserError
from runner.inference.bundle import load_bundle
from runner.models.layers import checkpoints
from runner.tasks.causal_lm import CausalLM
from runner.text.vocabulary import PAD


class OwnLM:
    """The language model of a run.

    Args:
        folder: `model/` of the run.
    """

    pad = PAD

    def __init__(self, folder: str | Path):
        task, self.data, _ = load_bundle(Path(folder))
        if not isinstance(task, CausalLM):
            raise UserError(f"model.path={folder}: that run has trained no language model")
        self.net: nn.Module = task.net
        self.window: int | None = getattr(task.net, "max_len", None)  # a recurrent net reads texts of any length

    def encode(self, text: str) -> list[int]:
        column = next(iter(self.data.columns))
        (tokens,) = self.data.encode([{column: text}])
        return tokens[0].tolist()

    def decode(self, tokens: Sequence[int]) -> str:
        return self.data.decode(tokens)

    def logits(self, tokens: Tensor) -> Tensor:
        return self.net(tokens)


class FolderLM:
    """A language model of the package transformers.

    Args:
        folder: in the Hugging Face layout.
    """

    pad = 0  # what stands behind a text is not seen by it

    def __init__(self, folder: str | Path):
        self.net: nn.Module = checkpoints.with_head(folder, "AutoModelForCausalLM")
        self.tokenizer = checkpoints.pieces_of(folder)
        self.window: int | None = getattr(self.net.config, "max_position_embeddings", None)

    def encode(self, text: str) -> list[int]:
        return self.tokenizer(text)["input_ids"]

    def decode(self, tokens: Sequence[int]) -> str:
        return self.tokenizer.decode(tokens, skip_special_tokens=True)

    def logits(self, tokens: Tensor) -> Tensor:
        return self.net(input_ids=tokens).logits


class LanguageModel:
    """What `runner.models.prompt_lm` asks: numbers of tokens, and what comes next.

    Args:
        path: `model/` of a run here whose net reads from left to right (gpt, char_rnn, word_lm ...), or a folder in the
            Hugging Face layout.

    Raises:
        UserError: there is no language model.
        ImportError: the package transformers is needed and not installed.
    """

    def __init__(self, path: str):
        folder = Path(path)
        if not (folder / "config.yaml").is_file() and not (folder / "config.json").is_file():
            within = folder / "model"
            near = f" Did you mean {within}?" if within.is_dir() else ""
            raise UserError(
                f"model.path={path} has neither config.yaml nor config.json: give the folder model/ of a run, or a "
                f"folder in the Hugging Face layout.{near}"
            )
        self.inner = OwnLM(folder) if (folder / "config.yaml").is_file() else FolderLM(folder)
        self.window = self.inner.window  # tokens that it can look back on; None = any number

    def encode(self, text: str) -> list[int]:
        """Return the numbers of the tokens of a text."""
        return list(self.inner.encode(text))

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens."""
        return self.inner.decode(tokens)

    @torch.inference_mode()
    def logits(self, rows: Sequence[Sequence[int]], last: Sequence[int]) -> list[Tensor]:
        """Return what comes next at the end of each row: logits (L, V) after its last L tokens.

        Args:
            rows: numbers of tokens, not empty.
            last: L of each row.
        """
        longest = max(map(len, rows))
        tokens = torch.tensor([[*row, *[self.inner.pad] * (longest - len(row))] for row in rows])
        found = self.inner.logits(tokens)  # (B, T, V)
        return [each[len(row) - count : len(row)] for each, row, count in zip(found, rows, last, strict=True)]
