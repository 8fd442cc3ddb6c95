"""Ends a process with kill -9 right before its n-th file operation, or in the middle of it.

Python runs `install` at the start of every process that has the folder of `hook()` in PYTHONPATH. From then on the
process counts what it does to files below KILL_UNDER: open (to write), write, fsync, rename, link, unlink, and the
commits of SQLite. Each operation is a line of KILL_LOG. KILL_AT=ROLE:n:WHO says who ends at operation number n of the
process with this role: it alone (self), it and all others of the run (all), or those of another role. With KILL_KINDS
only operations of these kinds are counted.

Roles: training (the first process), helper (a second process of the same training), writer (of the record).
A write stops halfway; before a commit the database already holds some of its pages, and its journal is still there.
"""

import builtins
import io
import itertools
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

OPERATIONS = {"rename": "rename", "replace": "rename", "link": "link", "unlink": "unlink", "remove": "unlink"}
own_open, own_fsync, own_sendfile, own_connect = io.open, os.fsync, os.sendfile, sqlite3.connect


def hook(folder: Path) -> str:
    """Return the PYTHONPATH with which every Python starts counting; `folder` gets the file that Python looks for."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text("import kill_at\nkill_at.install()\n")
    return os.pathsep.join([str(folder), str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])


def role() -> str:
    """What this process is in a run."""
    if "runner.tracking.writer" in sys.orig_argv:
        return "writer"
    return "helper" if os.environ.get("LOCAL_RANK", "0") != "0" else "training"


class Killer:
    """Counts the operations of this process.

    Args:
        own_role: what the process is in the run.
    """

    def __init__(self, own_role: str):
        self.role = own_role
        self.under = os.environ["KILL_UNDER"]
        self.log = os.open(os.environ["KILL_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.order = os.environ.get("KILL_AT", "nobody:0:self")
        wanted, number, self.who = self.order.split(":")
        carried_out = f"\tkilling\t{self.order}\n" in Path(os.environ["KILL_LOG"]).read_text()  # a second writer lives
        self.last = int(number) if wanted == own_role and not carried_out else None
        self.kinds = os.environ.get("KILL_KINDS", "").split()
        self.numbers = itertools.count()
        self.note("start", str(os.getpid()))

    def note(self, kind: str, name: str) -> None:
        """Write a line of the log."""
        os.write(self.log, f"{self.role}\t{kind}\t{name}\n".encode())

    def concerns(self, path: Any) -> bool:
        """Whether operations on this path are counted."""
        return isinstance(path, str | os.PathLike) and os.path.abspath(path).startswith(self.under)

    def step(self, kind: str, path: Any, half: Callable[[], Any] = lambda: None) -> None:
        """Count an operation that is about to begin; at the chosen one do half of it and end."""
        if not self.concerns(path):
            return
        name = os.path.relpath(path, self.under)
        if (not self.kinds or kind in self.kinds) and next(self.numbers) == self.last:
            self.note("killing", self.order)
            self.note("killed", f"{kind} {name}")
            for pid in self.others():
                os.kill(pid, signal.SIGKILL)
            if self.who in ("self", "all"):
                half()
                os.kill(os.getpid(), signal.SIGKILL)
        self.note(kind, name)

    def others(self) -> list[int]:
        """The other living processes of the run that have to end."""
        lines = [line.split("\t") for line in Path(os.environ["KILL_LOG"]).read_text().splitlines()]
        pids = [int(name) for role, kind, name in lines if kind == "start" and self.who in ("all", role)]
        return [pid for pid in pids if pid != os.getpid() and Path(f"/proc/{pid}").exists()]


class Raw(io.FileIO):
    """A file whose writes are counted; the last one stops halfway."""

    killer: Killer

    def write(self, content: Any) -> int:
        view = memoryview(content).cast("B")
        self.killer.step("write", self.name, lambda: super(Raw, self).write(view[: len(view) // 2]))
        return super().write(view)


def install(own_role: str | None = None) -> None:
    """Count from now on, from zero, if KILL_LOG is set."""
    if "KILL_LOG" not in os.environ:
        return
    counting, Raw.killer = hasattr(Raw, "killer"), Killer(own_role or role())
    if counting:  # a process that was forked
        return

    def opened(file: Any, mode: str = "r", buffering: int = -1, encoding: Any = None, errors: Any = None,
               newline: Any = None, closefd: bool = True, opener: Any = None) -> Any:  # fmt: skip
        if not set(mode) & set("wax+") or not Raw.killer.concerns(file):
            return own_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
        Raw.killer.step("open", file)
        raw = Raw(os.fspath(file), mode.replace("b", "").replace("t", ""), closefd, opener)
        buffered = raw if buffering == 0 else io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        if "b" in mode:
            return buffered
        text = io.TextIOWrapper(buffered, encoding, errors, newline, line_buffering=buffering == 1)
        text.mode = mode
        return text

    def counted(name: str) -> Callable:
        own = getattr(os, name)

        def call(path: Any, *rest: Any, **options: Any) -> Any:
            if options.get("dir_fd") is None:  # only temporary folders are removed that way
                Raw.killer.step(OPERATIONS[name], path)
            return own(path, *rest, **options)

        return call

    def fsync(file: Any) -> None:
        number = file if isinstance(file, int) else file.fileno()
        Raw.killer.step("fsync", os.readlink(f"/proc/self/fd/{number}"))
        own_fsync(file)

    def sendfile(target: int, source: int, offset: Any, count: int) -> int:  # how shutil copies
        path = os.readlink(f"/proc/self/fd/{target}")
        Raw.killer.step("write", path, lambda: own_sendfile(target, source, offset, os.fstat(source).st_size // 2))
        return own_sendfile(target, source, offset, count)

    def connect(database: Any, *rest: Any, **options: Any) -> sqlite3.Connection:
        connection = own_connect(database, *rest, **options)
        file = str(database).removeprefix("file:").split("?")[0]
        if Raw.killer.concerns(file) and "mode=ro" not in str(database):
            connection.execute("PRAGMA cache_size = 1")  # pages go to the file before the commit
            connection.set_trace_callback(lambda text: Raw.killer.step("commit", file) if text == "COMMIT" else None)
        return connection

    builtins.open = io.open = opened
    os.fsync, os.sendfile = fsync, sendfile
    sqlite3.connect = sqlite3.dbapi2.connect = connect
    for name in OPERATIONS:
        setattr(os, name, counted(name))
