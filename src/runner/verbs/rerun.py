"""`runner rerun`: train again exactly as the tracker says that a run was trained."""

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from runner.verbs.options import Tracked, Typed, run_ids

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from runner.tracking.find import RunInfo

log = logging.getLogger(__name__)
NOT_RESULTS = ("seconds", "per_second")  # metrics that say how fast the machine was
SHOWN_DIFFERENCES = 12


@dataclass(kw_only=True)
class Rerun(Tracked):
    """Train again as recorded by the tracker, and compare the metrics.

    Exit code 1 if they differ. Differences on this machine (versions, commit, data) are reported first. The new run has
    the tag runner.rerun_of.

    Args:
        run: last, an id or its beginning, a name, or the folder of a run.
        allow: packages whose classes the run may name too, separated by commas.
    """

    run: Annotated[str, Typed("ID|last", form="words", candidates=run_ids)]
    allow: Annotated[str | None, Typed("PACKAGE,...")] = None

    def __call__(self) -> int:
        from omegaconf import OmegaConf

        from runner.config.catalog import RECORDED
        from runner.config.inferred import register_resolvers
        from runner.tracking.artifacts import client, stored_text
        from runner.tracking.find import find_run
        from runner.training.job import ending, only_process, run_recorded

        original = find_run(self.tracking_uri, self.outputs, self.run, status="FINISHED")
        tracker = client(self.tracking_uri, self.outputs)
        register_resolvers()
        cfg = self.configuration(stored_text(tracker, original, "config.yaml"))
        overrides: Any = OmegaConf.to_container(OmegaConf.create(stored_text(tracker, original, "overrides.yaml")))
        choices = {group: original.tags.get(f"runner.{group}") for group in RECORDED}
        now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
        folder = self.outputs / f"{choices['model'] or 'rerun'}-{choices['data'] or original.id[:8]}" / now
        folder.mkdir(parents=True)
        log_to(folder / "runner.log")
        for change in changes_since(original, cfg):
            log.warning("%s", change)
        with ending(folder, multirun=False), only_process(folder):
            result = run_recorded(cfg, folder, choices, overrides, {"runner.rerun_of": original.id})
        now_metrics = tracker.get_run(result["run_id"]).data.metrics
        return report(original, tracker.get_run(original.id).data.metrics, now_metrics)

    def configuration(self, text: str) -> "DictConfig":
        """Return the stored configuration, ready for training; its own `allow` does not count."""
        from omegaconf import DictConfig, OmegaConf

        from runner.config import safety
        from runner.config.nodes import recordable

        cfg = OmegaConf.create(text)
        assert isinstance(cfg, DictConfig)
        OmegaConf.set_struct(cfg, True)
        OmegaConf.update(cfg, "allow", [], force_add=True)
        OmegaConf.update(cfg, "resume", None, force_add=True)
        if self.tracking_uri:
            cfg.tracking.uri = self.tracking_uri
        safety.allow(self.allow)
        safety.guard(recordable(cfg))
        return cfg


def log_to(file: Path) -> None:
    """Write the log to the terminal and to the run folder, as training from the command line does."""
    line = logging.Formatter("[%(asctime)s][%(name)s][%(levelname)s] - %(message)s")
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for handler in (logging.StreamHandler(sys.stdout), logging.FileHandler(file, encoding="utf-8")):
        handler.setFormatter(line)
        root.addHandler(handler)


def changes_since(original: "RunInfo", cfg: "DictConfig") -> list[str]:
    """Return in words what has changed: folder, versions, commit, data."""
    from runner.tracking.pyfunc import versions

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
    found += code_changes(tags)
    digest = tags.get("runner.data_digest")
    now = data_digest(cfg) if digest else None
    if digest and now != digest:
        found.append(f"the data has changed: sha256 was {digest}, now it is {now}")
    return found


def code_changes(tags: Mapping[str, str]) -> list[str]:
    """Return in words how the repository around the current folder differs from that of the run."""
    from runner.tracking.git import git_state

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
            f"the code of the run had uncommitted changes: its artifact git.diff, on commit {then}, contains them"
        )
    elif state is not None and state.dirty:
        found.append("the code has uncommitted changes now, but had none then")
    return found


def data_digest(cfg: "DictConfig") -> str:
    """Return the current digest of the data that the configuration names."""
    from runner.build import build_data

    data = build_data(cfg)
    data.setup()
    return data.digest


def report(original: "RunInfo", before: dict[str, float], now: dict[str, float]) -> int:
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
