"""Ctrl-C and SIGTERM: remembered while a step runs, at once at any other time."""

import os
import signal
import subprocess
import sys
import time

import pytest

from runner.training.interrupt import Interrupt, Interrupted


@pytest.fixture
def interrupt():
    found = Interrupt()
    found.install()  # the handlers are given back by conftest.py
    return found


def send(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0.01)  # Python handles it between two of its own steps


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_outside_a_training_it_ends_at_once(interrupt, number, code):
    with pytest.raises(Interrupted) as caught:
        send(number)
    assert caught.value.exit_code == code and str(caught.value) == signal.Signals(number).name


def test_within_a_training_it_is_remembered_until_asked(interrupt):
    interrupt.training = True
    send(signal.SIGTERM)
    assert interrupt.received == signal.SIGTERM
    with pytest.raises(Interrupted, match="SIGTERM"):
        interrupt.raise_if_asked()
    assert not interrupt.training


def test_a_second_one_ends_at_once(interrupt):
    interrupt.training = True
    send(signal.SIGINT)
    with pytest.raises(Interrupted, match="SIGINT"):
        send(signal.SIGINT)


def test_nothing_asked_nothing_raised(interrupt):
    interrupt.training = True
    interrupt.raise_if_asked()
    assert interrupt.training


def test_code_that_catches_errors_does_not_catch_it(interrupt):
    with pytest.raises(Interrupted):
        try:
            send(signal.SIGINT)
        except Exception:
            pytest.fail("an interrupt is no error")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_every_verb_ends_with_the_code_of_the_signal(number, code):
    """And without a traceback, which would not help."""
    program = (
        "import os, sys, runner.cli as cli\n"
        f"cli.VERBS['list'].__call__ = lambda verb: os.kill(os.getpid(), {int(number)})\n"
        "sys.argv = ['runner', 'list']\n"
        "cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == code and done.stderr == ""
