"""A progress bar that appears only when the wait is long enough."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE = 2.0  # seconds of work before a bar appears
REFRESH = 0.1  # seconds between two looks at the clock


@contextmanager
def bar(description: str, total: float | None = None) -> Iterator[Callable[[float], None]]:
    """Yield `update(done)`, to be called as often as convenient; a bar appears on standard error after two
    seconds.

    Args:
        description: what is being done, in a few words.
        total: value of `done` at the end, in any unit; None = unknown.
    """
    started = time.monotonic()
    looked = started
    progress = task = None

    def update(done: float) -> None:
        nonlocal looked, progress, task
        now = time.monotonic()
        if now - looked < REFRESH or now - started < PATIENCE:
            return
        looked = now
        if progress is None:
            # rich is imported late: a job shorter than the patience never needs it
            from rich.console import Console
            from rich.progress import Progress

            console = Console(stderr=True)
            progress = Progress(console=console, transient=True, disable=not console.is_terminal)
            progress.start()
            task = progress.add_task(description, total=total)
        progress.update(task, completed=done)

    try:
        yield update
    finally:
        if progress is not None:
            progress.stop()
