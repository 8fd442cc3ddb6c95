"""The process that writes runs to MLflow: `python -m runner.tracking.writer`, started by `Tracker`.

It reads messages from standard input, one JSON object a line (`{"do": "metrics", "run": 1, ...}`), and answers on
standard output in the same form. `start` and `reserve` are methods of `RecordWriter`, all other messages are methods
of the run in MLflow (`StoredRun`). The training process never waits for a database, and this process outlives it: when
standard input closes before a run was finished, the training was killed, and the run is marked KILLED.
"""

import json
import logging
import os
import queue
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from functools import cached_property
from importlib import import_module
from typing import Any

from runner.errors import first_line
from runner.tracking.patience import GaveUp, Patience
from runner.tracking.store import Store, StoredRun

FLUSH_SECONDS = 2.0
VANISHED = "the process vanished without a message (kill -9, out of memory)"
CLOSED = "the process ended without finishing the run"


class RecordWriter:
    """Carries out the messages of one training process.

    Args:
        uri: tracking URI, absolute.
        artifact_root: URI of the folder for the artifacts of new experiments; "" leaves it to the server.
        answers: file descriptor that the answers go to.
    """

    def __init__(self, uri: str, artifact_root: str, answers: int):
        self.uri = uri
        self.artifact_root = artifact_root
        self.answers = answers
        self.patience = Patience(warn=lambda text: self.answer(warning=text))
        self.done = self.told = 0  # messages carried out; those of them that the training process knows to be stored
        self.runs: dict[int, StoredRun] = {}
        self.refused: set[int] = set()  # runs that could not be opened: their messages are dropped

    @cached_property
    def store(self) -> Store:
        """Where runs are written. If it cannot be reached, the next access tries again."""
        return Store(self.uri, self.artifact_root, self.patience)

    def serve(self, messages: "queue.SimpleQueue[dict[str, Any]]") -> None:
        """Carry out messages until the training process closes its end or has ended."""
        due = time.monotonic()
        ended = None
        while ended is None:
            with suppress(queue.Empty):
                message = messages.get(timeout=FLUSH_SECONDS)
                ended = message.get("ended")
                if ended is None:
                    self.carry_out(**message)
                    self.done += 1
                    if message["do"] == "metrics" and time.monotonic() < due:
                        continue
            self.flush()
            due = time.monotonic() + FLUSH_SECONDS
        for key in list(self.runs):
            self.carry_out("finish", key, time.time_ns() // 1_000_000, status="KILLED", ended=ended)

    def carry_out(self, do: str, run: int, time_ms: int, **content: Any) -> None:
        """Call the method that the message names; an error is sent as an answer, never raised.

        Args:
            do: name of the method.
            run: number of the run in messages.
            time_ms: when the message was sent, in milliseconds since 1970.
            content: the arguments.
        """
        if do == "hurry":  # all that came before it is done
            self.patience.relax()
        if do == "hurry" or run in self.refused:
            return
        failed: dict[str, Any] = {}
        try:
            if run not in self.runs:
                getattr(self, do)(run, time_ms=time_ms, **content)
            else:
                self.runs[run].time_ms = time_ms
                getattr(self.runs[run], do)(**content)
        except Exception as error:  # whatever a database, a server or a file system may answer
            if run not in self.runs:
                self.refused.add(run)
                self.answer(run=run, error=first_line(error))
            elif do == "finish":
                failed = {"error": self.runs[run].lacks or first_line(error)}
            elif isinstance(error, GaveUp):
                self.runs[run].lacks = self.runs[run].lacks or str(error)
            else:
                what = f"{do} {content.get('path', '')}".strip()
                self.answer(warning=f"MLflow did not store all of the run ({what}): {first_line(error)}")
        if do == "finish" and run in self.runs:
            lacks = self.runs.pop(run).lacks
            self.answer(run=run, done=True, **({"error": lacks} if lacks else failed))

    def start(self, key: int, again: bool, **content: Any) -> None:
        """Open a run and answer with its id. What another writer has begun waits for a server that is silent now."""

        def opened(run: StoredRun) -> None:
            self.runs[key] = run
            self.answer(run=key, id=run.id)

        store = self.patience(lambda: self.store) if again else self.store
        store.start(opened, again=again, **content)
        if len(self.runs) == 1 and not again:
            self.store.close_lost_runs(self.runs[key].experiment_id)

    def reserve(self, key: int, **content: Any) -> None:
        """Create a run that this or another process will begin later, and answer with its id."""
        self.answer(run=key, id=self.store.reserve(**content), done=True)

    def answer(self, **answer: Any) -> None:
        """Send one answer; if the training process has ended, answers are discarded."""
        try:
            os.write(self.answers, json.dumps(answer).encode() + b"\n")
        except BrokenPipeError:
            self.answers = os.open(os.devnull, os.O_WRONLY)

    def flush(self) -> None:
        """Store the pending points of all runs, and tell which messages another writer would not need any more."""
        for run in self.runs.values():
            try:
                run.flush()
            except GaveUp:  # the end of the run will say so
                return
            except Exception as error:
                if not run.warned:
                    self.answer(warning=f"MLflow does not take the metrics of the run ({first_line(error)})")
                run.warned = True
                return
        if self.told < self.done:
            self.told = self.done
            self.answer(stored=self.done)


class Answers(logging.Handler):
    """Sends the warnings of libraries to the training process, which logs them.

    Args:
        writer: sends them as answers.
    """

    def __init__(self, writer: RecordWriter):
        super().__init__(logging.WARNING)
        self.writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        self.writer.answer(warning=f"{record.name}: {record.getMessage()}")


def take_messages(messages: "queue.SimpleQueue[dict[str, Any]]", patience: Patience) -> None:
    """Read messages from the pipe as fast as they come, so that the training process never waits (in a thread)."""
    ended = VANISHED
    for line in sys.stdin.buffer:
        if not line.endswith(b"\n"):
            break  # half a line: the training process was killed while it wrote
        message = json.loads(line)
        if message["do"] == "close":
            ended = CLOSED
            break
        if message["do"] == "hurry":
            patience.hurry()
        messages.put(message)
    patience.hurry()
    messages.put({"ended": ended})


def watch(parent: int, messages: "queue.SimpleQueue[dict[str, Any]]", patience: Patience) -> None:
    """Notice the end of the training process even if a forked worker of it keeps the pipe open (in a thread)."""
    while os.getppid() == parent:
        time.sleep(0.5)
    patience.hurry()
    messages.put({"ended": VANISHED})


def main() -> None:
    """Serve until the training process ends."""
    uri, artifact_root, parent = sys.argv[1:]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the training process decides when to stop
    answers = os.dup(1)
    os.dup2(2, 1)  # what libraries print must not look like an answer
    messages: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    writer = RecordWriter(uri, artifact_root, answers)
    threading.Thread(target=take_messages, args=(messages, writer.patience), daemon=True).start()
    threading.Thread(target=watch, args=(int(parent), messages, writer.patience), daemon=True).start()
    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # failures are exceptions and are reported once
    logging.basicConfig(handlers=[Answers(writer)], level=logging.WARNING)
    try:
        import_module("mlflow.tracking")  # takes seconds, while the training prepares its first message
        writer.serve(messages)
    except Exception:
        writer.answer(fatal=traceback.format_exc())
        os._exit(1)
    os._exit(0)  # everything is stored; unloading hundreds of modules would take a second


if __name__ == "__main__":
    main()
