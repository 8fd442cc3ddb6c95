"""Translation through runner against a tight loop over the same net, and how many sentences a second are written.

    python benchmarks/translation.py [--rounds 5] [--models ch11_attention_luong] [--epochs 2] [data.path=cmn.txt ...]

The models are experiments; what follows are further settings. Training: both loops take the same batches of the data;
those of the tight loop are tensors before the clock starts, and it uses the fused optimizer; validation and checkpoints
are left out. Printed are medians of target tokens a second and of the ratios within a round. Wanted: runner at least
0.9 of the tight loop. Writing: after `--epochs` epochs of training, 1 000 sentences of at most eight words, greedily
and by a beam of five. Wanted: 1 000 sentences by the beam in less than 20 seconds on two cores.
"""

import argparse
import os
import time
from dataclasses import replace

import torch
import torch.nn.functional as F
from omegaconf import DictConfig, OmegaConf
from rounds import compare, trained

from runner.build import build_data, build_task
from runner.config.compose import compose as composed
from runner.datamodules.base import DataModule
from runner.datamodules.parts.batches import IGNORE
from runner.tasks.sequence_to_sequence import SequenceToSequence
from runner.training.lightning import silence

STEPS = 30  # of a round
SENTENCES, WORDS = 1000, 8
MODELS = ["ch10_char", "ch10_word", "ch10_cho", "ch11_attention_bahdanau", "ch11_attention_luong", "ch11_convs2s"]


def configuration(*overrides: str) -> DictConfig:
    cfg = composed(["trainer.accelerator=cpu", "trainer.max_epochs=1", "+trainer.limit_val_batches=0", *overrides])
    OmegaConf.resolve(cfg)
    return cfg


def compare_loops(name: str, cfg: DictConfig, data: DataModule, rounds: int) -> None:
    batches = [batch for _, batch in zip(range(STEPS), data.train_dataloader(), strict=False)]
    tokens = sum(int((batch.tgt_out != IGNORE).sum()) for batch in batches)
    rows = sum(len(batch.src) for batch in batches)

    def tight() -> float:
        net = build_task(cfg).net.train()
        optimizer = torch.optim.Adam(net.parameters(), lr=cfg.optim.lr, fused=True)
        began = time.perf_counter()
        for src, tgt_in, tgt_out in batches:
            optimizer.zero_grad()
            loss = F.cross_entropy(net(src, tgt_in).flatten(0, 1), tgt_out.flatten(), ignore_index=IGNORE)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), cfg.trainer.gradient_clip_val)
            optimizer.step()
        return tokens / (time.perf_counter() - began)

    compare(name, lambda: trained(cfg, data)[1] * tokens / rows, tight, rounds, "target tokens/s")


def write(name: str, task: SequenceToSequence, data: DataModule) -> None:
    short = [row for row in data.raw("train") if len(row["source"].split()) <= WORDS][:SENTENCES]
    task.eval()
    for method, size in (("greedy", 1), ("beam", 5)):
        task.how = replace(task.how, method=method, beam_size=size)
        began, used = time.perf_counter(), time.process_time()
        task.answer(short, data)
        seconds, used = time.perf_counter() - began, time.process_time() - used
        print(f"{name}: {len(short)} sentences, {method} {size}: {seconds:.1f} s ({used:.1f} s of CPU time), "
              f"{len(short) / seconds:.0f} a second", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=MODELS, help="experiments")
    parser.add_argument("--epochs", type=int, default=2, help="before writing")
    given, overrides = parser.parse_known_args()
    silence()
    print(f"{os.cpu_count()} CPUs, {torch.get_num_threads()} threads, medians of {given.rounds} rounds")
    for name in given.models:
        cfg = configuration(f"experiment={name}", "optim=adam", f"+trainer.limit_train_batches={STEPS}", *overrides)
        data = build_data(cfg)
        data.setup()
        compare_loops(name, cfg, data, given.rounds)
        write(
            name,
            trained(configuration(f"experiment={name}", *overrides, f"trainer.max_epochs={given.epochs}"), data)[0],
            data,
        )


if __name__ == "__main__":
    main()
