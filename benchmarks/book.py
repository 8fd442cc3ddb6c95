"""The experiments of the book: runs those that are missing, writes docs/results.json, the figures and the tables.

    python benchmarks/book.py                      # everything; stopped and started again, it resumes
    python benchmarks/book.py chapter-7 ch05_cnn   # the rows of a page, and single rows
    python benchmarks/book.py --minutes 30         # do not begin a run after so many minutes
    python benchmarks/book.py --processes 4        # so many rows at a time, a thread each; usually one a core
    python benchmarks/book.py --quick              # smaller: results-quick.json in this folder, docs stay as they are
    python benchmarks/book.py --collect            # run nothing, write what is recorded
    python benchmarks/book.py --list               # run nothing, print the commands that are missing

The rows are those of book.yaml. What has run is looked up in the MLflow records of this folder (or `--runs URI`): a
finished run with the settings of a row counts, whether it was typed, was the job of a sweep, or was run by this
program. A run that was killed is resumed. Results that are neither recorded nor run here stay as they are.
"""

import argparse
import json
import os
import re
import signal
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))

import book_pages  # noqa: E402
import yaml  # noqa: E402

from runner.tracking.find import RunInfo, runs_with_tag  # noqa: E402

RESULTS = ROOT / "docs" / "results.json"
FIGURES = ROOT / "docs" / "figures"
LARGEST = 100_000  # bytes of a figure
SHORTEST = 0.1  # seconds: a run that is over at once still has a time
UNCOUNTED = ("hydra.", "tracking.", "trainer.accelerator=", "offline=", "resume=")  # settings that change no figure
NOT_COMPARED = ("tracking", "sweep", "resume", "init_from", "seed", "offline", "allow")  # typed, or of one run alone
VERSIONS = {"torch": "version.torch", "lightning": "version.pytorch-lightning", "python": "version.python"}
STOP: Any  # set by a signal, see `keep`
COMMIT = ("runner.code.commit", "runner.git.commit")  # of the package itself; of the folder where it was started


@dataclass(frozen=True)
class Wanted:
    """One run of a row.

    Args:
        row: name of the row.
        seed: what stands for it in results.json: "1", or the settings that vary.
        settings: what is typed; {ROW} stands for the run of another row.
    """

    row: str
    seed: str
    settings: tuple[str, ...]


class Records:
    """The finished and the interrupted runs of a place.

    Args:
        uri: tracking URI; None for the database in `outputs` here.
    """

    def __init__(self, uri: str | None):
        self.uri = uri
        self.outputs = Path.cwd() / "outputs"
        self._found: dict[str, list[tuple[frozenset[tuple[str, str]], RunInfo]]] = {}

    def alike(self, settings: Iterable[str], status: tuple[str, ...] = ("FINISHED",)) -> RunInfo | None:
        """Return the newest run whose settings are those that would be composed today; None if there is none.

        What was typed may differ: a setting may have come from a file, and a path may have been written in another way.
        """
        settings = list(settings)
        wanted = counted(settings)
        tag, value = ("experiment", "model")["experiment" not in wanted], wanted.get("experiment", wanted.get("model"))
        return next((run for typed, run in self.of(tag, str(value))
                     if run.status in status and same_settings(run, dict(typed), wanted, settings)), None)  # fmt: skip

    def of(self, group: str, value: str) -> list[tuple[frozenset[tuple[str, str]], RunInfo]]:
        """Return the runs with this choice, the newest first, each with its settings."""
        if value not in self._found:
            runs = [run for run in runs_with_tag(self.uri, self.outputs, f"runner.{group}", value) if run.folder]
            runs.sort(key=lambda run: typed_of(run).stat().st_mtime if typed_of(run).exists() else 0.0, reverse=True)
            pairs = ((frozenset(counted(yaml.safe_load(typed_of(run).read_text()) or []).items()), run)
                     for run in runs if typed_of(run).exists())  # fmt: skip
            self._found[value] = list(pairs)
        return self._found[value]

    def forget(self) -> None:
        """Look again: something has been run."""
        self._found = {}


def typed_of(run: RunInfo) -> Path:
    """The file that says what was typed: in the run folder, or in the store if that is gone."""
    assert run.folder is not None, "asked of runs of this program alone"
    here = run.folder / "overrides.yaml"
    return here if here.exists() else Path(run.artifact_uri.removeprefix("file://")) / "overrides.yaml"


def same_settings(run: RunInfo, typed: dict[str, str], wanted: dict[str, str], settings: list[str]) -> bool:
    """Whether a run had the settings that a command would have today.

    Args:
        run: the run.
        typed: the settings that were typed for it.
        wanted: those of the command.
        settings: the command.
    """
    file = typed_of(run).with_name("config.yaml")
    if not file.exists():
        return typed == wanted
    if any(place(typed.get(key)) != place(wanted.get(key)) for key in ("seed", "init_from")):
        return False
    was = flat_file(file)
    now = composed(tuple(text for text in settings if not text.startswith("seed=")))
    both = [key for key in was if key in now and key.partition(".")[0] not in NOT_COMPARED]
    alone = (typed.keys() & (was.keys() - now.keys())) | (wanted.keys() & (now.keys() - was.keys()))
    return not alone and all(place(was[key]) == place(now[key]) for key in both)


def place(value: Any) -> str:
    """A value as it is compared: a path that exists is the same however it is written; nothing is the same as null."""
    text = "null" if value is None else str(value)
    return str(Path(text).resolve()) if re.search("[/.]", text) and Path(text).exists() else text


@cache
def flat_file(file: Path) -> dict[str, Any]:
    """Return the flat configuration that a run has written."""
    from omegaconf import DictConfig, OmegaConf

    from runner.config.nodes import as_dict, flat

    return flat(as_dict(cast(DictConfig, OmegaConf.load(file))))


@cache
def composed(settings: tuple[str, ...]) -> dict[str, Any]:
    """Return the flat configuration of a command."""
    from runner.config.compose import compose
    from runner.config.nodes import as_dict, flat

    return flat(as_dict(compose(settings), resolve=True))


def counted(settings: Iterable[str]) -> dict[str, str]:
    """Return {key: value} of the settings that count; the seed is 1 where none was typed."""
    kept = [text for text in settings if not text.lstrip("+~").startswith(UNCOUNTED)]
    return {"seed": "1"} | {key.lstrip("+"): value.strip("'\"") for key, _, value in (t.partition("=") for t in kept)}


def runs_of(name: str, row: dict[str, Any], quick: bool) -> list[Wanted]:
    """Return the runs of a row; one of them, and smaller, if it is to be quick."""
    seeds = row.get("seeds", book_pages.SEEDS)
    varied = [(str(seed), f"seed={seed}") if isinstance(seed, int) else (seed, seed) for seed in seeds]
    smaller = row.get("quick", "").split() if quick else []
    keys = {text.partition("=")[0].lstrip("+") for text in smaller}
    command = [text for text in row["command"].split() if text.partition("=")[0].lstrip("+") not in keys]
    return [Wanted(name, seed, (*command, *settings.split(), *smaller))
            for seed, settings in (varied[:1] if quick else varied)]  # fmt: skip


def filled(settings: tuple[str, ...], rows: dict[str, Any], records: Records, quick: bool) -> list[str] | None:
    """Replace {ROW} by the folder of that row's run; None if it has not run yet."""
    found = []
    for text in settings:
        for other in re.findall(r"\{(\w+)\}", text):
            inner = filled(runs_of(other, rows[other], quick)[0].settings, rows, records, quick)
            run = records.alike(inner) if inner is not None else None
            if run is None:
                return None
            text = text.replace(f"{{{other}}}", str(run.folder))
        found.append(text)
    return found


def measured(run: RunInfo) -> dict[str, float]:
    """Return what a finished run has measured."""
    assert run.folder is not None
    written = json.loads((run.folder / "metrics.json").read_text(encoding="utf-8"))
    return {name: value for name, value in written.items() if isinstance(value, int | float)}


def result_of(name: str, row: dict[str, Any], runs: dict[str, RunInfo], quick: bool, told: dict[str, Any]) -> dict:
    """Return what results.json says of a row.

    Args:
        name: of the row.
        row: its settings.
        runs: the finished runs by seed.
        quick: whether the settings were smaller.
        told: commit and threads of runs whose record does not say them.
    """
    figures = {seed: measured(run) for seed, run in runs.items()}
    metrics = {}
    if lacking := row["shows"].keys() - next(iter(figures.values())).keys():
        there = ", ".join(next(iter(figures.values())))
        raise ValueError(f"book.yaml, {name}: its runs have no {', '.join(lacking)}; they have {there}")
    for metric in row["shows"]:
        values = {seed: found[metric] for seed, found in figures.items()}
        spread = statistics.stdev(values.values()) if len(values) > 1 else None
        metrics[metric] = {"mean": statistics.mean(values.values()), "deviation": spread, "values": values}
    last = list(runs.values())[-1].tags
    threads = last.get("runner.threads", told["threads"])
    return {
        "command": f"runner {row['command']}" + (f" {row['quick']}" if quick and "quick" in row else ""),
        "quick": quick,
        "complete": len(runs) == len(runs_of(name, row, quick)),
        "metrics": metrics,
        "seconds": statistics.mean(max(found.get("duration_seconds", 0), SHORTEST) for found in figures.values()),
        "commit": next((last[tag] for tag in COMMIT if tag in last), told["commit"]),
        "versions": {package: last.get(tag) for package, tag in VERSIONS.items()},
        "threads": int(threads) if threads else None,
    }


def missing(
    rows: dict[str, Any], names: list[str], records: Records, quick: bool
) -> Iterator[tuple[Wanted, list[str] | None]]:
    """Yield the runs that have not finished, each with what is typed: None if it needs what is not here."""
    for name in names:
        for wanted in runs_of(name, rows[name], quick):
            here = "needs" not in rows[name] or Path(rows[name]["needs"]).exists()
            settings = filled(wanted.settings, rows, records, quick)
            if settings is None or not records.alike(settings):
                yield wanted, settings if here else None


def run_all(rows: dict[str, Any], names: list[str], quick: bool, minutes: float, processes: int) -> int:
    """Run what is missing, or resume it, a row in each process at a time; return how many runs failed.

    A row that begins with the run of another one comes after all others.

    Raises:
        SystemExit: 130, after a signal: no other row has begun, and what was interrupted has a checkpoint.
    """
    until = time.time() + 60 * minutes
    later = [name for name in names if re.search(r"\{\w+\}", rows[name]["command"])]
    context = get_context("spawn")
    stop = context.Value("b", False, lock=False)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: setattr(stop, "value", True))
    failed = 0
    for some in ([name for name in names if name not in later], later):
        with ProcessPoolExecutor(processes, context, initializer=keep, initargs=(stop,)) as pool:
            begun = [pool.submit(run_row, name, quick, until) for name in some]
            try:
                failed += sum(row.result() for row in as_completed(begun))
            except BrokenProcessPool:  # a signal ends a process that does not train
                if not stop.value:
                    raise
    if stop.value:
        sys.exit(130)
    return failed


def keep(stop: Any) -> None:
    """Keep in a process that runs rows the value that all of them share: whether no other row may begin."""
    global STOP
    STOP = stop


def run_row(name: str, quick: bool, until: float) -> int:
    """Run what is missing of a row, or resume it.

    Args:
        name: of the row.
        quick: one seed and smaller settings.
        until: time after which no run begins, seconds since 1970.

    Returns:
        How many runs failed.
    """
    from runner import run
    from runner.training.interrupt import Interrupted

    rows, records, failed = book_pages.rows(), Records(None), 0
    for wanted, settings in list(missing(rows, [name], records, quick)):
        if STOP.value:
            break
        if time.time() > until:
            print(f"left for the next start: {name} {wanted.seed}", flush=True)
            break
        if settings is None:
            print(f"left out: {name}, which needs {rows[name].get('needs', 'the run of another row')}", flush=True)
            break
        interrupted = records.alike(settings, ("KILLED", "RUNNING"))
        print(f"== {name} {wanted.seed}: runner {' '.join(settings)}", flush=True)
        try:
            run(f"resume={interrupted.id}") if interrupted else run(*settings)
        except Interrupted as stopped:
            print(f"stopped by {stopped}; started again, it resumes {name} {wanted.seed}", flush=True)
            STOP.value = True
        except Exception as error:
            print(f"failed: {name} {wanted.seed}: {error}", flush=True)
            failed += 1
        records.forget()
    return failed


def collect(rows: dict[str, Any], names: list[str], records: Records, quick: bool, told: dict[str, Any]) -> dict:
    """Return the results of the rows that have finished runs, and copy their figures."""
    found = {}
    for name in names:
        runs = {}
        for wanted in runs_of(name, rows[name], quick):
            settings = filled(wanted.settings, rows, records, quick)
            if settings is not None and (run := records.alike(settings)):
                runs[wanted.seed] = run
        if runs:
            found[name] = result_of(name, rows[name], runs, quick, told)
            if not quick:
                copy_figures(name, rows[name].get("figures", []), next(iter(runs.values())))
    return found


def merged(rows: dict[str, Any], found: dict[str, dict], before: dict[str, dict]) -> dict[str, dict]:
    """Return the results of all rows: those just found, else those of before, unless their command has changed."""
    kept = {}
    for name, row in rows.items():
        old, new = before.get(name), found.get(name)
        if old and (old["command"] != f"runner {row['command']}" or set(old["metrics"]) != set(row["shows"])):
            old = None
        if result := old if old and new and old["complete"] and not new["complete"] else new or old:
            kept[name] = result
    return kept


def copy_figures(name: str, figures: list[str], run: RunInfo) -> None:
    """Copy figures of a run to docs, small enough for a page."""
    from PIL import Image

    assert run.folder is not None
    for figure in figures:
        drawn = run.folder / "figures" / f"{figure}.png"
        if not drawn.exists():
            print(f"{name}: run {run.id} has drawn no {drawn.name}", flush=True)
            continue
        image = Image.open(drawn).convert("RGB")
        target = FIGURES / f"{name}_{figure}.png"
        for width, colours in ((900, 256), (800, 128), (700, 64), (500, 32)):
            small = image.copy()
            small.thumbnail((width, 10 * width))
            small.quantize(colours).save(target, optimize=True)
            if target.stat().st_size < LARGEST:
                break


def chosen(rows: dict[str, Any], words: list[str]) -> list[str]:
    """Return the names of the rows that are meant by names of rows and of pages; all without words."""
    known = {*rows, *(row["page"] for row in rows.values())}
    if wrong := set(words) - known:
        sys.exit(f"{', '.join(sorted(wrong))}: neither a row of book.yaml nor a page of it")
    return [name for name, row in rows.items() if not words or {name, row["page"]} & set(words)]


def table(rows: dict[str, Any], results: dict[str, dict]) -> str:
    """Return the results as lines to read."""
    lines = []
    for name, result in results.items():
        if name in rows:
            answer = {True: "yes", False: "NO", None: "-"}[book_pages.reached(name, results)]
            lines.append(f"{name:<26} {book_pages.ours(rows[name], result):<60} {answer:<4} {result['seconds']:7.0f} s")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="rows of book.yaml, or pages: chapter-7")
    parser.add_argument("--quick", action="store_true", help="one seed and smaller settings")
    parser.add_argument("--collect", action="store_true", help="run nothing")
    parser.add_argument("--list", action="store_true", help="run nothing, print what is missing")
    parser.add_argument("--runs", metavar="URI", help="tracking URI of the records to collect; usually outputs/ here")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no run after so many")
    cores = os.cpu_count() or 1
    parser.add_argument("--processes", type=int, default=cores, metavar="N", help=f"rows at a time, usually {cores}")
    parser.add_argument("--commit", help="of the code of runs whose record does not say it")
    parser.add_argument("--threads", type=int, help="of runs whose record does not say it")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    rows, records = book_pages.rows(), Records(options.runs)
    names = chosen(rows, options.names)
    if options.list:
        for wanted, settings in missing(rows, names, records, options.quick):
            print(f"runner {' '.join(settings or wanted.settings)}")
        return 0
    collecting = options.collect or options.runs is not None
    failed = 0 if collecting else run_all(rows, names, options.quick, options.minutes, options.processes)
    found = collect(rows, names, records, options.quick, {"commit": options.commit, "threads": options.threads})
    if options.quick:
        Path("results-quick.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(table(rows, found))
        return 1 if failed else 0
    results = merged(rows, found, book_pages.results())
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    book_pages.write()
    print(table(rows, results))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
