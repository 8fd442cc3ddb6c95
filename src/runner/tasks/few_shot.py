"""Few examples of each class: learn to compare, so that classes that were never trained on can be told apart.

The net maps examples in question (B, ...) and K examples of each of N classes (B, N, K, ...) to logits (B, N); the
largest is the answer. Some classes are set aside: training never sees them, and the test episodes are of them alone.
Beside the accuracy stands `naive_accuracy`, that of the nearest example without any learning, in the same episodes.

Sources: Gregory Koch et al. 2015 (each comparison is a decision of its own, same or different); Oriol Vinyals et al.
2016, arXiv:1606.04080, and Jake Snell et al. 2017, arXiv:1703.05175 (one class of N is chosen).

Shape letters: B episodes, N classes of an episode, K examples of each, C classes.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pytorch_lightning import Trainer
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from runner.datamodules.base import DataModule
from runner.datamodules.parts.episodes import EpisodeSplit, FewShots
from runner.datamodules.parts.splits import PARTS
from runner.errors import UserError
from runner.tasks import examples
from runner.tasks.answers import class_answers, class_columns, class_names
from runner.tasks.base import Task
from runner.tasks.means import Scalars

log = logging.getLogger(__name__)
LOSSES = ("choice", "pairs")
AT_ONCE = 4096  # examples that new ones are compared with at once


class FewShot(Task):
    """Loss and accuracy of finding the class of an example among N of which K examples are shown.

    Args:
        net: maps examples (B, ...) and what to compare them with (B, N, K, ...) to logits (B, N).
        way: classes of a validation or test episode, N, at least 2.
        shots: examples of each class, K, at least 1.
        train_way: classes of a training episode, at least 2; None = `way`. With the loss pairs, 2 shows as many pairs
            of the same class as of different ones.
        loss: choice (cross-entropy over the N classes) or pairs (of each comparison: same class or not).
        new_classes: classes that are not trained on and that the test episodes are of, at least 2; drawn by
            data.split_seed.
        val_classes: classes that the validation episodes are of, drawn likewise, at least 0; 0 = those of training,
            in examples that are not trained on.
        episodes: episodes of validation and of test, at least 1.
    """

    support: Tensor | None  # (C, K, ...)

    def __init__(
        self,
        net: nn.Module,
        way: int = 5,
        shots: int = 1,
        train_way: int | None = None,
        loss: Literal["choice", "pairs"] = "choice",
        new_classes: int = 5,
        val_classes: int = 0,
        episodes: int = 1000,
    ):
        super().__init__(net)
        for name, value, least in (
            ("way", way, 2), ("train_way", train_way or way, 2), ("shots", shots, 1), ("new_classes", new_classes, 2),
            ("val_classes", val_classes, 0), ("episodes", episodes, 1),
        ):  # fmt: skip
            if value < least:
                raise UserError(f"task.{name} must be at least {least}, received {value}")
        if loss not in LOSSES:
            raise UserError(f"task.loss is {' or '.join(LOSSES)}, received {loss!r}")
        if new_classes < way or 0 < val_classes < way:
            raise UserError(
                f"an episode has task.way={way} classes: task.new_classes={new_classes} and "
                f"task.val_classes={val_classes} have to be as many or more (val_classes may be 0)"
            )
        self.way, self.shots, self.train_way, self.loss = way, shots, train_way or way, loss
        self.new_classes, self.val_classes, self.episodes = new_classes, val_classes, episodes
        self.register_buffer("support", None, persistent=False)
        self.known: list[int] = []  # the classes that `support` has examples of

    # Episodes.

    def connect(self, data: DataModule) -> None:
        """Make the splits of the data episodes, once they have been read."""
        if data.is_set_up and not isinstance(data.train, EpisodeSplit):
            self.keep_support(data)
            assert data.prepared is not None, "data that is set up is prepared"
            data.prepared = replace(data.prepared, **self.split_by_class(data))

    def fit(self, trainer: Trainer, data: DataModule, checkpoint: str | None = None) -> None:
        self.connect(data)
        super().fit(trainer, data, checkpoint)

    def evaluate(self, trainer: Trainer, data: DataModule, split: str) -> dict[str, float]:
        self.connect(data)
        return super().evaluate(trainer, data, split)

    def split_by_class(self, data: DataModule) -> dict[str, EpisodeSplit]:
        """Return episodes for each split, those of the test split of classes that no other split has.

        Raises:
            UserError: there are too few classes with enough examples.
        """
        names = class_names(data)
        absent = [part for part in PARTS if part not in data.sizes]
        if absent:
            raise UserError(f"few_shot needs training, validation and test examples; {data.source} has no {absent[0]}")
        targets = {part: np.asarray(data.targets_of(part)) for part in PARTS}
        often = {part: np.bincount(found, minlength=len(names)) > self.shots for part, found in targets.items()}
        order = np.random.default_rng(data.split_seed).permutation(len(names)).tolist()
        test = [number for number in order if often["test"][number]][: self.new_classes]
        rest = [number for number in order if number not in test]
        val = [number for number in rest if often["val"][number]][: self.val_classes]
        train = sorted(number for number in rest if number not in val and often["train"][number])
        kept = {
            "train": train,
            "val": sorted(val) or [number for number in train if often["val"][number]],
            "test": sorted(test),
        }
        wanted = {"train": self.train_way, "val": max(self.way, self.val_classes), "test": self.new_classes}
        for part in PARTS:
            if len(kept[part]) < wanted[part]:
                raise UserError(
                    f"the {part} episodes need {wanted[part]} classes with more than task.shots={self.shots} examples "
                    f"in their split; {data.source} leaves {len(kept[part])} of {len(names)}. Lower task.way, "
                    "task.new_classes, task.val_classes or task.shots"
                )
        log.info(
            "Never trained on: %s; trained on: %d classes",
            ", ".join(names[number] for number in kept["test"]), len(train),
        )  # fmt: skip
        sizes = {"train": int(np.isin(targets["train"], train).sum()), "val": self.episodes, "test": self.episodes}
        way = {"train": self.train_way, "val": self.way, "test": self.way}
        return {
            part: EpisodeSplit(getattr(data, part), targets[part], kept[part], way[part], self.shots, sizes[part])
            for part in PARTS
        }

    def example(self, facts: Mapping[str, Any], read: set[str], rows: int, draw: torch.Generator) -> FewShots:
        classes = torch.arange(rows) % self.way
        queries = examples.batch(facts, read, rows, draw, classes)[0]  # (B, ...)
        shape = (rows, self.way, self.shots, *queries.shape[1:])
        others = queries[torch.randint(rows, shape[:3], generator=draw)]
        own = torch.arange(self.way) == classes.unsqueeze(1)  # (B, N)
        return FewShots(queries, others.where(own.view(*own.shape, *[1] * (len(shape) - 2)), others.flip(0)), classes)

    # Training and measuring.

    def step(self, batch: FewShots) -> Scalars:
        logits = self.logits(batch.query, batch.support)  # (B, N)
        if self.loss == "pairs":
            same = F.one_hot(batch.target, logits.size(1)).float()
            loss = F.binary_cross_entropy_with_logits(logits, same)
        else:
            loss = F.cross_entropy(logits, batch.target)
        return {"loss": loss, "accuracy": (logits.argmax(dim=1) == batch.target).float().mean()}

    def evaluation_step(self, batch: FewShots) -> Scalars:
        naive = nearest(batch.query, batch.support) == batch.target
        return self.step(batch) | {"naive_accuracy": naive.float().mean()}

    def logits(self, query: Tensor, support: Tensor) -> Tensor:
        """Answers of the net (B, N)."""
        found = self.net(query, support)
        if found.shape != support.shape[:2]:
            raise UserError(
                f"few_shot needs logits of shape {tuple(support.shape[:2])}, one for each class of an episode; "
                f"{type(self.net).__name__} returned {tuple(found.shape)}"
            )
        return found

    # Answering: a class is one of those of which the training split has examples, trained on or not.

    def keep_support(self, data: DataModule) -> None:
        """Keep the first examples of every class in the training split, to compare new ones with."""
        targets = np.asarray(data.targets_of("train"))
        rows = {number: np.flatnonzero(targets == number)[: self.shots] for number in np.unique(targets).tolist()}
        self.known = [number for number, found in rows.items() if len(found) == self.shots]
        places = torch.from_numpy(np.concatenate([rows[number] for number in self.known]))
        self.support = data.train.gather(places, torch.Generator())[0].unflatten(0, (-1, self.shots))

    def chances(self, rows: list[dict], data: DataModule) -> Tensor:
        """Probabilities (B, C) of raw rows; 0 for a class without examples."""
        if self.support is None:
            raise UserError("there are no examples to compare with: train first")
        (query,) = self.encoded(rows, data)
        support, found = self.support, torch.zeros(len(query), len(class_names(data)))
        logits = [
            self.logits(some, support.expand(len(some), *support.shape))
            for some in query.split(max(AT_ONCE // len(support.flatten(0, 1)), 1))
        ]
        found[:, self.known] = torch.cat(logits).float().softmax(dim=1).cpu()
        return found

    @torch.inference_mode()
    def answer(self, rows: list[dict], data: DataModule) -> list[dict]:
        """Return one row for each example: the nearest class and the probability of each."""
        chances = self.chances(rows, data)
        return class_answers(class_names(data), chances.argmax(dim=1).tolist(), chances.tolist())

    def answer_columns(self, data: DataModule) -> dict[str, str]:
        return {} if self.support is None else class_columns(class_names(data))

    @torch.inference_mode()
    def score(self, rows: list[dict], truths: Sequence | None, data: DataModule) -> None:
        """Add labelled rows to the metrics; the choice is among all classes of which there are examples."""
        if truths is None:
            raise UserError("there are no labels to compare with: use split=val or split=test")
        right = self.chances(rows, data).argmax(dim=1).cpu() == torch.as_tensor(truths)
        self.evaluation_means.add({"accuracy": right.float().mean()}, len(rows))
        self.evaluation_means.close()

    def save_weights(self, folder: Path) -> None:
        super().save_weights(folder)
        if self.support is not None:
            kept = {"support": self.support.cpu().contiguous(), "known": torch.tensor(self.known)}
            save_file(kept, folder / "task.safetensors")

    def load_weights(self, folder: Path) -> None:
        super().load_weights(folder)
        if (folder / "task.safetensors").exists():
            state = load_file(folder / "task.safetensors")
            self.support, self.known = state["support"], state["known"].tolist()

    def export_inputs(self, data: DataModule, rows: int, length: int) -> tuple[Tensor, ...]:
        (query,) = super().export_inputs(data, rows, length)
        compared = query.flip(0)[:, None, None].expand(-1, self.way, self.shots, *query.shape[1:])
        return query, compared.contiguous()


@torch.no_grad()
def nearest(query: Tensor, support: Tensor) -> Tensor:
    """The class (B,) of the most similar example, without learning: by pixels, or by the words that two texts share.

    Images are compared by the Euclidean distance of their pixels, texts by the cosine of log(1 + how often a word is
    there).

    Args:
        query: examples in question (B, ...).
        support: what to compare them with (B, N, K, ...).
    """
    rows = torch.cat([query, support.flatten(0, 2)])
    if rows.dtype == torch.int64:
        words, places = rows.unique(return_inverse=True)
        counts = torch.zeros(len(rows), len(words), device=rows.device)
        rows = F.normalize(counts.scatter_add_(1, places, (rows != 0).float()).log1p(), dim=1)
    else:
        rows = rows.flatten(1)
    ones, others = rows[: len(query), None], rows[len(query) :].unflatten(0, (len(query), -1))
    apart = torch.cdist(ones, others).view(support.shape[:3])  # (B, N, K)
    return apart.amin(dim=2).argmin(dim=1)
