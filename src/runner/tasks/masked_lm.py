"""Pre-training on text alone: which words are hidden, and does the second sentence follow the first?

Source: Jacob Devlin et al., BERT, NAACL 2019, arXiv:1810.04805, section 3.1. What is hidden is drawn by the data
(`runner.datamodules.parts.masked`).

Shape letters: B batch, T tokens, P hidden places, V vocabulary.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.datamodules.base import DataModule
from runner.datamodules.parts.batches import IGNORE
from runner.datamodules.parts.masked import Masked, MaskedTexts, hide
from runner.tasks import examples
from runner.tasks.base import Task
from runner.tasks.means import Mean, Scalars
from runner.tasks.next_tokens import cross_entropy
from runner.text.vocabulary import MASK, PAD, Vocabulary


class MaskedLM(Task):
    """Cross-entropy of the hidden words, mean over these, plus that of "from elsewhere", mean over rows.

    Args:
        net: maps tokens (B, T), segments (B, T) and places (B, P) to logits of words (B, P, V) and of "from elsewhere"
            (B, 2); without segments and places a single text to logits at every token.
        num_outputs: tokens V of the vocabulary.
        masks: how the data hide words, see `MaskedSplit`.
        guesses: words that `predict` names for each hidden one, at least 1.
        shown: rows that are shown after each epoch, at least 0.
    """

    asked_as = ("fill_mask",)
    tokens = (0, 1)
    at_use = ("guesses",)

    def __init__(
        self,
        net: nn.Module,
        num_outputs: int,
        masks: Mapping[str, float] | None = None,
        guesses: int = 5,
        shown: int = 3,
    ):
        super().__init__(net)
        self.vocab_size, self.guesses, self.shown_rows = num_outputs, guesses, shown
        self.masks = dict(masks or {})

    def inputs(self, batch: Masked) -> tuple[Tensor, ...]:
        return batch.tokens, batch.segments, batch.places

    def example(self, facts: Mapping[str, Any], read: set[str], rows: int, draw: torch.Generator) -> Masked:
        stream, real = examples.texts(facts, rows, draw)
        tokens = stream[:, :-1].where(real, PAD)  # (B, T)
        return hide(tokens, examples.halves(real), torch.arange(rows) % 2, facts["vocab_size"], draw)

    def step(self, batch: Masked) -> Scalars:
        words, elsewhere = self.net(*self.inputs(batch))  # (B, P, V), (B, 2)
        real = batch.target != IGNORE  # (B, P)
        of_words = cross_entropy(words, batch.target)
        of_rows = F.cross_entropy(elsewhere, batch.elsewhere)
        right = ((words.argmax(dim=2) == batch.target) & real).sum() / real.sum()
        return {
            "loss": of_words + of_rows,
            "masked_loss": Mean(of_words, real.sum()),
            "masked_accuracy": Mean(right, real.sum()),
            "next_loss": of_rows,
            "next_accuracy": (elsewhere.argmax(dim=1) == batch.elsewhere).float().mean(),
        }

    def rows(self, batch: Masked) -> int:
        return len(batch.tokens)

    def evaluation_metrics(self) -> dict[str, float]:
        metrics = super().evaluation_metrics()
        return metrics | {"loss": metrics["masked_loss"] + metrics["next_loss"]}  # each a mean over what it counts

    # Answering.

    @torch.inference_mode()
    def answer(self, rows: list[dict], data: DataModule) -> list[dict]:
        """Return each text with its hidden words filled in, and the likeliest words for each."""
        (tokens,) = self.encoded(rows, data)  # (B, T)
        words, _ = self.net(tokens)  # (B, T, V)
        coded, vocabulary = coding(data)
        words[:, :, : len(vocabulary.specials)] = -torch.inf  # marks are not words
        words[:, :, len(vocabulary) :] = -torch.inf
        likely, best = words.softmax(dim=2).topk(min(self.guesses, len(vocabulary) - len(vocabulary.specials)))
        answers = []
        for row, numbers in enumerate(tokens):
            places = (numbers == vocabulary.mask).nonzero().squeeze(1).tolist()
            filled = numbers.tolist()
            named = []
            for place in places:
                filled[place] = int(best[row, place, 0])
                found = zip(vocabulary.decode(best[row, place].tolist()), likely[row, place].tolist(), strict=True)
                named.append(", ".join(f"{word} {share:.3f}" for word, share in found))
            answers.append({"filled": coded.decode(filled), "words": "; ".join(named)})
        return answers

    def answer_columns(self, data: DataModule) -> dict[str, str]:
        return {"filled": "string", "words": "string"}

    @torch.inference_mode()
    def sample_text(self, data: DataModule) -> str | None:
        """Return some rows of the validation split: the hidden words, and what the net takes them for."""
        if not self.shown_rows or data.val is None:
            return None
        self.net.eval()
        index = torch.arange(min(self.shown_rows, len(data.val)))
        batch: Any = data.val.gather(index, torch.Generator().manual_seed(0))
        batch = Masked(*(part.to(self.device) for part in batch))
        said = self.net(*self.inputs(batch))[0].argmax(dim=2)  # (B, P)
        coded, vocabulary = coding(data)
        lines = []
        for tokens, places, guesses, target in zip(
            batch.tokens.tolist(), batch.places.tolist(), said.tolist(), batch.target.tolist(), strict=True
        ):
            words = {
                place: f"[{' '.join(vocabulary.decode([truth]))}: {' '.join(vocabulary.decode([guess]))}]"
                for place, guess, truth in zip(places, guesses, target, strict=True)
                if truth != IGNORE
            }
            shown = [words.get(place, vocabulary.decode([number])[0]) for place, number in enumerate(tokens) if number]
            lines.append(coded.pipeline.joined(shown))
        return "\n".join(["", *lines])


def coding(data: DataModule) -> tuple[MaskedTexts, Vocabulary]:
    """What encodes and decodes texts with hidden words, and its vocabulary."""
    assert isinstance(data.inputs, MaskedTexts), f"data with {MASK}"
    return data.inputs, data.inputs.vocabulary
