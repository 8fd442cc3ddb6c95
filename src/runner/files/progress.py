"""A progress bar that appears only when the wait is long enough."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE = 2.0  # seconds of work before a bar appears


@contextmanager
def bar(description: str, total: float | None = None) -> Iterator[Callable[[float], None]]:
    """Yield `update(done)`, to be called many times a second; a bar appears on standard error after two seconds.

    Args:
        description: what is being done, in a few words.
        total: value of `done` at the end, in any unit; None = unknown.
    """
    started = time.monotonic()
    progress = task = None

    def update(done: float) -> None:
        nonlocal progress, task
        if progress is None:
            if time.monotonic() - started < PATIENCE:
                return
            from rich.console import Console  # late: a job shorter than the patience never needs it
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
