"""Training through runner against loops written by hand, on the same tensors, nets and sizes.

    python benchmarks/train_loop.py [--rounds 5] [--models textcnn textcnn1d mlp]

"plain" is the loop of a tutorial: a DataLoader over a TensorDataset and default Adam. "tight" indexes the tensors
itself and uses the fused Adam. All three take turns in every round, so that a machine whose speed drifts treats them
alike; what is printed are medians of samples a second and of the ratios within a round. Validation and checkpoints are
left out of the training speed and measured separately, as the end of an epoch.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Callback
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from runner.build import build_task
from runner.config.compose import compose
from runner.datamodules.base import DataModule
from runner.datamodules.parts.batches import Features, Subset, TensorSplit, TextSplit
from runner.training.callbacks import ShowProgress
from runner.training.checkpoint import AtomicWriter
from runner.training.history import History
from runner.training.lightning import silence
from runner.training.train import build_trainer

ROWS = {"textcnn": 3200, "textcnn1d": 640, "mlp": 16000}
LENGTHS = {"textcnn": (3, 59, 21), "textcnn1d": (30, 400, 230)}  # shortest, longest, mean: movie_reviews and imdb
SETTINGS = {
    "textcnn": ["model=textcnn", "data=movie_reviews"],
    "textcnn1d": ["model=textcnn1d", "data=imdb"],
    "mlp": ["model=mlp", "data=iris", "data.in_features=34", "data.num_classes=2", "model.hidden_dims=[10,8]"],
}
COMMON = ["data.batch_size=32", "trainer.max_epochs=1", "trainer.accelerator=cpu"]


def configuration(model: str) -> DictConfig:
    cfg = compose([*SETTINGS[model], *COMMON])
    OmegaConf.resolve(cfg)
    return cfg


def made_up_split(model: str) -> tuple[TensorSplit | TextSplit, Tensor, Tensor]:
    """Rows of the shape of the real data: as runner holds them, and as the tensors of the loops written by hand."""
    rows = ROWS[model]
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(0, 2, (rows,), generator=generator)
    if model == "mlp":
        x = torch.randn(rows, 34, generator=generator)
        return TensorSplit(Features(x, target)), x, target
    shortest, longest, mean = LENGTHS[model]
    lengths = (mean + mean / 2 * torch.randn(rows, generator=generator)).long().clamp(shortest, longest)
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)])
    tokens = torch.randint(2, 10_000, (int(offsets[-1]),), generator=generator)
    x = torch.zeros(rows, longest, dtype=torch.long)
    for row in range(rows):
        x[row, : lengths[row]] = tokens[offsets[row] : offsets[row + 1]]
    return TextSplit(tokens.int().numpy(), offsets.numpy(), target, longest), x, target


class BetweenEpochs(Callback):
    """The seconds from the last step of an epoch to the beginning of the next, without the net's own forward passes."""

    def __init__(self, net: nn.Module):
        self.last = self.began = self.forward = 0.0
        self.gaps: list[float] = []
        net.register_forward_pre_hook(self.begin)
        net.register_forward_hook(self.end)

    def begin(self, *arguments) -> None:
        self.began = time.perf_counter()

    def end(self, *arguments) -> None:
        self.forward += time.perf_counter() - self.began

    def on_train_batch_end(self, *arguments) -> None:
        self.last, self.forward = time.perf_counter(), 0.0

    def on_train_epoch_start(self, *arguments) -> None:
        if self.last:
            self.gaps.append(time.perf_counter() - self.last - self.forward)


def through_runner(cfg: DictConfig, split: TensorSplit | TextSplit) -> tuple[float, float]:
    """Samples a second, and the seconds an epoch's end costs beyond the forward passes of its validation."""

    class Data(DataModule):
        train = split
        val = Subset(split, torch.arange(min(1000, len(split))))
        class_names = ("no", "yes")

        def setup(self, stage: str | None = None) -> None:
            """Nothing has to be read."""

    data, task = Data(batch_size=32), build_task(cfg)
    progress, writer = ShowProgress(), AtomicWriter()
    with tempfile.TemporaryDirectory() as folder:
        trainer = build_trainer(cfg, Path(folder), task, History(), [progress], writer)
        task.fit(trainer, data)
        speed = progress.samples_per_second
        few = OmegaConf.create(OmegaConf.to_container(cfg) | {"trainer": {**cfg.trainer, "max_epochs": 4,
                                                                          "limit_train_batches": 3}})  # fmt: skip
        gaps = BetweenEpochs(task.net)
        trainer = build_trainer(few, Path(folder), task, History(), [gaps], writer)
        task.fit(trainer, data)
        writer.wait()
    return speed, statistics.median(gaps.gaps)


def plain(net: nn.Module, x: Tensor, target: Tensor) -> float:
    """Samples a second of a tutorial's loop."""
    optimizer, loss_of = torch.optim.Adam(net.parameters()), nn.CrossEntropyLoss()
    began = time.perf_counter()
    for inputs, labels in DataLoader(TensorDataset(x, target), batch_size=32, shuffle=True):
        optimizer.zero_grad()
        loss = loss_of(net(inputs), labels)
        loss.backward()
        optimizer.step()
    return len(x) / (time.perf_counter() - began)


def tight(net: nn.Module, x: Tensor, target: Tensor) -> float:
    """Samples a second of a loop that indexes the tensors and uses the fused Adam."""
    optimizer, loss_of = torch.optim.Adam(net.parameters(), fused=True), nn.CrossEntropyLoss()
    began = time.perf_counter()
    for rows in torch.randperm(len(x)).split(32):
        optimizer.zero_grad()
        loss = loss_of(net(x[rows]), target[rows])
        loss.backward()
        optimizer.step()
    return len(x) / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=list(ROWS), choices=list(ROWS))
    arguments = parser.parse_args()
    silence()
    print(f"{os.cpu_count()} CPUs, {torch.get_num_threads()} threads, medians of {arguments.rounds} rounds")
    for model in arguments.models:
        cfg = configuration(model)
        split, x, target = made_up_split(model)
        speeds: dict[str, list[float]] = {"runner": [], "plain": [], "tight": []}
        ends = []
        for number in range(arguments.rounds + 1):  # the first round warms up
            speed, end = through_runner(cfg, split)
            ours = {"runner": speed, "plain": plain(build_task(cfg).net, x, target)}
            ours["tight"] = tight(build_task(cfg).net, x, target)
            if number:
                ends.append(end)
                for name, value in ours.items():
                    speeds[name].append(value)
        ratios = {
            other: statistics.median(a / b for a, b in zip(speeds["runner"], speeds[other], strict=True))
            for other in ("plain", "tight")
        }
        medians = ", ".join(f"{name} {statistics.median(values):.0f}/s" for name, values in speeds.items())
        print(f"{model}: {medians}; runner/plain {ratios['plain']:.2f}, runner/tight {ratios['tight']:.2f}; "
              f"end of an epoch {1000 * statistics.median(ends):.0f} ms", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
