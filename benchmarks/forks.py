"""The command in forked processes: everything is imported once, so that a command costs no more than its work.

Whoever imports this module has no second thread yet, since only one thread survives a fork.
"""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import mlflow.pyfunc  # all imports come before the forks
import mlflow.store.tracking.sqlalchemy_store
import mlflow.tracking  # noqa: F401

import runner.training.train  # noqa: F401
from runner.cli import main as command_line
from runner.files.progress import foot
from runner.tracking import tracker, writer


class ForkedWriter(subprocess.Popen):
    """Starts a writer without the two seconds that it takes to import MLflow; anything else as always."""

    def began(self) -> None:
        """What the writer does first."""

    def _execute_child(self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo, creationflags,
                       shell, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, *rest):  # fmt: skip
        threads = threading.active_count() - foot.watching  # only one survives a fork, and that of `foot` is not missed
        if "runner.tracking.writer" not in args or threads > 1:
            return super()._execute_child(
                args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo, creationflags,
                shell, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, *rest)  # fmt: skip
        with foot.lock:
            self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            os.dup2(p2cread, 0)
            os.dup2(c2pwrite, 1)
            for end in (p2cread, p2cwrite, c2pread, c2pwrite):  # others belong to objects, which close them themselves
                os.close(end)
            os.environ.clear()
            os.environ.update(env)
            logging.root.handlers.clear()
            sys.stdin = open(0, closefd=False)  # noqa: SIM115
            sys.argv = args[args.index("-m") + 1 :]
            self.began()
            writer.main()
        self._child_created = True
        for ours in (p2cread, c2pwrite):
            os.close(ours)


def typed(arguments: Sequence[str], folder: Path, given: bytes = b"") -> tuple[int, str]:
    """Type `runner ARGUMENTS` in a folder, in a forked process; return its exit code and what it prints.

    Args:
        arguments: what is typed.
        folder: the working folder.
        given: what comes on its standard input.
    """
    source, output = folder / ".typed.in", folder / ".typed.out"
    source.write_bytes(given)
    pid = os.fork()
    if pid == 0:
        try:
            be_the_command(arguments, folder, source, output)
        finally:  # a mistake before the command began must not go on as this program
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code, output.read_text(encoding="utf-8", errors="replace")


def be_the_command(arguments: Sequence[str], folder: Path, source: Path, output: Path) -> None:
    """Be the command, in the forked process, with these files as its input and output."""
    os.chdir(folder)
    with open(source, "rb") as read, open(output, "wb") as written:
        for number, file in enumerate((read, written, written)):
            os.dup2(file.fileno(), number)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    run_and_exit(arguments, ForkedWriter)


def run_and_exit(arguments: Sequence[str], kind: type[ForkedWriter]) -> None:
    """Run the command in this forked process, which ends with its exit code; output goes to descriptors 1 and 2.

    Args:
        arguments: what is typed.
        kind: of the writer that the run starts.
    """
    code = 1
    try:
        sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115
        tracker.subprocess.Popen = kind
        sys.argv = ["runner", *arguments]
        command_line()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    finally:
        sys.stdout.flush()
        os._exit(code)
