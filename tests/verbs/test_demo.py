"""`runner demo` listens on this machine alone, and says what it lacks before anything slow is done."""

import contextlib
import importlib.util
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from pages import environment
from recorded_runs import called

from runner.errors import UserError
from runner.verbs.demo import Demo

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::UserWarning")


def test_what_is_missing_is_said_with_what_to_type(monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'pip install "runner\[demo\]"'):
        Demo(run="nothing")()


def test_a_port_in_use_is_named(monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UserError, match=r"cannot listen on 127\.0\.0\.1"):
            Demo(run="nothing", port=taken.getsockname()[1])()


def test_settings_are_those_of_the_model(recorded) -> None:
    pytest.importorskip("gradio", reason='pip install "runner[demo]"')
    with pytest.raises(UserError, match=r"task\.temperature= cannot be changed"):
        called(recorded, Demo(run="iris", settings=("task.temperature=2",), port=free_port()))


@pytest.mark.slow
def test_the_page_is_served_until_ctrl_c(recorded) -> None:
    pytest.importorskip("gradio", reason='pip install "runner[demo]"')
    folder, ids = recorded
    port = free_port()
    command = [sys.executable, "-m", "runner.cli", "demo", f"run={ids['iris']}", f"port={port}"]
    with subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        lines = [server.stdout.readline(), server.stdout.readline()]
        try:
            assert ids["iris"] in lines[0] and lines[1] == f"open http://127.0.0.1:{port}/ in a browser\n"
            page = ""
            while not page and server.poll() is None:  # the line is printed just before it listens
                with contextlib.suppress(urllib.error.URLError):
                    page = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60).read().decode()
            assert "petal_length" in page
        finally:
            server.send_signal(signal.SIGINT)
        rest = server.communicate(timeout=60)
    assert server.returncode == 130 and rest == ("", ""), rest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
