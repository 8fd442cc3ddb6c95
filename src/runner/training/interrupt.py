"""Why a run ends early. After Ctrl-C or SIGTERM a training finishes its step and saves; all else ends immediately."""

import signal
from typing import Any

from runner.errors import UserError


class Interrupted(BaseException):
    """The run was asked to stop by a signal, SIGINT or SIGTERM."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def exit_code(self) -> int:
        """What shells expect of a program that a signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.number


class OutOfTime(Interrupted):
    """The run has trained for as long as it may; it ends as if its cluster had sent SIGTERM."""

    def __init__(self) -> None:
        BaseException.__init__(self, "callbacks.checkpoint.stop_after_minutes")
        self.number = signal.SIGTERM


class Pruned(UserError):
    """The run was stopped because other jobs of its sweep were clearly better at that point."""


class Interrupt:
    """Remembers a signal that comes while a training runs, until the step is over; a second one ends it immediately."""

    def __init__(self):
        self.training = False
        self.received: int | None = None

    def install(self) -> None:
        """Handle SIGINT and SIGTERM from now on."""
        signal.signal(signal.SIGINT, self.handle)
        signal.signal(signal.SIGTERM, self.handle)

    def handle(self, number: int, frame: Any) -> None:
        again, self.received = self.received is not None, number  # what is raised in a destructor would be lost
        if again or not self.training:
            raise Interrupted(number)

    def raise_if_asked(self) -> None:
        if self.received is not None:
            self.training = False
            raise Interrupted(self.received)
