"""Language models through runner against a tight loop over the same net, and an adaptive against a full softmax.

    python benchmarks/language_model.py [--rounds 5] [--models char_rnn word_lm] [--words 100000]

The tight loop carries the state from window to window as runner does, indexes its own tensor and uses the fused Adam;
validation and checkpoints are left out. Both take turns in every round; what is printed are medians of tokens a second
and of the ratios within a round. Wanted: runner at least 0.9 of the tight loop; a step of word_lm over `--words` words
at least twice as fast with softmax=adaptive as with full.
"""

import argparse
import os
import statistics
import time

import numpy as np
import torch
import torch.nn.functional as F
from omegaconf import DictConfig, OmegaConf
from rounds import compare, trained
from torch import Tensor

from runner.build import build_task
from runner.config.compose import compose
from runner.datamodules.base import DataModule
from runner.datamodules.parts.token_store import LaneSplit, one_document
from runner.models.layers.carrying import CarryingLM
from runner.models.word_lm import WordLM
from runner.training.lightning import silence

STEPS = 40  # of a round
SETTINGS = {
    "char_rnn": ["model=char_rnn", "data=characters", "data.batch_size=64", "data.context_len=25",
                 "model.hidden_dim=500"],
    "word_lm": ["model=word_lm", "data=corpus", "data.vocab_size=5000", "model.embed_dim=200", "model.hidden_dim=200",
                "data.context_len=30", "data.batch_size=20"],
}  # fmt: skip


def configuration(model: str) -> DictConfig:
    cfg = compose([*SETTINGS[model], "trainer.max_epochs=1", "trainer.accelerator=cpu", "task.sample_len=0"])
    OmegaConf.resolve(cfg)
    return cfg


def made_up(cfg: DictConfig, text: np.ndarray) -> DataModule:
    """A text as the data of a run."""

    class Data(DataModule):
        train = LaneSplit(one_document(text), cfg.data.context_len)
        val = None

        def setup(self, stage: str | None = None) -> None:
            """Nothing has to be read."""

    return Data(batch_size=cfg.data.batch_size)


def tight(net: CarryingLM, cfg: DictConfig, text: np.ndarray) -> float:
    """Tokens a second of a loop written by hand."""
    rows, length = cfg.data.batch_size, cfg.data.context_len
    optimizer = torch.optim.Adam(net.parameters(), fused=True)
    lanes = torch.from_numpy(text[: rows * length * STEPS].astype(np.int64)).view(rows, -1)
    following = torch.from_numpy(text[1 : rows * length * STEPS + 1].astype(np.int64)).view(rows, -1)
    state = net.initial(rows)
    began = time.perf_counter()
    for start in range(0, lanes.size(1), length):
        optimizer.zero_grad()
        features, state = net.read(lanes[:, start : start + length], state)
        loss = F.cross_entropy(net.output(features).flatten(0, 1), following[:, start : start + length].flatten())
        loss.backward()
        optimizer.step()
        state = tuple(part.detach() for part in state)
    return lanes.numel() / (time.perf_counter() - began)


def compare_loops(model: str, rounds: int) -> None:
    cfg = configuration(model)
    tokens = cfg.data.batch_size * cfg.data.context_len * STEPS + 1
    text = np.random.default_rng(0).integers(2, cfg.data.vocab_size, tokens).astype(np.int32)
    compare(
        model,
        lambda: trained(cfg, made_up(cfg, text))[1] * cfg.data.context_len,
        lambda: tight(build_task(cfg).net, cfg, text),
        rounds,
        "tokens/s",
    )


def step_of(net: WordLM, tokens: Tensor, target: Tensor) -> float:
    """Seconds of a training step."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    began = time.perf_counter()
    features, _ = net.read(tokens)
    own = net.losses_of(features, target)
    loss = own["loss"] if own else F.cross_entropy(net.output(features).flatten(0, 1), target.flatten())
    loss.backward()
    optimizer.step()
    return time.perf_counter() - began


def softmaxes(words: int, rounds: int) -> None:
    nets = {kind: WordLM(words, 128, 256, softmax=kind) for kind in ("full", "adaptive", "sampled")}
    ranks = (
        np.random.default_rng(0).zipf(1.2, (8, 31)).clip(1, words - 2) + 1
    )  # words occur about as often as in a text
    tokens = torch.from_numpy(ranks)
    times: dict[str, list[float]] = {kind: [] for kind in nets}
    for number in range(rounds + 1):
        for kind, net in nets.items():
            seconds = step_of(net, tokens[:, :-1], tokens[:, 1:])
            if number:
                times[kind].append(seconds)
    for kind in ("adaptive", "sampled"):
        ratio = statistics.median(full / ours for full, ours in zip(times["full"], times[kind], strict=True))
        seconds = statistics.median(times[kind])
        print(
            f"a step over {words} words, {kind}: {1000 * seconds:.0f} ms, {ratio:.1f} times as fast as full", flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="*", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--words", type=int, default=100_000)
    given = parser.parse_args()
    silence()
    print(f"{os.cpu_count()} CPUs, {torch.get_num_threads()} threads, medians of {given.rounds} rounds")
    for model in given.models:
        compare_loops(model, given.rounds)
    softmaxes(given.words, given.rounds)


if __name__ == "__main__":
    main()
