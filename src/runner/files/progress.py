"""What a person sees while waiting: one line at the foot of the terminal, erased before anything else is written.

Elsewhere (a file, a pipe) each thing that takes more than a second is logged once.
"""

import logging
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TextIO

PATIENCE = 0.5  # seconds without output before the line appears
BAR = 20  # characters

log = logging.getLogger(__name__)


@dataclass
class Wait:
    """Something that takes time.

    Args:
        text: what is being done, in a few words.
        total: value of `done` at the end, in any unit; None = unknown.
        counts: whether `done` is a number of things, to be shown.
        done: how much of it.
        note: what else is shown.
        since: when it began.
    """

    text: str
    total: float | None = None
    counts: bool = False
    done: float = 0.0
    note: str = ""
    since: float = field(default_factory=time.monotonic)

    def line(self, now: float) -> str:
        """Return what is shown: the seconds it has taken, or how much of it is done and the seconds that are left."""
        seconds = now - self.since
        if not self.total:
            return f"{self.text} ... {seconds:.0f} s"
        share = min(1.0, self.done / self.total)
        full = round(share * BAR)
        count = f"{self.done:.0f}/{self.total:.0f}" if self.counts else f"{share:.0%}"
        left = f"{seconds / share - seconds:.0f} s left" if share and seconds > 1 else ""
        return f"{self.text} [{'=' * full}{' ' * (BAR - full)}] {', '.join(filter(None, (count, left, self.note)))}"


class Foot:
    """The line at the foot of the terminal, redrawn four times a second by a thread.

    Attributes:
        wait: what is being waited for; None = nothing; the line is then empty.
    """

    def __init__(self) -> None:
        self.wait: Wait | None = None
        self.lock = threading.RLock()
        self.stream: TextIO | None = None  # the terminal; None = there is none
        self.watching = self.drawn = False
        self.written_at = 0.0  # when something else was written
        self.logged: Wait | None = None

    def watch(self) -> None:
        """Begin to show what is being waited for. Whatever this process prints from now on erases the line first."""
        if self.watching:
            return
        self.watching = True
        if sys.stderr.isatty():
            self.stream = sys.stderr
            sys.stderr = Erasing(self, sys.stderr)  # type: ignore[assignment]
            if sys.stdout.isatty():
                sys.stdout = Erasing(self, sys.stdout)  # type: ignore[assignment]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        while True:
            time.sleep(0.25)
            with self.lock:
                self.refresh(time.monotonic())

    def refresh(self, now: float) -> None:
        """Write the line, and leave the cursor at its beginning; without a terminal, log what takes long."""
        wait = self.wait
        if wait is None:
            return
        if self.stream is not None:
            if now - max(wait.since, self.written_at) > PATIENCE:
                columns = shutil.get_terminal_size().columns
                self.stream.write(f"\r\x1b[2K{wait.line(now)[: columns - 1]}\r")
                self.stream.flush()
                self.drawn = True
        elif wait is not self.logged and not wait.counts and now - wait.since > 1.0:
            log.info("%s ...", wait.text)
            self.logged = wait

    def erase(self) -> None:
        with self.lock:
            if self.drawn and self.stream is not None:
                self.stream.write("\r\x1b[2K")
                self.stream.flush()
            self.drawn = False
            self.written_at = time.monotonic()

    def show(self, wait: Wait | None) -> None:
        """Show something else from now on, or nothing."""
        with self.lock:
            self.wait = wait
            if self.drawn:
                self.erase()


class Erasing:
    """A stream that erases the line before it writes.

    Args:
        foot: the line.
        stream: the stream itself.
    """

    def __init__(self, foot: Foot, stream: TextIO):
        self.foot, self.stream = foot, stream

    def write(self, text: str) -> int:
        with self.foot.lock:
            self.foot.erase()
            return self.stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


foot = Foot()


def doing(text: str | None) -> None:
    """Say what takes time from now on; None = nothing any more."""
    foot.show(Wait(text) if text else None)


@contextmanager
def bar(text: str, total: float | None = None) -> Iterator[Callable[[float], None]]:
    """Yield `update(done)`, which may be called often.

    Args:
        text: what is being done, in a few words.
        total: value of `done` at the end, in any unit; None = unknown.
    """
    before, wait = foot.wait, Wait(text, total)

    def update(done: float) -> None:
        wait.done = done

    foot.show(wait)
    try:
        yield update
    finally:
        foot.show(before)
