"""`runner rerun`: train again as the tracker, and the tracker alone, says that a run was trained."""

import logging
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from runner.config import safety
from runner.tracking.artifacts import client, stored_text
from runner.tracking.find import RunInfo
from runner.tracking.git import git_state
from runner.tracking.pyfunc import versions
from runner.tracking.tracker import find_run

log = logging.getLogger(__name__)
NOT_RESULTS = ("seconds", "per_second")  # metrics that say how fast the machine was
SHOWN_DIFFERENCES = 12


def rerun(which: str, settings: dict[str, str | None], outputs: Path) -> int:
    """Train as a run was trained, as a new run with the tag `runner.rerun_of`, and compare the metrics.

    Args:
        which: the run, as `find_run` takes it.
        settings: allow and tracking.uri of the command line.
        outputs: the folder of all runs.

    Returns:
        exit code 0 if the metrics are equal, 1 if they are not.
    """
    from runner.config.inferred import register_resolvers
    from runner.training.job import closing_table, ending, only_process, run_recorded

    uri = settings["tracking.uri"]
    original = find_run(uri, outputs, which, status="FINISHED")
    tracker = client(uri, outputs)
    register_resolvers()
    cfg = configuration(stored_text(tracker, original, "config.yaml"), settings)
    overrides = OmegaConf.to_container(OmegaConf.create(stored_text(tracker, original, "overrides.yaml")))
    choices = {group: original.tags.get(f"runner.{group}") for group in ("model", "data", "task", "optim", "schedule")}
    choices["experiment"] = original.tags.get("runner.experiment")
    now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
    folder = outputs / f"{choices['model'] or 'rerun'}-{choices['data'] or original.id[:8]}" / now
    folder.mkdir(parents=True)
    log_to(folder / "runner.log")
    for difference in differences(original, cfg):
        log.warning("%s", difference)
    with ending(multirun=False), only_process(folder):
        tags = {"runner.rerun_of": original.id}
        result = run_recorded(cfg, folder, choices, overrides, tags)
    closing_table(result, folder)
    return report(original, tracker.get_run(original.id).data.metrics, tracker.get_run(result["run_id"]).data.metrics)


def configuration(text: str, settings: dict[str, str | None]) -> DictConfig:
    """Return the stored configuration as one to train with; what it allows itself does not count."""
    cfg = OmegaConf.create(text)
    OmegaConf.set_struct(cfg, True)
    OmegaConf.update(cfg, "allow", [], force_add=True)
    OmegaConf.update(cfg, "resume", None, force_add=True)
    if settings["tracking.uri"]:
        cfg.tracking.uri = settings["tracking.uri"]
    safety.allow(settings["allow"])
    safety.guard(cfg)
    return cfg


def log_to(file: Path) -> None:
    """Write the log to the terminal and to the run folder, as training from the command line does."""
    line = logging.Formatter("[%(asctime)s][%(name)s][%(levelname)s] - %(message)s")
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for handler in (logging.StreamHandler(sys.stdout), logging.FileHandler(file, encoding="utf-8")):
        handler.setFormatter(line)
        root.addHandler(handler)


def differences(original: RunInfo, cfg: DictConfig) -> list[str]:
    """Return in words what is not as it was: folder, versions, commit, data."""
    found = []
    tags = original.tags
    if tags.get("runner.cwd") not in (None, str(Path.cwd())):
        found.append(f"the run was started in {tags['runner.cwd']}; relative paths are taken from here")
    here = {"python": sys.version.split()[0], **versions("runner")}
    for name, version in sorted(here.items()):
        then = tags.get(f"version.{name}")
        if then not in (None, version):
            found.append(f"{name} was {then}, now it is {version}")
    gone = {name.removeprefix("version.") for name in tags if name.startswith("version.")} - here.keys()
    found += [f"{name} was {tags[f'version.{name}']}, now it is not installed" for name in sorted(gone)]
    found += code_differences(tags)
    digest = tags.get("runner.data_digest")
    now = data_digest(cfg) if digest else None
    if digest and now != digest:
        found.append(f"the data has changed: sha256 was {digest}, now it is {now}")
    return found


def code_differences(tags: Any) -> list[str]:
    """Return in words how the repository around the current folder differs from that of the run."""
    then, state = tags.get("runner.git.commit"), git_state(Path.cwd(), exclude=[Path.cwd() / "outputs"])
    if then is None:
        return []
    found = []
    if state is None or state.commit != then:
        found.append(
            f"the code was at commit {then}, now it is {f'at {state.commit}' if state else 'in no repository'}"
        )
    if tags.get("runner.git.dirty") == "true":
        found.append(
            f"the code of the run had uncommitted changes: its artifact git.diff, on commit {then}, holds them"
        )
    elif state is not None and state.dirty:
        found.append("the code has uncommitted changes now, and had none then")
    return found


def data_digest(cfg: DictConfig) -> str:
    """Return the digest of the data the configuration names, as it is now."""
    from runner.build import build_data

    data = build_data(cfg)
    data.setup()
    return data.digest


def report(original: RunInfo, before: dict[str, float], now: dict[str, float]) -> int:
    """Say whether the metrics are equal; return the exit code."""
    compared = {name for name in before if name.startswith(("test/", "best/", "val/", "train/", "fit/"))}
    compared = {name for name in compared if not name.endswith(NOT_RESULTS)}
    unequal = sorted(name for name in compared if not equal(before[name], now.get(name)))
    if not unequal:
        print(f"equal to run {original.id} in all {len(compared)} metrics, to the last digit")
        return 0
    print(f"{len(unequal)} of {len(compared)} metrics differ from run {original.id}:")
    for name in unequal[:SHOWN_DIFFERENCES]:
        print(f"  {name}: {before[name]} then, {now.get(name)} now")
    return 1


def equal(one: float, other: float | None) -> bool:
    """Whether two values are the same, NaN included."""
    return one == other or (one != one and other is not None and other != other)
