"""The record of one run, as the training process sees it.

A method marked `@message` travels: its name and its arguments go through a pipe to the writer (writer.py), which calls
the method of `StoredRun` (store.py) with the same name. `start` and `reserve` of the tracker open a run the same way.
"""

import inspect
import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, Literal, ParamSpec, Protocol

from runner.errors import UserError
from runner.tracking.uri import advice, typed_address

P = ParamSpec("P")
Message = dict[str, Any]
Status = Literal["FINISHED", "FAILED", "KILLED"]
METRIC_NAME = re.compile(r"^(?![/.])[\w.\- :/]{1,250}$")  # what MLflow accepts on every file system
OPEN_SECONDS = 180.0  # time for eight first runs on a slow machine to create one database


class TrackingError(UserError):
    """The record of a run cannot be written: server or database cannot be reached, or the writer ended."""


class Sender(Protocol):
    """What a record needs of its tracker."""

    uri: str
    elsewhere: str
    closed: bool
    waits: bool
    patience: float

    def post(self, message: "Posted", urgent: bool = True) -> None:
        """Send a message."""


Posted = tuple["Record", bytes | None] | threading.Event | None  # (run, line), None = its opening; None = the last one


def message(method: Callable[P, None]) -> Callable[P, None]:
    """Send a call to the writer, after the body of the method has checked it."""
    signature = inspect.signature(method)

    @wraps(method)
    def send(*args: P.args, **kwargs: P.kwargs) -> None:
        method(*args, **kwargs)
        call = signature.bind(*args, **kwargs)
        call.apply_defaults()
        record: Record = call.arguments.pop("self")
        record.send(method.__name__, **call.arguments)

    return send


class Record:
    """A run in MLflow, created by `Tracker.start`.

    Args:
        tracker: the way to the writer.
        key: number of the run in messages.
        opening: the message that opens it in MLflow, `start` or `reserve`.
    """

    def __init__(self, tracker: Sender, key: int, opening: Message):
        self._tracker = tracker
        self._key = key
        self._opening = {**opening, "run": key, "time_ms": time.time_ns() // 1_000_000, "again": False}
        self._resumed = opening.get("resume")
        self._id: str | None = None
        self._trouble: str | None = None
        self._opened = threading.Event()
        self._stored = threading.Event()
        self._finished = False
        self._names: set[str] = set()  # of metrics, already checked

    @property
    def is_open(self) -> bool:
        """Whether not everything is stored yet."""
        return not self._stored.is_set()

    def opening(self) -> bytes:
        """Return the message that opens the run; from the second time on, for another writer, it says so."""
        line = as_line({**self._opening, "id": self._id})
        self._opening["again"] = True
        return line

    @message
    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Record values at a step; NaN and infinity are allowed.

        Raises:
            ValueError: a name is not allowed in MLflow.
        """
        for name in values.keys() - self._names:
            if not METRIC_NAME.match(name) or "//" in name or "/.." in name or name.endswith("/"):
                raise ValueError(
                    f'metric name "{name}": allowed are letters, digits, "_", "-", ".", ":", spaces, '
                    'and "/" between parts'
                )
            self._names.add(name)

    @message
    def tags(self, tags: Mapping[str, str], of: str | None = None) -> None:
        """Set tags of the run, or of the run with the id `of`, such as a child of this one."""

    @message
    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Store a file or a folder, in `folder` among the artifacts. It is copied later, so it must stay."""
        if not Path(path).exists():
            raise FileNotFoundError(f"artifact {path} does not exist")

    @message
    def dataset(
        self, name: str, source: str, digest: str, sizes: Mapping[str, int], columns: Mapping[str, str]
    ) -> None:
        """Record what the run read.

        Args:
            name: name of the dataset.
            source: where the data came from, in one line.
            digest: SHA-256 of the source, hexadecimal.
            sizes: rows of each split.
            columns: input columns and their types.
        """

    @message
    def model(
        self,
        folder: Path,
        python_model: type,
        inputs: Mapping[str, str],
        outputs: Mapping[str, str],
        example: Sequence[Mapping[str, Any]] = (),
        code: Sequence[Path] = (),
    ) -> None:
        """Store a folder as the pyfunc model of the run. It is copied later, so it must stay.

        Args:
            folder: what the model is made from; the python model finds it as `context.artifacts["run"]`.
            python_model: a class with `load_context(context)` and `predict(context, table)`; its name is stored.
            inputs: input columns and their types: "string", "double", "long" or "tensor" (nested lists).
            outputs: the same for the columns of the answer.
            example: a few rows of the input.
            code: folders of packages that are stored with the model, in addition to `runner` itself.
        """

    def finish(self, status: Status, error: str | None = None, timeout: float = 120.0) -> None:
        """Store everything that is pending, set the status and the end time. A second call does nothing.

        With a tracker that is kept open for many runs this does not wait: `Tracker.wait` waits for all of them.

        Args:
            status: how the run ended.
            error: what went wrong; goes to the tag `runner.error`, its end if it is long.
            timeout: seconds to wait.

        Raises:
            TrackingError: not everything could be stored.
        """
        if self._finished:
            return
        self.send("finish", status=status, error=error)
        self._finished = True
        if self._tracker.waits:
            self.wait(timeout)

    @property
    def id(self) -> str:
        """MLflow's id of the run; waits until the writer has opened it.

        Raises:
            TrackingError: the server or the database cannot be reached.
        """
        if self._resumed and not self._tracker.waits:
            return self._resumed
        if not self._opened.wait(OPEN_SECONDS):
            raise TrackingError(advice(self._tracker.uri, f"no answer within {OPEN_SECONDS:.0f} s"))
        if self._id is None:
            raise TrackingError(advice(self._tracker.uri, self._trouble or "no id"))
        return self._id

    def flush(self, timeout: float = 30.0) -> None:
        """Wait until the writer has received everything: from then on a kill of this process loses nothing."""
        handed_over = threading.Event()
        self._tracker.post(handed_over)
        if not handed_over.wait(timeout):
            raise TrackingError(f"the process that writes to MLflow does not read: {typed_address(self._tracker.uri)}")

    def wait(self, timeout: float = 120.0) -> None:
        """Wait until the end of the run is stored; a run that has not finished is not waited for.

        Raises:
            TrackingError: not everything could be stored.
        """
        if not self._finished:
            return
        self._send("hurry")
        if not self._stored.wait(timeout):
            self._tracker.patience = 0
            raise TrackingError(self._incomplete(f"not stored within {timeout:.0f} s; its writer continues on its own"))
        if self._trouble:
            raise TrackingError(self._incomplete(self._trouble))

    def send(self, do: str, **content: Any) -> None:
        """Send a message. Metrics may wait a tenth of a second, since sending them together costs less.

        If the run cannot be recorded this does nothing: the training does not end because of the record.
        """
        if self._finished or self._tracker.closed:
            raise RuntimeError("the run is finished, or its tracker is closed")
        self._send(do, **content)

    def _send(self, do: str, **content: Any) -> None:
        if self.is_open:
            message = {"do": do, "run": self._key, "time_ms": time.time_ns() // 1_000_000, **content}
            self._tracker.post((self, as_line(message)), urgent=do != "metrics")

    def receive(self, answer: Message) -> None:
        """Take an answer of the writer; called in the tracker's thread."""
        self._id = answer.get("id", self._id)
        if self.is_open:
            self._trouble = answer.get("error")
        self._opened.set()
        if "done" in answer or "error" in answer:
            self._stored.set()

    def _incomplete(self, reason: str) -> str:
        """Return the sentence for a run whose record lacks something: what to do about it."""
        place, run = typed_address(self._tracker.uri), self._id or self._resumed
        if run is None:
            return advice(self._tracker.uri, reason)
        return (
            f"the record of the run in {place} is incomplete: {reason}. The run folder has everything; to complete "
            f"the record later, type: runner resume={run}{self._tracker.elsewhere}"
        )


def as_line(message: Message) -> bytes:
    """Return a message as the writer reads it, a line of JSON."""
    return json.dumps(message, default=_in_json).encode() + b"\n"


def _in_json(value: Any) -> Any:
    """Return arrays as lists, a path as absolute text, a class as its dotted name."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, Path):
        return str(value.absolute())
    return value.tolist() if hasattr(value, "tolist") else str(value)
