"""The line at the foot of a terminal."""

import io
import logging

import pytest

from runner.files.progress import Erasing, Foot, Wait


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def foot() -> Foot:
    """One that draws on a terminal, without the thread that redraws it."""
    foot = Foot()
    foot.stream = Terminal()
    return foot


def test_what_takes_long_is_shown_with_its_seconds(foot):
    foot.show(Wait("reading the data", since=100.0))
    foot.refresh(100.4)
    assert foot.stream.getvalue() == ""
    foot.refresh(103.2)
    assert foot.stream.getvalue() == "\r\x1b[2Kreading the data ... 3 s\r"


def test_other_output_erases_the_line_and_it_comes_back_after_a_silence(foot):
    out = Erasing(foot, foot.stream)
    foot.show(Wait("reading the data", since=-100.0))
    foot.refresh(foot.written_at + 1)
    foot.stream.truncate(0)
    print("Rows: 3", file=out)
    assert foot.stream.getvalue().lstrip("\0") == "\r\x1b[2KRows: 3\n" and out.isatty()
    foot.refresh(foot.written_at + 0.1)
    assert not foot.drawn
    foot.refresh(foot.written_at + 1)
    assert foot.drawn
    foot.show(None)
    assert foot.stream.getvalue().endswith("\r\x1b[2K") and not foot.drawn


@pytest.mark.parametrize("wait, shown", [
    (Wait("epoch 1/3", 214, counts=True, done=107, note="loss 0.69", since=0.0),
     "epoch 1/3 [==========          ] 107/214, 8 s left, loss 0.69"),
    (Wait("Reading a.csv", 1000, done=250, since=0.0), "Reading a.csv [=====               ] 25%, 24 s left"),
    (Wait("Fetching a", since=0.0), "Fetching a ... 8 s"),
])  # fmt: skip
def test_a_bar_shows_how_much_is_done_and_the_time_left(wait, shown):
    assert wait.line(8.0) == shown


def test_without_a_terminal_what_takes_long_is_logged_once(caplog):
    caplog.set_level(logging.INFO)
    foot = Foot()
    for wait in (Wait("reading the data", since=0.0), Wait("epoch 1/3", 214, counts=True, since=0.0)):
        foot.show(wait)
        for now in (0.5, 2.0, 3.0):
            foot.refresh(now)
    assert caplog.messages == ["reading the data ..."]
