"""Word vectors by runner and by gensim, on the same words of the packaged film reviews: speed, then quality.

    pip install gensim==4.4.0
    python benchmarks/word2vec.py [--models skipgram cbow] [--epochs 5] [--rounds 5] [--threads 2] [--words 1000000]

Speed: in every round both train one epoch on the first words of the text, one after the other with as many threads;
what is printed are medians of words a second (words of the vocabulary, before sub-sampling) and of the ratios within a
round. Quality: both train `--epochs` epochs on the whole training split with the same settings (100 numbers, window 5,
5 negatives, words above 0.001 sub-sampled; skip-gram from 0.025, CBOW from 0.05, falling to 0); Spearman's correlation
with WordSim-353 and SimLex-999, and the share of analogies answered, by the same function. Exit code 1: skip-gram
slower than gensim, or one of them more than two points below it on WordSim-353.
"""

import argparse
import importlib.util
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Callback, seed_everything

from runner.build import build_data, build_task
from runner.config.compose import compose
from runner.datamodules.base import DataModule
from runner.tasks.base import Task
from runner.tasks.word_similarity import PACKAGED, word_test
from runner.training.checkpoint import AtomicWriter
from runner.training.history import History
from runner.training.lightning import silence
from runner.training.train import build_trainer

WITHOUT_GENSIM = "gensim is not installed, so there is nothing to compare with: pip install gensim==4.4.0"


def configuration(model: str, epochs: int, *overrides: str) -> DictConfig:
    cfg = compose([f"experiment=ch06_{model}", "trainer.accelerator=cpu", f"trainer.max_epochs={epochs}",
                   "task.tests=null", "task.probes=[]", "+trainer.limit_val_batches=0", *overrides])  # fmt: skip
    OmegaConf.resolve(cfg)
    return cfg


def read(cfg: DictConfig) -> tuple[DataModule, list[list[str]]]:
    """The data, and the words of the training documents as gensim takes them: without what the vocabulary lacks."""
    data = build_data(cfg)
    data.setup()
    vocabulary = data.inputs.vocabulary
    names, first = np.array(vocabulary.tokens), len(vocabulary.specials)
    documents = data.store.documents(data.members["train"])
    return data, [names[words[words >= first]].tolist() for words in documents]


class Clock(Callback):
    """The seconds of the training epochs, from the first batch to the end of the last step."""

    seconds = 0.0

    def on_train_epoch_start(self, *arguments) -> None:
        self.began = time.perf_counter()

    def on_train_epoch_end(self, *arguments) -> None:
        self.seconds += time.perf_counter() - self.began


def through_runner(cfg: DictConfig, data: DataModule, seed: int) -> tuple[float, Task]:
    """Seconds of training, and the trained objective."""
    seed_everything(seed, verbose=False)
    data.seed = seed
    task, clock = build_task(cfg), Clock()
    task.connect(data)
    with tempfile.TemporaryDirectory() as folder:
        writer = AtomicWriter()
        task.fit(build_trainer(cfg, Path(folder), task, History(), [clock], writer), data)
        writer.wait()
    return clock.seconds, task


def through_gensim(cfg: DictConfig, texts: list[list[str]], threads: int, seed: int):
    """Seconds of training, and the trained vectors."""
    from gensim.models import Word2Vec

    contexts = cfg.task.contexts
    net = Word2Vec(
        vector_size=cfg.model.embed_dim, window=contexts.window, negative=cfg.model.negatives, sample=contexts.sample,
        alpha=cfg.optim.lr, min_alpha=1e-4 * cfg.optim.lr, sg=int(cfg.model._target_.endswith("SkipGram")),
        min_count=1, workers=threads, seed=seed,
    )  # fmt: skip
    net.build_vocab(texts)
    began = time.perf_counter()
    net.train(texts, total_examples=net.corpus_count, epochs=cfg.trainer.max_epochs)
    return time.perf_counter() - began, net.wv


def quality(numbers: dict[str, int], vectors: np.ndarray) -> dict[str, float]:
    """The score of every packaged test."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
    return {name: word_test(name, "packaged").score(numbers, unit) for name in PACKAGED}


def compare_speed(model: str, words: int, rounds: int, threads: int, with_gensim: bool) -> float:
    """Print words a second; return the median ratio, infinite without gensim."""
    cfg = configuration(model, 1, f"data.max_words={words}")
    data, texts = read(cfg)
    count = sum(map(len, texts))
    speeds: dict[str, list[float]] = {"runner": [], "gensim": []}
    for number in range(rounds + 1):  # the first round warms up
        found = {"runner": count / through_runner(cfg, data, seed=1)[0]}
        if with_gensim:
            found["gensim"] = count / through_gensim(cfg, texts, threads, seed=1)[0]
        for name, speed in found.items() if number else ():
            speeds[name].append(speed)
    medians = ", ".join(f"{name} {statistics.median(each):.0f} words/s" for name, each in speeds.items() if each)
    ratios = [one / other for one, other in zip(speeds["runner"], speeds["gensim"], strict=False)]
    ratio = statistics.median(ratios) if ratios else float("inf")
    print(f"{model}, {count} words: {medians}" + (f"; runner/gensim {ratio:.2f}" if ratios else ""), flush=True)
    return ratio


def compare_quality(model: str, epochs: int, threads: int, seeds: int, with_gensim: bool) -> float:
    """Print the scores, means over the seeds; return how far runner is above gensim on WordSim-353."""
    cfg = configuration(model, epochs)
    data, texts = read(cfg)
    found: dict[str, list[dict[str, float]]] = {"runner": [], "gensim": []}
    for seed in range(1, seeds + 1):
        _, task = through_runner(cfg, data, seed)
        numbers, vectors = task.known_words(data)
        found["runner"].append(quality(numbers, vectors))
        if with_gensim:
            _, wv = through_gensim(cfg, texts, threads, seed)
            found["gensim"].append(quality(wv.key_to_index, wv.vectors))
    means = {name: {test: statistics.mean(each[test] for each in scores) for test in PACKAGED}
             for name, scores in found.items() if scores}  # fmt: skip
    for name, scores in means.items():
        shown = ", ".join(f"{test} {score:.3f}" for test, score in scores.items())
        print(f"{model}, {epochs} epochs, {seeds} seeds, {name}: {shown}", flush=True)
    return means["runner"]["wordsim353"] - means["gensim"]["wordsim353"] if with_gensim else 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["skipgram", "cbow"], choices=["skipgram", "cbow"])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--words", type=int, default=1_000_000)
    arguments = parser.parse_args()
    silence()
    torch.set_num_threads(arguments.threads)
    with_gensim = importlib.util.find_spec("gensim") is not None
    print(f"{os.cpu_count()} CPUs, {arguments.threads} threads, medians of {arguments.rounds} rounds")
    if not with_gensim:
        print(WITHOUT_GENSIM)
    kept = True
    for model in arguments.models:
        if arguments.rounds:
            ratio = compare_speed(model, arguments.words, arguments.rounds, arguments.threads, with_gensim)
            kept &= model != "skipgram" or ratio >= 1.0
        if arguments.epochs:
            above = compare_quality(model, arguments.epochs, arguments.threads, arguments.seeds, with_gensim)
            kept &= above >= -0.02
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
