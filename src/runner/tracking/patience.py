"""Waiting for a database or a server that does not answer: while a training runs without end, at its end once."""

import re
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from runner.errors import first_line

T = TypeVar("T")
SECONDS = 30.0  # for which somebody waits for a busy database or a silent server
SILENT = ("locked", "max retries exceeded", "connection", "timed out", "error code 5", "status code 5")
FULL = ("disk is full", "no space left", "disk i/o", "file too large", "quota exceeded")
QUIET_SECONDS = 3.0  # a shorter wait is not worth a word


def short_reason(error: Exception) -> str:
    """Return in a few words why nothing can be stored: what is said about a server tells all its layers."""
    text = first_line(error)
    if answered := re.search(r"too many (\d+) error responses|error code (5\d\d)", text):
        return f"the server answers with error {answered[1] or answered[2]}"
    return "the server does not answer" if "http" in text else text


class GaveUp(Exception):
    """The record could not be written for a reason that may pass."""


class Patience:
    """Repeats calls that fail for a reason that passes: a busy database, a silent server, a full disk.

    While a training runs they are repeated until they succeed: the messages wait, the training does not. When the
    training process waits, for the id of a run or at its end, it gives up after `SECONDS`, once for all calls that
    follow; on a full disk at once.

    Args:
        warn: called with one line when it has to wait.
    """

    def __init__(self, warn: Callable[[str], None]):
        self.warn = warn
        self.hurried: deque[float] = deque()  # since when the training process waits, for each time it does
        self.failing_since: float | None = None
        self.warned = False
        self.silent: GaveUp | None = None

    def hurry(self) -> None:
        """Note that the training process waits; called in another thread."""
        self.hurried.append(time.monotonic())

    def relax(self) -> None:
        """Note that what the training process waited for is done."""
        self.hurried.popleft()
        self.silent = None

    def __call__(self, call: Callable[..., T], *args: object, **kwargs: object) -> T:
        """Return what `call` returns, as soon as it does.

        Raises:
            GaveUp: it went on failing for a reason that may pass.
        """
        pause = 0.05
        while True:
            if self.silent is not None:
                raise self.silent
            try:
                result = call(*args, **kwargs)
            except Exception as error:
                text = str(error).lower()
                full = any(word in text for word in FULL)
                if not full and not any(word in text for word in SILENT):
                    raise
                self.wait(GaveUp(short_reason(error)), full)
            else:
                self.failing_since, self.warned = None, False
                return result
            time.sleep(pause)
            pause = min(2 * pause, 2.0)

    def wait(self, error: GaveUp, full: bool) -> None:
        """Say once that calls fail; raise the error if somebody has waited long enough."""
        now = time.monotonic()
        self.failing_since = self.failing_since or now
        if self.hurried and (full or now - max(self.failing_since, self.hurried[0]) >= SECONDS):
            self.silent = None if full else error
            raise error
        if not self.warned and now - self.failing_since >= QUIET_SECONDS:
            self.warn(f"MLflow cannot store anything at the moment; the rest waits until it can ({error})")
            self.warned = True
