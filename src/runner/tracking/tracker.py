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
from runner.tracking.record import Posted, Record, as_line
from runner.tracking.uri import check_writable, resolve_uri, typed_address, writer_environment

WRITER = ("-m", "runner.tracking.writer")
MOST_KILLED = 5  # writers in a row that are killed before they have stored anything
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
        self.elsewhere = f" tracking.uri={typed_address(self.uri)}" if uri else ""  # what has to be typed to find it
        check_writable(self.uri)
        self._arguments = [self.uri, artifact_root, str(os.getpid())]
        self._context = {"cwd": os.getcwd(), "argv": sys.argv, "outputs": str(Path(outputs).absolute())}
        self._runs: dict[int, Record] = {}
        self._messages: deque[Posted] = deque()
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._all_sent = False
        self._unstored: deque[tuple[Record, bytes | None]] = deque()  # sent, and sent again if the writer is killed
        self._stored = self._forgotten = 0  # how many messages this writer has stored; those are not kept
        self.closed = False
        self.patience = 60.0  # seconds that `close` waits
        self.waits = True  # whether the end of a run is waited for, see `keep_tracker`
        self._process = self._start_writer()
        # Threads move the bytes: both queues may be filled from a signal handler, and an interrupt can never leave
        # half a line in the pipe, since Python delivers signals to the main thread alone.
        self._thread = threading.Thread(target=self._keep_writing, daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def _start_writer(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-P", *WRITER, *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=writer_environment(),
            start_new_session=True,  # Ctrl-C in the terminal is for the training only
        )

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
        return self._open(
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

    def reserve(self, experiment: str, name: str, tags: Mapping[str, str], parent: str) -> Record:
        """Create a run that will begin later; MLflow calls it SCHEDULED.

        `start(resume=id)`, from this or any other process, begins it.
        """
        return self._open("reserve", experiment=experiment, name=name, tags={**tags, "mlflow.parentRunId": parent})

    def _open(self, do: str, **content: Any) -> Record:
        key = len(self._runs) + 1
        self._runs[key] = run = Record(self, key, {"do": do, **content})
        self.post((run, None))
        return run

    def wait(self) -> None:
        """Wait until all finished runs are stored."""
        for run in list(self._runs.values()):
            run.wait()

    @property
    def writer(self) -> str:
        """Name of the writer process, see `runner.tracking.environment.is_alive`."""
        return process_name(self._process.pid)

    def close(self) -> None:
        """End the writer after it has stored everything; a run that was not finished becomes KILLED."""
        atexit.unregister(self.close)
        if self.closed:
            return
        self.closed = True
        self.post(None)
        self._thread.join(self.patience)
        if self._thread.is_alive() and self.patience:
            log.warning("MLflow's writer needs more than %.0f s for the rest; it continues on its own", self.patience)

    def __exit__(self, *exception: object) -> None:
        self.close()

    def post(self, message: Posted, urgent: bool = True) -> None:
        """Send a message. One that is not urgent costs less and may wait a tenth of a second."""
        self._messages.append(message)
        if urgent:
            self._wake.put(None)

    def _keep_writing(self) -> None:
        """Have a writer until everything is stored; one that is killed is replaced (in a thread)."""
        killed = 0
        while (code := self._work_with(self._process)) < 0:
            killed = 1 if self._stored else killed + 1
            if killed == MOST_KILLED:
                break
            log.warning("the process that writes to MLflow was killed (signal %d); another one takes over", -code)
            openings = [(run, None) for run in list(self._runs.values()) if run.is_open]
            messages = [(run, line) for run, line in self._unstored if line and run.is_open]
            self._unstored = deque([*openings, *messages])
            self._stored = self._forgotten = 0
            self._process = self._start_writer()
        trouble = f"the process that writes to MLflow ended (exit code {code})" if code else "the tracker was closed"
        if code:
            log.error("%s; the training continues without it", trouble)
        for run in list(self._runs.values()):
            run.receive({"error": trouble, "done": True})

    def _work_with(self, process: "subprocess.Popen[bytes]") -> int:
        """Exchange messages with a writer until it ends; return its exit code."""
        receiver = threading.Thread(target=self._receive, args=(process,), daemon=True)
        receiver.start()
        self._send(process)
        receiver.join()
        self._forget_stored()
        return process.wait()

    def _send(self, process: "subprocess.Popen[bytes]") -> None:
        """Write messages to the pipe until there are no more or the writer ends, which `_keep_writing` notices."""
        assert process.stdin is not None
        with suppress(OSError), process.stdin as pipe:
            pipe.writelines(line or run.opening() for run, line in self._unstored)
            while process.poll() is None and not self._all_sent:
                pipe.flush()
                with suppress(queue.Empty):
                    self._wake.get(timeout=0.1)
                while self._messages:
                    message = self._messages.popleft()
                    if message is None:
                        self._all_sent = True
                    elif isinstance(message, threading.Event):  # from `flush`: all before it is in the pipe
                        pipe.flush()
                        message.set()
                    else:
                        run, line = message
                        self._unstored.append(message)
                        pipe.write(line or run.opening())
                self._forget_stored()
            if self._all_sent:
                pipe.write(as_line({"do": "close"}))

    def _forget_stored(self) -> None:
        """Keep only the messages that another writer would need."""
        while self._forgotten < self._stored:
            self._unstored.popleft()
            self._forgotten += 1

    def _receive(self, process: "subprocess.Popen[bytes]") -> None:
        """Take the answers of a writer until it ends (in a thread)."""
        assert process.stdout is not None
        with process.stdout as pipe:
            for line in pipe:
                answer = json.loads(line)
                self._stored = answer.get("stored", self._stored)
                if "warning" in answer:
                    log.warning("%s", answer["warning"])
                if "fatal" in answer:
                    log.error("MLflow's writer failed:\n%s", answer["fatal"])
                if "run" in answer:
                    self._runs[answer["run"]].receive(answer)


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
