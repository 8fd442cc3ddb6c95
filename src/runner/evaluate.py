"""`runner evaluate`: the metrics of a finished run, computed again from what it left behind."""

import json
from pathlib import Path

import pytorch_lightning as lightning
from hydra.utils import instantiate
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from runner.bundle import load_bundle, preprocessing
from runner.callbacks import ShowProgress
from runner.errors import UserError
from runner.tracking import find_run


def evaluate(run: str, split: str, uri: str | None, outputs: Path) -> int:
    """Score the best checkpoint of `run` on "val" or "test" and print it beside what the run wrote.

    Returns:
        exit code 0, or 1 if a number differs from the one the run wrote.
    """
    if split not in ("val", "test"):
        raise UserError(f"split is val or test, received {split!r}")
    folder = find_run(uri, outputs, run, status="FINISHED").folder
    bundle = folder / "model"
    task, data, cfg = load_bundle(bundle)
    data.setup()
    if data.digest != preprocessing(bundle)["digest"]:
        raise UserError(f"the data of this run has changed since: {data.source}. Train again, or use predict input=FILE")
    lightning.seed_everything(cfg.seed, verbose=False)
    trainer = instantiate(
        OmegaConf.to_container(cfg.trainer) | {"gradient_clip_val": None},
        logger=False,
        callbacks=[ShowProgress()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        _convert_="all",
    )
    metrics = task.evaluate(trainer, data, split)
    written = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    table = Table("metric", "now", "in the run", title=f"{folder}", title_justify="left")
    for name, value in sorted(metrics.items()):
        table.add_row(name, f"{value:.6f}", f"{written[name]:.6f}" if name in written else "")
    Console(soft_wrap=True).print(table)
    (folder / f"evaluate_{split}.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    return 0
