"""Few examples of each class: learn to compare, so that classes that were never trained on can be told apart.

The net maps examples in question (B, Q, ...) and K examples of each of N classes (B, N, K, ...) to logits (B, Q, N);
the largest is the answer. Some classes are set aside: training never sees them, and the test episodes are of them
alone. Beside the accuracy stands `naive_accuracy`, that of the nearest example without any learning, in the same
episodes.

Sources: Gregory Koch et al. 2015 (each comparison is a decision of its own, same or different); Oriol Vinyals et al.
2016, arXiv:1606.04080, and Jake Snell et al. 2017, arXiv:1703.05175 (one class of N is chosen).

Shape letters: B episodes, Q examples in question, N classes of an episode, K examples of each, C classes.
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
from runner.datamodules.parts.episodes import QUARTERS, EpisodeSplit, FewShots
from runner.datamodules.parts.splits import PARTS
from runner.errors import UserError
from runner.tasks import examples
from runner.tasks.answers import class_answers, class_columns, class_names
from runner.tasks.base import Task
from runner.tasks.means import Scalars

log = logging.getLogger(__name__)
LOSSES = ("choice", "pairs")


class FewShot(Task):
    """Loss and accuracy of finding the class of an example among N of which K examples are shown.

    Args:
        net: maps examples (B, Q, ...) and what to compare them with (B, N, K, ...) to logits (B, Q, N).
        num_outputs: number of classes of the data.
        way: classes of a validation or test episode, N, at least 2.
        shots: examples of each class that are shown, K, at least 1.
        queries: examples of each class that are in question, at least 1; Q = N times as many.
        train_way: classes of a training episode, at least 2; None = `way`.
        turned: whether images turned by 90, 180 and 270 degrees are classes of their own in training.
        loss: choice (cross-entropy over the N classes) or pairs (of each comparison: same class or not; both kinds of
            pairs have the same weight).
        new_classes: classes that are not trained on and that the test episodes are of, at least 2; drawn by
            data.split_seed.
        val_classes: classes that the validation episodes are of, drawn likewise, at least 0; 0 = those of training,
            in examples that are not trained on.
        episodes: episodes of validation and of test, at least 1.
    """

    asked_as = ("classify",)
    support: Tensor | None  # (C, K, ...)

    def __init__(
        self,
        net: nn.Module,
        num_outputs: int,
        way: int = 5,
        shots: int = 1,
        queries: int = 1,
        train_way: int | None = None,
        turned: bool = False,
        loss: Literal["choice", "pairs"] = "choice",
        new_classes: int = 5,
        val_classes: int = 0,
        episodes: int = 500,
    ):
        super().__init__(net)
        least = {"way": 2, "train_way": 2, "shots": 1, "queries": 1, "new_classes": 2, "val_classes": 0, "episodes": 1}
        given = (way, train_way or way, shots, queries, new_classes, val_classes, episodes)
        for (name, smallest), value in zip(least.items(), given, strict=True):
            if value < smallest:
                raise UserError(f"task.{name} must be at least {smallest}, received {value}")
        if loss not in LOSSES:
            raise UserError(f"task.loss is {' or '.join(LOSSES)}, received {loss!r}")
        if new_classes < way or 0 < val_classes < way:
            raise UserError(
                f"an episode has task.way={way} classes: task.new_classes={new_classes} and "
                f"task.val_classes={val_classes} have to be as many or more (val_classes may be 0)"
            )
        fewest = -(-(train_way or way) // (QUARTERS if turned else 1))
        if new_classes + val_classes + fewest > num_outputs:
            raise UserError(
                f"task.new_classes={new_classes}, task.val_classes={val_classes} and {fewest} classes to train on are "
                f"more than the {num_outputs} of the data: lower them, task.way or task.train_way"
            )
        self.way, self.shots, self.queries, self.loss = way, shots, queries, loss
        self.train_way, self.turned = train_way or way, turned
        self.new_classes, self.val_classes, self.episodes = new_classes, val_classes, episodes
        self.register_buffer("support", None, persistent=False)
        self.known: list[int] = []  # the classes that `support` has examples of

    # Episodes.

    def connect(self, data: DataModule) -> None:
        """Make the splits of the data episodes, once they have been read."""
        if data.is_set_up and not isinstance(data.train, EpisodeSplit):
            if getattr(data, "short_first", 0):
                raise UserError("data.short_first sorts rows, and few_shot draws episodes: leave it out")
            if hasattr(data, "bucket"):
                data.bucket = False  # the examples of an episode are drawn, whatever their lengths
            self.keep_support(data)
            assert data.prepared is not None, "data that is set up is prepared"
            found = self.split_by_class(data)
            data.prepared = replace(data.prepared, train=found["train"], val=found["val"], test=found["test"])

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
        often = {
            part: np.bincount(found, minlength=len(names)) >= self.shots + self.queries
            for part, found in targets.items()
        }
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
        if self.turned and len(data.train.gather(torch.zeros(1, dtype=torch.int64), torch.Generator())[0].shape) < 4:
            raise UserError("task.turned=true is for images: leave it out")
        turns = QUARTERS if self.turned else 1
        wanted = {
            "train": -(-self.train_way // turns),
            "val": max(self.way, self.val_classes),
            "test": self.new_classes,
        }
        for part in PARTS:
            if len(kept[part]) < wanted[part]:
                raise UserError(
                    f"the {part} episodes need {wanted[part]} classes with task.shots + task.queries = "
                    f"{self.shots + self.queries} examples or more in their split; {data.source} leaves "
                    f"{len(kept[part])} of {len(names)}. Lower task.way, task.train_way, task.new_classes, "
                    "task.val_classes or task.shots"
                )
        log.info(
            "Never trained on: %s; trained on: %d classes",
            ", ".join(names[number] for number in kept["test"]), len(train),
        )  # fmt: skip
        rows = int(np.isin(targets["train"], train).sum())
        sizes = {"train": -(-rows // (self.train_way * self.queries)), "val": self.episodes, "test": self.episodes}
        way = {"train": self.train_way, "val": self.way, "test": self.way}
        return {
            part: EpisodeSplit(
                getattr(data, part), targets[part], kept[part], way[part], self.shots, self.queries, sizes[part],
                turned=self.turned and part == "train",
            )
            for part in PARTS
        }  # fmt: skip

    def example(self, facts: Mapping[str, Any], read: set[str], rows: int, draw: torch.Generator) -> FewShots:
        count = rows * self.way * (self.shots + 1)
        drawn = examples.batch(facts, read, count, draw, torch.zeros(count))[0]
        found = drawn.unflatten(0, (rows, self.way, -1))  # (B, N, K + 1, ...)
        target = torch.arange(self.way).expand(rows, -1)
        return FewShots(found[:, :, -1], found[:, :, :-1], target)

    # Training and measuring.

    def step(self, batch: FewShots) -> Scalars:
        logits = self.logits(batch.query, batch.support)  # (B, Q, N)
        if self.loss == "pairs":
            same = F.one_hot(batch.target, logits.size(2)).float()
            others = torch.tensor(logits.size(2) - 1.0, device=logits.device)  # for each pair of the same class
            loss = F.binary_cross_entropy_with_logits(logits, same, pos_weight=others) * logits.size(2) / (2 * others)
        else:
            loss = F.cross_entropy(logits.flatten(0, 1), batch.target.flatten())
        return {"loss": loss, "accuracy": (logits.argmax(dim=2) == batch.target).float().mean()}

    def evaluation_step(self, batch: FewShots) -> Scalars:
        naive = nearest(batch.query, batch.support) == batch.target
        return self.step(batch) | {"naive_accuracy": naive.float().mean()}

    def logits(self, query: Tensor, support: Tensor) -> Tensor:
        """Answers of the net (B, Q, N)."""
        found, wanted = self.net(query, support), (*query.shape[:2], support.size(1))
        if found.shape != wanted:
            raise UserError(
                f"few_shot needs logits of shape {wanted}, one for each example in question and each class; "
                f"{type(self.net).__name__} returned {tuple(found.shape)}"
            )
        return found

    def on_after_batch_transfer(self, batch: FewShots, dataloader_idx: int) -> FewShots:
        """Let the augmentation change each example by itself."""
        if self.augment is None or not self.training:
            return batch
        query, support = batch.query.flatten(0, 1), batch.support.flatten(0, 2)
        changed = self.augment(FewShots(query, support, batch.target.flatten()[:0]))
        return FewShots(changed.query.view_as(batch.query), changed.support.view_as(batch.support), batch.target)

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
        found = torch.zeros(len(query), len(class_names(data)))
        logits = self.logits(query.unsqueeze(0), self.support.to(query.device).unsqueeze(0))[0]
        found[:, self.known] = logits.float().softmax(dim=1).cpu()
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
        (found,) = super().export_inputs(data, rows * self.way * (self.shots + 1), length)
        found = found.unflatten(0, (rows, self.way, -1))
        return found[:, :, -1], found[:, :, :-1].contiguous()


@torch.no_grad()
def nearest(query: Tensor, support: Tensor) -> Tensor:
    """The classes (B, Q) of the most similar examples, without learning: by pixels, or by words that texts share.

    Images are compared by the Euclidean distance of their pixels, texts by the cosine of log(1 + how often a word is
    there).

    Args:
        query: examples in question (B, Q, ...).
        support: what to compare them with (B, N, K, ...).
    """
    rows = torch.cat([query.flatten(0, 1), support.flatten(0, 2)])
    if rows.dtype == torch.int64:
        words, places = rows.unique(return_inverse=True)
        counts = torch.zeros(len(rows), len(words), device=rows.device)
        rows = F.normalize(counts.scatter_add_(1, places, (rows != 0).float()).log1p(), dim=1)
    asked = rows[: query.size(0) * query.size(1)].view(*query.shape[:2], -1)  # (B, Q, F)
    shown = rows[query.size(0) * query.size(1) :].view(len(query), support.size(1) * support.size(2), -1)
    apart = torch.cdist(asked, shown).unflatten(2, support.shape[1:3])  # (B, Q, N, K)
    return apart.amin(dim=3).argmin(dim=2)
