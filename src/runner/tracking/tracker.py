"""The record of runs: the training process sends messages to a writer process, which alone imports MLflow.

    tracker = Tracker(uri=None, outputs=Path("outputs"))      # starts the writer (writer.py)
    run = tracker.start(experiment="runner", name="textcnn", params=config, tags={})
    run.metrics({"train/loss": 0.5}, step=100)
    run.finish("FINISHED")
    tracker.close()

Only `run.id`, `run.flush` and `run.finish` wait. Recorded runs are read by find.py.
"""

import atexit
import json
import logging
import os
import queue
import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from runner.config.nodes import flat
from runner.tracking.environment import process_name
from runner.tracking.record import Record, as_line
from runner.tracking.uri import check_writable, resolve_uri, writer_environment

NOT_IN_A_PARAM_NAME = re.compile(r"[^\w.\- :/]")

log = logging.getLogger(__name__)
_kept: list["Tracker"] = []  # of a process that does many runs, see `keep_tracker`


class Tracker(AbstractContextManager["Tracker"]):
    """The connection to the writer process; it serves any number of runs, one after another or at the same time.

    Args:
        uri: MLflow tracking URI; None for the SQLite database in `outputs`.
        outputs: folder of all runs; holds the database and the artifacts unless `uri` says otherwise.
    """

    def __init__(self, uri: str | None, outputs: Path):
        self.uri, artifact_root = resolve_uri(uri, outputs)
        check_writable(self.uri)
        self._context = {"cwd": os.getcwd(), "argv": sys.argv, "outputs": str(Path(outputs).absolute())}
        self._runs: dict[int, Record] = {}
        self._messages: deque[bytes | threading.Event | None] = deque()
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._trouble: str | None = None
        self.closed = False
        self.waits = True  # whether the end of a run is waited for, see `keep_tracker`
        command = [sys.executable, "-P", "-m", "runner.tracking.writer", self.uri, artifact_root, str(os.getpid())]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=writer_environment(),
            start_new_session=True,  # Ctrl-C in the terminal is for the training only
        )
        # Two threads move the bytes: both queues may be filled from a signal handler, and an interrupt can
        # never leave half a line in the pipe, since Python delivers signals to the main thread alone.
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._send, self._receive)]
        for thread in self._threads:
            thread.start()
        atexit.register(self.close)

    def start(
        self,
        experiment: str,
        name: str,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        parent: str | None = None,
        resume: str | None = None,
        system_metrics: bool = True,
    ) -> Record:
        """Open a run and return at once; `run.id` waits for it.

        Args:
            experiment: name of the MLflow experiment; created if there is none.
            name: name of the run.
            params: the config, nested; it is stored flat, `model.embed_dim`.
            tags: tags of the run, besides those about git, versions, host and command, which are added.
            parent: id of the run that this one belongs to (a sweep).
            resume: id of a run to resume. It keeps its params, those that differ go to the tag
                `runner.changed_params`, and points up to the last stored step of a metric are not repeated.
            system_metrics: whether to record CPU, memory, disk, network and GPU.
        """
        run = self._new_record(resume)
        run.send(
            "start",
            experiment=experiment,
            name=name,
            params=as_params(params),
            tags=tags,
            parent=parent,
            resume=resume,
            system_metrics=system_metrics,
            context=self._context,
        )
        return run

    def reserve(self, experiment: str, name: str, tags: Mapping[str, str], parent: str) -> Record:
        """Create a run that will begin later; MLflow calls it SCHEDULED.

        `start(resume=id)`, from this or any other process, begins it.
        """
        run = self._new_record()
        run.send("reserve", experiment=experiment, name=name, tags={**tags, "mlflow.parentRunId": parent})
        return run

    def _new_record(self, resumed: str | None = None) -> Record:
        key = len(self._runs) + 1
        self._runs[key] = Record(self, key, resumed)
        return self._runs[key]

    def wait(self) -> None:
        """Wait until all finished runs are stored."""
        for run in list(self._runs.values()):
            run.wait()

    @property
    def writer(self) -> str:
        """Name of the writer process, see `runner.tracking.environment.is_alive`."""
        return process_name(self._process.pid)

    def close(self, timeout: float = 60.0) -> None:
        """End the writer after it has stored everything; a run that was not finished becomes KILLED."""
        atexit.unregister(self.close)
        if self.closed:
            return
        self.closed = True
        self.post(as_line({"do": "close"}))
        self.post(None)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            log.warning("MLflow's writer needs more than %.0f s to store the rest; it continues on its own", timeout)
            return
        for thread in self._threads:
            thread.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def __exit__(self, *exception: object) -> None:
        self.close()

    def post(self, message: bytes | threading.Event | None, urgent: bool = True) -> None:
        """Send a message. One that is not urgent costs less and may wait a tenth of a second."""
        self._messages.append(message)
        if urgent:
            self._wake.put(None)

    def _send(self) -> None:
        """Write messages to the pipe, until None or the end of the writer (in a thread)."""
        pipe = self._process.stdin
        assert pipe is not None
        with suppress(OSError), pipe:  # if the writer ended, `_receive` finds out why and reports it
            while True:
                with suppress(queue.Empty):
                    self._wake.get(timeout=0.1)
                while self._messages:
                    message = self._messages.popleft()
                    if message is None:
                        return
                    if isinstance(message, threading.Event):  # from `flush`: all before it is in the pipe
                        pipe.flush()
                        message.set()
                    else:
                        pipe.write(message)
                pipe.flush()

    def _receive(self) -> None:
        """Take the answers of the writer (in a thread)."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            if "warning" in answer:
                log.warning("%s", answer["warning"])
            if "fatal" in answer:
                log.error("MLflow's writer failed:\n%s", answer["fatal"])
            if "run" in answer:
                self._runs[answer["run"]].receive(answer)
        if not self.closed:
            code = self._process.wait()
            self._trouble = f"the process that writes to MLflow ended (exit code {code}); the run cannot be recorded"
        for run in list(self._runs.values()):
            run.receive({"error": self._trouble or "the tracker was closed", "done": True})


@contextmanager
def keep_tracker(uri: str | None, outputs: Path) -> Iterator[Tracker]:
    """Keep one tracker open for all runs of this process: MLflow is imported once, and no run waits for another."""
    with Tracker(uri, outputs) as tracker:
        tracker.waits = False
        _kept.append(tracker)
        try:
            yield tracker
            tracker.wait()
        finally:
            _kept.remove(tracker)


def tracker_for(uri: str | None, outputs: Path) -> AbstractContextManager[Tracker]:
    """Return the tracker that this process keeps open for `uri`, or else one that is closed at the end of the block."""
    place, _ = resolve_uri(uri, outputs)
    kept = next((tracker for tracker in _kept if tracker.uri == place and not tracker.closed), None)
    return nullcontext(kept) if kept else Tracker(uri, outputs)


def as_params(config: Mapping[str, Any]) -> dict[str, str]:
    """Return {"model.embed_dim": "128"}: each value as one would type it as an override."""
    found = {}
    for name, value in flat(config).items():
        known = isinstance(value, bool | int | float | list | tuple | dict) or value is None
        text = json.dumps(value, default=str, ensure_ascii=False) if known else str(value)
        found[NOT_IN_A_PARAM_NAME.sub("_", name)] = text
    return found
