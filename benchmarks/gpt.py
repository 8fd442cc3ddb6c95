"""GPT through runner against a plain loop: loss, speed of training, and of writing with and without kept keys.

    python benchmarks/gpt.py [--rounds 5] [--epochs 2] [--chars 200000] [--tokens 200]

The plain loop stands here whole: a net in the style of nanoGPT (one matrix for queries, keys and values), AdamW without
decay of norms and constants, a cosine after a warm-up, clipped gradients. Both begin with the same weights and read
the same batches of the packaged reviews in the same order. Speed is measured on random tokens, both taking turns in
every round; what is printed are medians, and of ratios within a round. Wanted: a validation loss within 1 % of the
plain loop's, at least 0.95 of its speed. On a GPU (`--device cuda --precision bf16-mixed`) the share of its peak
that is used is printed too, if `--peak` says how many FLOP a second that is.
"""

import argparse
import contextlib
import math
import os
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from runner.build import build_data, build_task
from runner.config.compose import compose
from runner.datamodules.base import DataModule
from runner.datamodules.parts.batches import Loader
from runner.datamodules.parts.token_store import WindowSplit, one_document
from runner.models.gpt import GPT
from runner.tasks.decoding import Decoding, Window, decode, last_tokens
from runner.training.callbacks import ShowProgress
from runner.training.checkpoint import AtomicWriter
from runner.training.history import History
from runner.training.lightning import silence
from runner.training.train import build_trainer

STEPS = 20  # of a round
WARMUP, FINAL = 0.05, 0.1  # as in experiment=ch12_gpt


class PlainBlock(nn.Module):
    """Attention and two layers, each after a norm."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.all_three, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, time_, width = x.shape
        q, k, v = self.all_three(self.norm_1(x)).split(width, dim=2)
        q, k, v = (part.view(batch, time_, self.heads, -1).transpose(1, 2) for part in (q, k, v))
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(batch, time_, width))
        return x + self.down(F.gelu(self.up(self.norm_2(x))))


class PlainGPT(nn.Module):
    """The net of the plain loop."""

    def __init__(self, vocab: int, window: int, width: int, heads: int, blocks: int):
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocab, width), nn.Embedding(window, width)
        self.blocks = nn.Sequential(*(PlainBlock(width, heads) for _ in range(blocks)))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.places(torch.arange(tokens.size(1), device=tokens.device))
        return self.norm(self.blocks(x)) @ self.tokens.weight.T

    @torch.no_grad()
    def begin_as(self, net: GPT) -> None:
        """Take the weights of ours."""
        self.tokens.weight.copy_(net.embedding.weight)
        self.places.weight.copy_(net.positions.weight)
        self.norm.load_state_dict(net.norm.state_dict())
        for plain, block in zip(self.blocks, net.blocks, strict=True):
            for name in ("weight", "bias"):
                both = [getattr(block.attention.query, name), getattr(block.attention.key_value, name)]
                getattr(plain.all_three, name).copy_(torch.cat(both))
            plain.out.load_state_dict(block.attention.output.state_dict())
            plain.norm_1.load_state_dict(block.around_attention.norm.state_dict())
            plain.norm_2.load_state_dict(block.around_feed_forward.norm.state_dict())
            plain.up.load_state_dict(block.feed_forward.inner.state_dict())
            plain.down.load_state_dict(block.feed_forward.output.state_dict())


def configuration(given: argparse.Namespace) -> DictConfig:
    cfg = compose([
        "experiment=ch12_gpt", f"data.max_chars={given.chars}", f"trainer.max_epochs={given.epochs}",
        "task.sample_len=0", f"trainer.accelerator={'gpu' if given.device == 'cuda' else 'cpu'}",
        f"trainer.precision={given.precision}",
    ])  # fmt: skip
    OmegaConf.resolve(cfg)
    return cfg


def through_runner(cfg: DictConfig, data: DataModule, net: GPT | None = None) -> tuple[nn.Module, float]:
    """The trained net and tokens a second."""
    task, progress, writer = build_task(cfg), ShowProgress(), AtomicWriter()
    if net is not None:
        task.net.load_state_dict(net.state_dict())
    with tempfile.TemporaryDirectory() as folder:
        trainer = build_trainer(cfg, Path(folder), task, History(), [progress], writer)
        task.fit(trainer, data)
        writer.wait()
    return task.net, progress.samples_per_second * cfg.data.context_len


def plain_loop(net: nn.Module, batches: Iterable, total: int, cfg: DictConfig, given: argparse.Namespace) -> float:
    """Train for `total` steps; tokens a second."""
    decays = [[each for each in net.parameters() if (each.ndim > 1) == wanted] for wanted in (True, False)]
    groups = [{"params": decays[0], "weight_decay": cfg.optim.weight_decay}, {"params": decays[1], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=cfg.optim.lr, betas=tuple(cfg.optim.betas), fused=True)
    climb, tokens, began = round(WARMUP * total), 0, time.perf_counter()
    mixed = torch.autocast(given.device, torch.bfloat16) if "bf16" in given.precision else contextlib.nullcontext()
    for step, (inputs, target) in enumerate(batches):
        share = (step - climb) / max(1, total - climb)
        falling = FINAL + (1 - FINAL) * (1 + math.cos(math.pi * share)) / 2
        for group in optimizer.param_groups:
            group["lr"] = cfg.optim.lr * ((step + 1) / climb if step < climb else falling)
        inputs, target = inputs.to(given.device), target.to(given.device)
        with mixed:
            loss = F.cross_entropy(net(inputs).flatten(0, 1), target.flatten(), ignore_index=-100)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), cfg.trainer.gradient_clip_val)
        optimizer.step()
        tokens += inputs.numel()
    loss.item()  # waits for the device
    return tokens / (time.perf_counter() - began)


def plain_net(cfg: DictConfig, net: GPT, device: str) -> PlainGPT:
    model = cfg.model
    plain = PlainGPT(model.vocab_size, model.max_len, model.embed_dim, model.num_heads, model.num_layers)
    plain.begin_as(net)
    return plain.to(device)


@torch.inference_mode()
def validation_loss(net: nn.Module, data: DataModule, device: str) -> float:
    net.to(device).eval()
    total = count = 0.0
    for tokens, target in data.val_dataloader():
        logits = net(tokens.to(device)).flatten(0, 1)
        total += F.cross_entropy(logits, target.to(device).flatten(), ignore_index=-100, reduction="sum").item()
        count += (target != -100).sum().item()
    return total / count


def losses(cfg: DictConfig, given: argparse.Namespace) -> GPT:
    """Train both on the same text; the net that runner has trained."""
    data = build_data(cfg)
    data.setup()
    torch.manual_seed(cfg.seed)
    net = build_task(cfg).net
    plain = plain_net(cfg, net, given.device)
    trained, _ = through_runner(cfg, data, net)
    loader = Loader(data.train, cfg.data.batch_size, shuffle=True, seed=cfg.seed)

    def batches() -> Iterable:
        for epoch in range(given.epochs):
            loader.set_epoch(epoch)
            yield from loader

    plain_loop(plain, batches(), given.epochs * len(loader), cfg, given)
    ours, theirs = (validation_loss(each, data, given.device) for each in (trained, plain))
    size = sum(each.numel() for each in plain.parameters())
    apart = ours / theirs - 1
    steps = given.epochs * len(loader)
    print(
        f"{size} parameters, {steps} steps: validation loss runner {ours:.4f}, plain {theirs:.4f}; "
        f"{100 * apart:+.2f} %, wanted within 1 %: {verdict(abs(apart) <= 0.01)}",
        flush=True,
    )
    return trained


def speeds(cfg: DictConfig, given: argparse.Namespace) -> None:
    rows, length = cfg.data.batch_size, cfg.data.context_len
    text = np.random.default_rng(0).integers(2, cfg.data.vocab_size, rows * length * STEPS + 1).astype(np.int32)
    split = WindowSplit(one_document(text), length)

    class Data(DataModule):
        train = split
        val = None

        def setup(self, stage: str | None = None) -> None:
            """Nothing has to be read."""

    short = OmegaConf.merge(cfg, {"trainer": {"max_epochs": 1}})
    found: dict[str, list[float]] = {"runner": [], "plain": []}
    for number in range(given.rounds + 1):  # the first round warms up
        net = build_task(short).net
        plain = plain_net(short, net, given.device)
        _, ours = through_runner(short, Data(batch_size=rows))
        theirs = plain_loop(plain, Loader(split, rows, shuffle=True), STEPS, short, given)
        if number:
            found["runner"].append(ours)
            found["plain"].append(theirs)
    ratio = statistics.median(a / b for a, b in zip(found["runner"], found["plain"], strict=True))
    medians = ", ".join(f"{name} {statistics.median(values):.0f} tokens/s" for name, values in found.items())
    print(f"training: {medians}; runner/plain {ratio:.2f}, wanted 0.95: {verdict(ratio >= 0.95)}", flush=True)
    if given.peak:
        size = sum(each.numel() for each in plain.parameters())
        flops = 6 * size + 12 * cfg.model.num_layers * length * cfg.model.embed_dim  # a token, Chowdhery et al. 2022
        share = flops * statistics.median(found["runner"]) / given.peak
        print(f"model FLOP utilisation {share:.3f}", flush=True)


def writing(net: GPT, cfg: DictConfig, given: argparse.Namespace) -> None:
    """Tokens a second, a whole window and beyond, one row."""
    prompt, how = torch.full((1, 8), 5, device=given.device), Decoding("greedy", max_len=given.tokens)
    found: dict[str, list[float]] = {"kept": [], "anew": []}
    writers = {"kept": net.eval(), "anew": Window(net, cfg.data.context_len)}
    for number in range(given.rounds + 1):
        for name, writer in writers.items():
            began = time.perf_counter()
            decode(writer, writer.start(prompt), last_tokens(prompt), how)
            if number:
                found[name].append(given.tokens / (time.perf_counter() - began))
    ratio = statistics.median(a / b for a, b in zip(found["kept"], found["anew"], strict=True))
    medians = {name: statistics.median(values) for name, values in found.items()}
    print(
        f"writing {given.tokens} tokens, a window of {cfg.data.context_len}: with kept keys {medians['kept']:.0f} "
        f"tokens/s, without {medians['anew']:.0f}; {ratio:.1f} times as fast",
        flush=True,
    )


def verdict(reached: bool) -> str:
    return "reached" if reached else "missed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, usual in (("rounds", 5), ("epochs", 2), ("chars", 200_000), ("tokens", 200)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("--peak", type=float, help="FLOP a second that the device can do at this precision")
    given = parser.parse_args()
    silence()
    cfg = configuration(given)
    print(f"{os.cpu_count()} CPUs, {torch.get_num_threads()} threads, {given.rounds} rounds")
    speeds(cfg, given)
    writing(losses(cfg, given), cfg, given)


if __name__ == "__main__":
    main()
