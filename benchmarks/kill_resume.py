"""Kill -9 runs at chosen file operations, resume them, and compare everything with an uninterrupted run.

    python benchmarks/kill_resume.py --jobs 2              # 200 kills, about 20 minutes on two cores
    python benchmarks/kill_resume.py --only ddp commit     # some of the cases
    python benchmarks/kill_resume.py --only streamed "streamed by datasets" --kills 10   # at random batches, not files
    python benchmarks/kill_resume.py --only mlp "at a row" # what the suite does

The whole command runs, with its record in MLflow. An uninterrupted run lists the file operations of its processes
(kill_at.py); each trial ends a process, or all of them, at one of these operations, so that every kind of operation on
every kind of file has its turn, and then types `resume=last` or the first command with `resume=auto`. A trial passes if
the weights are equal byte for byte, metrics.json is equal but for times, every point of every curve is in the database
exactly once with the same value, there is one run, its status is FINISHED and was never a wrong one, and no file is
left half written. Trainings and writers are forked from one process that has imported everything.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import partial, wraps
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

import kill_at
from forks import ForkedWriter, run_and_exit

from runner.tasks.loop import Loop
from runner.tracking.database import prepare_database

TINY = ["trainer.max_epochs=3", "+trainer.limit_train_batches=6", "+trainer.limit_val_batches=2",
        "+trainer.limit_test_batches=2", "trainer.accelerator=cpu", "trainer.log_every_n_steps=2",
        "callbacks.checkpoint.every_n_steps=4", "tracking.system_metrics=false", "hydra.run.dir=run"]  # fmt: skip
STREAM = ["data.text=text", "data.label=label", "data.streaming=true", "data.block=20", "data.held_out=10",
          "data.batch_size=8", "++trainer.limit_train_batches=1.0"]  # fmt: skip
TWO = ["trainer.devices=2", "trainer.strategy=ddp", "tracking.model=false"]
MODELS = {
    "mlp": ["model=mlp", "data=iris", "data.batch_size=8", "model.dropout=0.2"],
    "textcnn": ["model=textcnn", "model.embed_dim=8", "model.num_filters=4", "data.vocab_size=500"],
    "streamed": ["model=textcnn", "data=csv", "data.path=films/train.csv", "model.embed_dim=8", "model.num_filters=4"],
    "hub": ["model=textcnn", "data=hub", "data.path=films", "model.embed_dim=8", "model.num_filters=4"],
    "gan": ["model=gan", "model.hidden_dims=[8, 16]", "task.judged=0", "tracking.model=false"],
    "dcgan": ["model=dcgan", "model.num_filters=[8, 4, 4]", "model.discriminator_filters=[4, 4]", "task.judged=0"],
    "aae": ["model=aae", "model.hidden_dims=[32, 16]", "model.discriminator_dims=[8]"],
    "dqn": ["model=dqn", "data.steps=60", "data.longest=50", "task.warm_up=60", "task.memory_size=150"],
    "bert": [
        "model=bert",
        "data=corpus",
        "task=masked_lm",
        "data.max_words=8000",
        "data.tokenizer=wordpiece",
        "data.vocab_size=300",
        "data.batch_size=8",
        "model.embed_dim=8",
        "model.num_heads=2",
    ],
    "char_rnn": ["model=char_rnn", "data.max_chars=6000", "model.hidden_dim=16", "task.sample_len=10"],
    "attention": [
        "model=attention_seq2seq",
        "data=reverse",
        "data.rows=600",
        "model.embed_dim=8",
        "model.hidden_dim=12",
    ],
    "lora": [
        "model=pretrained",
        "data=movie_reviews",
        "data.max_len=24",
        "data.batch_size=8",
        "model.num_layers=1",
        "model.lora_rank=4",
        "optim.lr=0.001",
        "schedule=linear",
        "schedule.warmup=0.1",
    ],
}


@dataclasses.dataclass(frozen=True)
class Case:
    """What is killed, and how often.

    Args:
        model: name in MODELS.
        role: the process that counts its operations.
        who: self, all or another role, see kill_at.
        kills: how many trials.
        more: further settings.
        kinds: the operations at which it is killed; empty = all.
        nth: the one of these operations at which it is killed, from 0; None = many, in turn.
        twice: whether what is killed has been killed before, late, and resumed.
    """

    model: str
    role: str
    who: str
    kills: int
    more: Sequence[str] = ()
    kinds: Sequence[str] = ()
    nth: int | None = None
    twice: bool = False

    @property
    def command(self) -> list[str]:
        """What is typed."""
        return [*MODELS[self.model], *TINY, *self.more]


CASES = {
    "classifier": Case("textcnn", "training", "self", 20),
    "bucketed": Case("textcnn", "training", "self", 10, ["data.bucket=true", "tracking.model=false"]),
    "streamed": Case("streamed", "training", "self", 10, STREAM, ["batch"]),
    "streamed by datasets": Case("hub", "training", "self", 10, STREAM, ["batch"]),
    "gan": Case("gan", "training", "self", 15),
    "dcgan": Case("dcgan", "training", "self", 10, ["task.loss=wasserstein", "task.discriminator_steps=2"]),
    "aae": Case("aae", "training", "self", 10),
    "dqn": Case("dqn", "training", "self", 10),
    "char_rnn": Case("char_rnn", "training", "self", 10),
    "soft attention": Case("attention", "training", "self", 10),
    "hard attention": Case("attention", "training", "self", 10, ["model.hard=true"]),
    "bert": Case("bert", "training", "self", 10),
    "lora": Case("lora", "training", "self", 10),
    "resumed": Case("mlp", "training", "self", 10, twice=True),
    "ddp": Case("textcnn", "training", "self", 10, TWO),
    "ddp, all": Case("textcnn", "training", "all", 5, TWO),
    "ddp, all, resumed": Case("textcnn", "training", "all", 10, TWO, twice=True),
    "ddp, second process": Case("textcnn", "training", "helper", 5, TWO, ["fsync", "rename"]),
    "both": Case("char_rnn", "training", "all", 10),
    "writer alone": Case("mlp", "writer", "self", 15),
    "both, by the writer": Case("mlp", "writer", "all", 10),
    "commit": Case("mlp", "writer", "all", 20, (), ["commit"]),
}
IN_THE_SUITE = {
    "mlp": Case("mlp", "training", "self", 2),
    "at a row": Case("streamed", "training", "self", 1, STREAM, ["batch"]),
    "two processes": Case("mlp", "training", "all", 1, TWO, ["fsync"], 1),  # resumed within the first epoch
}
TIMES = ("duration_seconds", "best_checkpoint", "run_id", "train/samples_per_second")


def count_batches(folder: Path) -> None:
    """Count what is about to be trained on as operations, too: a run may be killed at any batch."""
    own = Loop.training_step

    @wraps(own)
    def counted(task: Loop, batch: object, number: int) -> object:
        kill_at.Raw.killer.step("batch", folder / "batch")
        return own(task, batch, number)

    Loop.training_step = counted


class KilledWriter(ForkedWriter):
    """A writer that ends at one of its operations, too."""

    def began(self) -> None:
        kill_at.install("writer")


class Failed(Exception):
    """What is wrong after a trial."""


class NotReached(Exception):
    """A run ended before the operation at which it was to be killed: their number depends on the time they take."""


class Trial:
    """A folder in which a run is started, killed and resumed.

    Args:
        folder: what it may write to.
        case: what is killed.
        database: an empty one, which saves the time to create it; None = the run creates it.
    """

    def __init__(self, folder: Path, case: Case, database: Path | None):
        self.folder, self.case = folder, case
        self.late = 0  # the operation of the first kill, if there are two
        self.database = database
        self.log = folder.with_name(f"{folder.name}.log")
        self.begin_again()

    def begin_again(self) -> None:
        """Empty the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.log.unlink(missing_ok=True)
        (self.folder / "films").mkdir(parents=True)
        rows = [f"row number {number},{('no', 'yes')[number % 2]}" for number in range(137)]
        (self.folder / "films" / "train.csv").write_text("\n".join(["text,label", *rows]) + "\n")
        if self.database is not None:
            (self.folder / "outputs").mkdir()
            shutil.copy(self.database, self.folder / "outputs" / "mlflow.db")

    def type(self, arguments: Sequence[str], kill: str = "nobody:0:self") -> int:
        """Run the command in a forked process; return its exit code after all processes of the run have ended."""
        pid = os.fork()
        if pid == 0:
            try:
                self.run(arguments, kill)
            finally:
                os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        deadline = time.monotonic() + 120
        while living := [pid for pid in self.pids() if Path(f"/proc/{pid}").exists()]:
            if time.monotonic() > deadline:
                raise Failed(f"{living} still run two minutes after the training has ended")
            time.sleep(0.05)
        return code

    def run(self, arguments: Sequence[str], kill: str) -> None:
        """Be the command (in the forked process)."""
        os.chdir(self.folder)
        os.setsid()
        with open(self.folder.with_name(f"{self.folder.name}.txt"), "a") as out:
            out.write(f"$ runner {' '.join(arguments)}   # {kill}\n")
            out.flush()
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        os.environ.update(PYTHONPATH=kill_at.hook(self.folder.parent / "hook"), KILL_UNDER=str(self.folder),
                          KILL_LOG=str(self.log), KILL_AT=kill, KILL_KINDS=" ".join(self.case.kinds))  # fmt: skip
        kill_at.install("training")
        if "batch" in self.case.kinds:
            count_batches(self.folder)
        run_and_exit(arguments, KilledWriter)

    def tell(self, text: str) -> None:
        """Print a line about this trial."""
        print(f"  {self.folder.parent.name} {self.folder.name}: {text}", flush=True)

    def lines(self) -> list[list[str]]:
        """The log of the operations: role, kind, name."""
        return [line.split("\t") for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def pids(self) -> list[int]:
        """All processes that the run has ever had."""
        return [int(name) for _, kind, name in self.lines() if kind == "start"]

    def killed(self) -> str:
        """The last operation at which a process was killed; "" if none was."""
        return next((name for _, kind, name in reversed(self.lines()) if kind == "killed"), "")

    def rows(self, query: str) -> list[tuple]:
        """What the database holds."""
        file = self.folder / "outputs" / "mlflow.db"
        if not file.exists():
            return []
        with contextlib.closing(sqlite3.connect(file)) as database:
            return database.execute(query).fetchall()

    def statuses(self) -> list[str]:
        """The status of each run in the database."""
        return [status for (status,) in self.rows("SELECT status FROM runs")]

    def outcome(self) -> dict:
        """All that has to be equal."""
        run = self.folder / "run"
        metrics = json.loads((run / "metrics.json").read_text())
        points = self.rows("SELECT key, step, value FROM metrics ORDER BY key, step, value")
        weights = run / "model" / "weights.safetensors"
        return {
            "weights": weights.read_bytes(),
            "metrics.json": {name: value for name, value in metrics.items() if name not in TIMES},
            "curves": [point for point in points if not point[0].endswith("per_second")],
            "samples.txt": (run / "samples.txt").read_text() if (run / "samples.txt").exists() else None,
            "files": sorted(str(p.relative_to(run)) for p in run.rglob("*") if p.is_file() and p.stem != "previous"),
            "artifacts": sorted(self.artifacts()),
        }

    def artifacts(self) -> list[str]:
        """Names of the files that MLflow keeps of the run and of its newest model."""
        (run,) = self.rows("SELECT artifact_uri FROM runs")
        models = self.rows("SELECT artifact_location FROM logged_models WHERE status = 2")
        places = [Path(uri.removeprefix("file://")) for (uri,) in [run, *models[-1:]]]
        found = [str(p.relative_to(place)) for place in places for p in place.rglob("*") if p.is_file()]
        return [name for name in found if "code/" not in name and "git" not in name]


def check(trial: Trial, expected: dict) -> None:
    """Compare a finished trial with the uninterrupted run.

    Raises:
        Failed: something differs.
    """
    if trial.statuses() != ["FINISHED"]:
        raise Failed(f"the runs in the database are {trial.statuses()}")
    found = trial.outcome()
    (run_id,) = (row[0] for row in trial.rows("SELECT run_uuid FROM runs"))
    if json.loads((trial.folder / "run" / "metrics.json").read_text())["run_id"] != run_id:
        raise Failed("metrics.json names another run")
    for name in (name for name in expected if found[name] != expected[name]):
        ours, theirs = found[name], expected[name]
        if isinstance(ours, bytes) or not isinstance(ours, list | dict):
            raise Failed(f"{name} differ")
        ours, theirs = (list(x.items()) if isinstance(x, dict) else x for x in (ours, theirs))
        raise Failed(f"{name}: missing {[x for x in theirs if x not in ours][:4]}, "
                     f"new {[x for x in ours if x not in theirs][:4]}, {len(ours)} of {len(theirs)}")  # fmt: skip


def sort_of_file(path: Path) -> str:
    """Which files take turns."""
    if path.parts[0] == "outputs":
        return "copied code" if "code" in path.parts else f"record: {path.suffix}"
    if path.suffix in (".yaml", ".png"):
        return path.suffix
    return path.parts[1] if len(path.parts) > 2 and path.parts[1] not in ("checkpoints", "model") else path.name


def instants(trial: Trial, case: Case, count: int, draw: random.Random) -> list[int]:
    """Numbers of operations: every kind of operation on every kind of file in turn, at random within them."""
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    own = [(kind, name) for role, kind, name in trial.lines() if role == case.role and kind != "start"]
    for number, (kind, name) in enumerate(one for one in own if not case.kinds or one[0] in case.kinds):
        places[kind, sort_of_file(Path(name))].append(number)
    if case.twice:  # a resumed run has fewer operations
        places = {place: [n for n in numbers if n < len(own) // 2] for place, numbers in places.items()}
    if case.nth is not None:
        return [sorted(number for numbers in places.values() for number in numbers)[case.nth]]
    for numbers in places.values():
        draw.shuffle(numbers)
    order = list(places)
    draw.shuffle(order)
    found: list[int] = []
    while len(found) < count and any(places.values()):
        found += [places[place].pop() for place in order if places[place]]
    return found[:count]


def attempt(trial: Trial, number: int, how: str, expected: dict) -> str:
    """Kill, resume, check; return what happened in a few words.

    Raises:
        Failed: the resumed run is not what it has to be.
    """
    case = trial.case
    command = case.command
    if case.twice:
        trial.type(command, f"{case.role}:{trial.late}:{case.who}")
        command = [*command, "resume=auto"]
    code = trial.type(command, f"{case.role}:{number}:{case.who}")
    told = trial.killed()
    if not told:
        raise NotReached
    if (case.role, case.who) == ("writer", "self"):  # the training does not end with its writer
        if code != 0:
            raise Failed(f"{told}: the command ended with {code}")
        check(trial, expected)
        return f"{told}; the training went on"
    finished = (trial.folder / "run" / "metrics.json").exists()
    if not (trial.folder / "outputs" / "mlflow.db-journal").exists():  # whoever reads it rolls it back
        statuses = set(trial.statuses())
        right = {"KILLED", "FAILED", "RUNNING", "SCHEDULED"} if case.who == "all" else {"KILLED", "FAILED"}
        if statuses - right - ({"FINISHED"} if finished else set()):
            raise Failed(f"{told}: the status was {statuses}")
        if statuses == {"FINISHED"}:
            check(trial, expected)
            return f"{told}; it had finished"
    began = time.monotonic()
    code = trial.type(["resume=last"] if how == "last" else [*case.command, "resume=auto"])
    if how == "last" and code == 2:
        if trial.statuses():
            raise Failed(f"{told}: resume=last was refused, the run was {trial.statuses()}")
        how, code = "auto, since there was no run yet", trial.type([*case.command, "resume=auto"])
    if code != 0:
        raise Failed(f"{told}: resume={how} ended with {code}")
    try:
        check(trial, expected)
    except Failed as error:
        raise Failed(f"{told}; resume={how}: {error}") from None
    return f"{told}; resume={how} took {time.monotonic() - began:.1f} s"


def tried(trial: Trial, number: int, how: str, expected: dict) -> bool:
    """Make one trial, print a line about it; return whether it passed. What failed stays on the disk."""
    began = time.monotonic()
    try:
        told = attempt(trial, number, how, expected)
    except NotReached:
        trial.begin_again()
        return tried(trial, number * 3 // 4, how, expected)
    except Exception as error:
        trial.tell(f"FAILED at {number}: {error}   {trial.folder}")
        return False
    trial.tell(f"{told} ({time.monotonic() - began:.0f} s in all)")
    shutil.rmtree(trial.folder)
    return True


def in_processes(calls: Sequence[Callable[[], bool]], jobs: int) -> list[bool]:
    """Make each call in a forked process, some at the same time; return what they return."""
    numbers: dict[int, int] = {}
    found = [False] * len(calls)
    for number, call in enumerate(calls):
        if len(numbers) == jobs:
            pid, status = os.wait()
            found[numbers.pop(pid)] = status == 0
        pid = os.fork()
        if pid == 0:
            os._exit(0 if call() else 1)
        numbers[pid] = number
    while numbers:
        pid, status = os.wait()
        found[numbers.pop(pid)] = status == 0
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=[*CASES, *IN_THE_SUITE], default=list(CASES))
    parser.add_argument("--kills", type=int, help="of each case, instead of its own number")
    parser.add_argument("--jobs", type=int, default=1, help="trials at the same time")
    parser.add_argument("--seed", type=int, default=0, help="picks the instants")
    arguments = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="kill-resume-"))
    cases = {name: (CASES | IN_THE_SUITE)[name] for name in arguments.only}
    if arguments.kills:
        cases = {name: dataclasses.replace(case, kills=arguments.kills) for name, case in cases.items()}
    wholes = {name: Trial(place / name.replace(" ", "_") / "whole", case, None) for name, case in cases.items()}
    in_processes([lambda whole=whole: whole.type(whole.case.command) == 0 for whole in wholes.values()], arguments.jobs)
    database = place / "empty.db"
    in_processes([lambda: prepare_database(database, "") is None], 1)
    names, trials, calls = [], [], []
    for name, whole in wholes.items():
        if not (whole.folder / "run" / "metrics.json").exists():
            raise RuntimeError(whole.folder.with_name("whole.txt").read_text()[-3000:])
        expected = whole.outcome()
        check(whole, expected)
        draw = random.Random(f"{name} {arguments.seed}")
        for index, number in enumerate(instants(whole, whole.case, whole.case.kills, draw)):
            trial = Trial(whole.folder.with_name(str(index)), whole.case, database if index % 3 else None)
            trial.late = len([line for line in whole.lines() if line[0] == trial.case.role]) * 2 // 3
            names.append(name)
            trials.append(trial)
            calls.append(partial(tried, trial, number, ("last", "auto")[index % 2], expected))
    passed = in_processes(calls, arguments.jobs)
    for name in wholes:
        of_case = [good for owner, good in zip(names, passed, strict=True) if owner == name]
        print(f"{name}: {sum(of_case)} of {len(of_case)}")
    kinds = Counter(trial.killed().split(" ")[0] or "none" for trial in trials)
    print("killed at: " + ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()))
    print(f"{sum(passed)} of {len(passed)} runs that were killed equal the uninterrupted one")
    if all(passed):
        shutil.rmtree(place)
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
