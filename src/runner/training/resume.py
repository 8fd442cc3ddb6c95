"""`resume=RUN_ID|last|auto`: continuing a run, in its folder, from its newest checkpoint, as the same MLflow run."""

import re
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from runner.config.nodes import as_dict, flat
from runner.errors import UserError
from runner.tracking.find import NoRun, RunInfo, find_run

UNFINISHED = ("KILLED", "FAILED", "RUNNING", "UNKNOWN")
# What a file says about flags, `allow` and `hydra` does not count: the folder may be somebody else's.
COUNTS = re.compile(r"[+~]*(?=\w)(?!allow\b)(?:(?!hydra\b)[\w./@:-])+(?:=|$)")
# Any other change would make the continuation meaningless.
MAY_CHANGE = ("trainer.", "callbacks.", "tracking.", "allow", "offline", "resume")


def key_of(override: str) -> str:
    """The key an override sets: `model`, `trainer.max_epochs`."""
    return override.split("=", 1)[0].lstrip("+~")


def quoted(value: object) -> str:
    """A value as Hydra reads it in an override, whatever it contains."""
    return "'" + str(value).replace("'", r"\'") + "'"


def resumed_command(overrides: list[str], outputs: Path) -> list[str]:
    """Replace `resume=...` by what continues that run: its overrides, the new ones, its folder, its id.

    Args:
        overrides: what the user typed; unchanged if there is no `resume=`.
        outputs: the folder with the runs and their database.
    """
    typed = {key_of(override): override for override in overrides}
    which = typed.pop("resume", "resume=").split("=", 1)[1]
    if which in ("", "null"):
        return overrides
    others = [override for override in overrides if key_of(override) != "resume"]  # a key may be there twice
    uri = typed["tracking.uri"].split("=", 1)[1] if "tracking.uri" in typed else None
    run = resumable(which, others, uri, outputs)
    if run is None:
        return others
    assert run.folder is not None, "resumable() has looked"
    earlier = [o for o in first_overrides(run.folder) if COUNTS.match(o) and key_of(o) not in {*typed, "resume"}]
    new = [override for override in others if key_of(override) != "hydra.run.dir"]
    return [*earlier, *new, f"hydra.run.dir={quoted(run.folder)}", f"resume={run.id}"]


def resumable(which: str, overrides: list[str], uri: str | None, outputs: Path) -> RunInfo | None:
    """Return the run to continue; None if `which` is auto and there is none.

    Raises:
        UserError: the run does not exist, or it has finished and cannot be or is not trained longer.
    """
    if which == "auto":
        return started_alike(overrides, uri, outputs)
    typed = next((o.split("=", 1)[1] for o in overrides[::-1] if key_of(o) == "trainer.max_epochs"), None)
    run = find_run(uri, outputs, which, status=UNFINISHED if which == "last" and typed is None else None)
    if run.folder is None or not (run.folder / "overrides.yaml").exists():
        raise UserError(f"the folder of run {run.id} is not on this machine: {run.folder}")
    if run.status == "UNKNOWN":
        raise UserError(
            f"{run.folder} is of the run {run.id}, which is not among those recorded here: it may be somebody else's. "
            "If it is recorded elsewhere, type its tracking.uri= too"
        )
    if has_finished(run):
        epochs = OmegaConf.load(run.folder / "config.yaml").trainer.max_epochs
        if typed is None or (typed.isdigit() and int(typed) <= epochs):
            raise UserError(
                f"run {run.id} has finished; there is nothing to resume. To train it longer, set more than its "
                f"{epochs} epochs: trainer.max_epochs={2 * epochs}"
            )
        kept = {path.stem for path in run.folder.glob("checkpoints/*.ckpt")}
        if "best" in kept and "last" not in kept:
            raise UserError(
                f"run {run.id} has kept its best weights alone (callbacks.checkpoint.keep=best), so it cannot be "
                f"trained longer. Leave resume= out and start from them: init_from={run.id}"
            )
    return run


def has_finished(run: RunInfo) -> bool:
    """Whether nothing is left to do: a run killed while its model was being stored is not finished."""
    if run.status != "UNKNOWN":
        return run.status == "FINISHED"
    return run.folder is not None and (run.folder / "metrics.json").exists()


def first_overrides(folder: Path) -> list[str]:
    """What was typed when a run began."""
    stored: Any = OmegaConf.to_container(OmegaConf.load(folder / "overrides.yaml"))
    return list(map(str, stored))


def started_alike(overrides: list[str], uri: str | None, outputs: Path) -> RunInfo | None:
    """Return the unfinished run in the folder asked for, or else the last one, if it was started by this command.

    Raises:
        UserError: the record cannot be read, which does not mean that there is no such run.
    """
    folder = next((o.split("=", 1)[1].strip("'\"") for o in overrides[::-1] if key_of(o) == "hydra.run.dir"), None)
    try:
        if folder:
            run = find_run(uri, outputs, str(Path(folder).absolute()))
        else:
            run = find_run(uri, outputs, "last", status=UNFINISHED)
    except NoRun:  # nothing there to continue
        return None
    if run.folder is None or not (run.folder / "overrides.yaml").exists() or has_finished(run):
        return None
    own = sorted(o for o in overrides if not key_of(o).startswith("hydra."))
    return run if sorted(first_overrides(run.folder)) == own else None


def changes(before: DictConfig, now: DictConfig) -> dict[str, tuple[Any, Any]]:
    """Return {key: (value before, value now)} for all settings that differ.

    Raises:
        UserError: one of them would make the continuation meaningless.
    """
    old, new = ({key: value for key, value in flat(as_dict(cfg)).items() if value != {}} for cfg in (before, now))
    differing = {
        key: (old.get(key), new.get(key))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key) and key != "resume"
    }
    refused = [f"{key}: {was} -> {now}" for key, (was, now) in differing.items() if not key.startswith(MAY_CHANGE)]
    if refused:
        raise UserError(
            f"a resumed run can change trainer, callbacks and tracking only; received {'; '.join(refused)}. "
            "Leave resume= out to start a new run with these settings"
        )
    return differing
