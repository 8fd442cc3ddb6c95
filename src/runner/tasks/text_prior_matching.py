"""Prior matching for sentences: write a sentence again from its code, which a discriminator cannot tell from N(0, 1).

The net has what `runner.tasks.code_game` asks for, and `latent_dim`, `codes(tokens)`, `start_from(codes)`, `step`
(see `runner.tasks.decoding`) and `words(codes)`, logits (B, V); called with sentences and what is written so far it
returns logits and the codes.

Sources: Makhzani et al. 2016, arXiv:1511.05644, section 2; words left out of what the encoder reads: Shen et al. 2020,
arXiv:1905.12777; words hidden from the decoder: Bowman et al. 2016, arXiv:1511.06349, section 3.1; the words
of the sentence from the code alone: Zhao et al. 2017, arXiv:1703.10960, section 3.3.

Shape letters: B batch, N sentences of a split, T tokens, L = T + 1 places of what is written, V vocabulary, Z latent.
"""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from pytorch_lightning import Trainer
from torch import Tensor
from torchmetrics import CatMetric

from runner.augment.text import Drop
from runner.datamodules.base import DataModule
from runner.datamodules.parts.batches import IGNORE, Loader
from runner.errors import UserError
from runner.figures import charts
from runner.tasks.base import Question
from runner.tasks.code_game import CodeGame
from runner.tasks.decoding import Decoding, decode
from runner.tasks.games import GameName
from runner.tasks.image_codes import distance_from_prior, neighbours_agree, number_of_samples, two_ends
from runner.tasks.linear_probe import bags, codes_of_bags, probe_accuracy
from runner.tasks.means import Mean, Scalars, value_of
from runner.tasks.next_tokens import cross_entropy
from runner.tasks.two_programs import two_programs
from runner.text.vocabulary import PAD, UNK

SHOWN = 3  # sentences and samples after each epoch
STEPS = 10  # sentences from one to another
FIRST = PAD  # begins and ends what is written: it never stands inside a sentence


class TextPriorMatching(CodeGame):
    """Cross-entropy of the tokens of a sentence plus the weighted loss of the encoder in the game for the codes.

    Args:
        net: see above.
        max_len: tokens written at most, at least 1.
        num_classes: classes that a linear probe of the codes predicts after the training; None = there are none.
        weight: of the game in what the autoencoder minimises, at least 0.
        loss: what is played for: minimax, non_saturating, wasserstein or hinge.
        discriminator_steps: discriminator updates for each update of the autoencoder, at least 1.
        bag_weight: of the cross-entropy of the words when the code says them in no order, at least 0.
        left_out: share of the words left out of the sentences that the encoder reads in training, in [0, 1).
        hidden: share of the words written so far that the decoder sees as unknown in training, in [0, 1).
        bag_epochs: epochs in which an autoencoder of bags of words learns, for comparison with the probe, at least 0; 0
            = none.
        nearest: sentences, at least 1, that `predict near=` names.
        method: how a sentence is written: greedy, sample or beam (see `runner.tasks.decoding`).
        temperature: of sampling, above 0.
        beam_size: sentences that beam search follows in parallel.
        sample_seed: of the codes drawn for `predict sample=`, and of sampling.
    """

    tokens = (0, 1)
    aligned = 1  # the answers follow what is written so far
    causal = True
    at_use = ("method", "temperature", "beam_size", "max_len", "nearest", "sample_seed")

    def __init__(
        self,
        net: Any,
        max_len: int,
        num_classes: int | None = None,
        weight: float = 1.0,
        loss: GameName = "non_saturating",
        discriminator_steps: int = 1,
        bag_weight: float = 1.0,
        left_out: float = 0.3,
        hidden: float = 0.3,
        bag_epochs: int = 10,
        nearest: int = 5,
        method: Literal["greedy", "sample", "beam"] = "greedy",
        temperature: float = 1.0,
        beam_size: int = 5,
        sample_seed: int = 0,
    ):
        super().__init__(net)
        self.play(weight, loss, discriminator_steps)
        self.num_classes, self.bag_epochs, self.bag_weight = num_classes, bag_epochs, bag_weight
        self.nearest, self.sample_seed = nearest, sample_seed
        self.leave_out, self.hidden = Drop(left_out), hidden
        self.how = Decoding(
            method, max_len, temperature, beam_size=beam_size, seed=sample_seed, end=FIRST, never=(UNK,)
        )
        self.codes, self.labels = CatMetric(), CatMetric()

    def connect(self, data: DataModule) -> None:
        known = len(getattr(data.inputs, "vocabulary", ()))
        beyond = range(known, getattr(data, "vocab_size", 0))  # a net may have room for more tokens
        self.how = replace(self.how, never=(UNK, *beyond))

    # Training.

    def inputs(self, batch: Any) -> tuple[Tensor, ...]:
        """Sentences (B, T) and what is written so far (B, L)."""
        return batch[0], F.pad(batch[0], (1, 0), value=FIRST)

    def reconstruction(self, batch: Any) -> tuple[Scalars, Tensor]:
        tokens, written = self.inputs(batch)
        if self.training:
            tokens = self.leave_out(tokens)
            unseen = (torch.rand(written.shape, device=written.device) < self.hidden) & (written != PAD)
            written = written.masked_fill(unseen, UNK)
        logits, codes = self.net(tokens, written)
        target = what_follows(batch[0])
        error = cross_entropy(logits, target)
        counts = bags(batch[0], logits.size(2))  # (B, V)
        bag = -(counts * self.net.words(codes).log_softmax(dim=1)).sum() / counts.sum().clamp(min=1)
        return {"reconstruction": Mean(error, (target != IGNORE).sum()), "bag": Mean(bag, counts.sum())}, codes

    def minimised(self, parts: Scalars) -> Tensor:
        return value_of(parts["reconstruction"]) + self.bag_weight * value_of(parts["bag"])

    def evaluation_step(self, batch: Any) -> Scalars:
        losses, codes = self.autoencoder_losses(batch)
        self.codes.update(codes)
        self.labels.update(batch[-1])
        return {**losses, "discriminator_loss": self.discriminator_loss(codes)}

    # Measuring.

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self.codes.reset()
        self.labels.reset()

    def collected(self) -> tuple[Tensor, Tensor]:
        """The codes (N, Z) and targets (N,) of the split."""
        codes, labels = (torch.as_tensor(kept.compute()).cpu() for kept in (self.codes, self.labels))
        return codes.reshape(-1, self.net.latent_dim), labels.reshape(-1)

    def evaluation_metrics(self) -> dict[str, float]:
        codes, labels = self.collected()
        found = super().evaluation_metrics() | {"mmd": distance_from_prior(codes)}
        agree = self.num_classes is not None and len(codes) > 1
        return found | ({"knn_accuracy": neighbours_agree(codes, labels)} if agree else {})

    def evaluate(self, trainer: Trainer, data: DataModule, split: str) -> dict[str, float]:
        """Return the metrics of a split; those of the test split with a linear probe, fitted to the training split."""
        found = super().evaluate(trainer, data, split)
        return found | ({f"test/{name}": value for name, value in self.probed(data).items()} if split == "test" else {})

    @torch.inference_mode()
    def probed(self, data: DataModule) -> dict[str, float]:
        """How well a linear classifier tells the classes by the codes, and by as wide ones of bags of words."""
        if self.num_classes is None:
            return {}
        self.eval()
        batches = {split: list(Loader(getattr(data, split), data.eval_rows)) for split in ("train", "test")}
        labels = {split: torch.cat([batch[-1] for batch in found]).numpy() for split, found in batches.items()}
        if any(len(np.unique(found)) < 2 for found in labels.values()):
            return {}
        texts = {split: [batch[0] for batch in found] for split, found in batches.items()}
        codes = {split: np.concatenate([*map(self.as_features, found)]) for split, found in texts.items()}
        scores = {"probe_accuracy": probe_accuracy(codes, labels)}
        if self.bag_epochs:
            sizes = self.net.embedding.num_embeddings, self.net.latent_dim
            naive = codes_of_bags(texts, *sizes, self.bag_epochs, self.device)
            scores["naive_probe_accuracy"] = probe_accuracy(naive, labels)
        return scores

    def as_features(self, tokens: Tensor) -> np.ndarray:
        """The codes of sentences (B, T), (B, Z)."""
        return self.net.codes(tokens.to(self.device)).cpu().numpy()

    # Answers.

    def write(self, codes: Tensor, data: DataModule) -> list[str]:
        """The sentences that the net writes of codes (B, Z)."""
        with torch.inference_mode():
            state = self.net.start_from(codes.to(self.device))
        first = torch.full((len(codes),), FIRST, device=self.device)
        return [data.decode(text) for text in decode(self.net, state, first, self.how).tokens[:, 0].tolist()]

    def answer_columns(self, data: DataModule) -> dict[str, str]:
        return {"reconstruction": "string"} | {f"code_{number}": "double" for number in range(self.net.latent_dim)}

    @torch.inference_mode()
    def answer(self, rows: list[dict], data: DataModule) -> list[dict]:
        """Return one row for each sentence: what is written of its code, and the code."""
        codes = self.net.codes(*self.encoded(rows, data))
        names = list(self.answer_columns(data))
        return [
            dict(zip(names, [text, *code], strict=True))
            for text, code in zip(self.write(codes, data), codes.tolist(), strict=True)
        ]

    def shown(self, answer: dict) -> list[str]:
        """An answer without its code, which is for other programs: output=FILE."""
        return super().shown({name: value for name, value in answer.items() if not name.startswith("code_")})

    def questions(self) -> dict[str, Question]:
        return {"sample": self.sample, "interpolate": self.interpolate, "near": self.near}

    def sample(self, text: str, data: DataModule) -> list[dict]:
        """Write sentences of codes that are drawn from the prior: sample=10."""
        return [
            {"text": written} for written in self.write(self.drawn(number_of_samples(text), self.sample_seed), data)
        ]

    def interpolate(self, text: str, data: DataModule) -> list[dict]:
        """Go from one sentence to another through the codes between: interpolate="a|b", or seeds, "1|2"."""
        ends = [self.code_of(part, data) for part in two_ends(text)]
        shares = torch.linspace(0, 1, STEPS)
        codes = ends[0] * (1 - shares[:, None]) + ends[1] * shares[:, None]
        written = self.write(codes, data)
        return [{"share": share, "text": one} for share, one in zip(shares.tolist(), written, strict=True)]

    @torch.inference_mode()
    def near(self, text: str, data: DataModule) -> list[dict]:
        """The sentences of the training split whose codes point into the direction of that of a sentence."""
        inputs = data.inputs
        data.setup()
        data.inputs = inputs  # as the model was trained, whatever the data are now
        rows = data.raw("train")
        column = next(iter(data.columns))
        codes = []
        for begin in range(0, len(rows), data.eval_rows):
            codes.append(self.net.codes(*self.encoded(rows[begin : begin + data.eval_rows], data)).cpu())
        cosines = F.cosine_similarity(torch.cat(codes), self.code_of(text, data))
        best = cosines.topk(min(self.nearest, len(rows)))
        return [
            {"cosine": cosine, "text": rows[row][column]}
            for cosine, row in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ]

    @torch.inference_mode()
    def code_of(self, text: str, data: DataModule) -> Tensor:
        """The code (1, Z) of a sentence, or one drawn from the prior with a seed."""
        if text.isdecimal():
            return self.drawn(1, int(text))
        if not text.strip():
            raise UserError("a sentence has at least one word; received an empty text")
        return self.net.codes(*self.encoded([{next(iter(data.columns)): text}], data)).cpu()

    def drawn(self, rows: int, seed: int) -> Tensor:
        """Codes drawn from the prior, (rows, Z)."""
        return torch.randn(rows, self.net.latent_dim, generator=torch.Generator().manual_seed(seed))

    def export_inputs(self, data: DataModule, rows: int, length: int) -> tuple[Tensor, ...]:
        return self.inputs(super().export_inputs(data, rows, length))

    def programs(self, inputs: list[tuple[Tensor, ...]]) -> dict[str, Any]:
        """Encoder, whose first output is the code, and one step of the decoder."""
        return two_programs(self.net, [tokens for tokens, *_ in inputs], FIRST)

    # Samples and figures.

    def sample_text(self, data: DataModule) -> str | None:
        """Sentences of the validation split as they are written again, and samples."""
        self.net.eval()
        rows = data.raw("train" if data.val is None else "val", SHOWN)
        column = next(iter(data.columns))
        lines = [f"sample   {text}" for text in self.write(self.drawn(SHOWN, 0), data)]
        for row, found in zip(rows, self.answer(rows, data), strict=True):
            lines += [f"read     {row[column]}", f"written  {found['reconstruction']}"]
        return "\n" + "\n".join(lines)

    def figures(self) -> dict[str, Figure]:
        codes, labels = self.collected()
        drawn = {"prior_and_codes": charts.prior_and_codes(codes.numpy())}
        if self.num_classes is not None:
            drawn["latent_space"] = charts.latent_space(codes.numpy(), labels.numpy())
        return drawn


def what_follows(tokens: Tensor) -> Tensor:
    """The token after each that is written, (B, L): a sentence (B, T), then the token that ends it, then none."""
    after = F.pad(tokens, (0, 1), value=PAD)
    ended = F.pad(tokens, (1, 0), value=1) == PAD  # the end has been written before
    return after.masked_fill(ended, IGNORE)
