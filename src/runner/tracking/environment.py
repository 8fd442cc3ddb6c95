"""What the record of a run says about where it was started: git, versions, host, user, command, process."""

import getpass
import os
import platform
import shlex
import socket
from functools import cache
from pathlib import Path
from typing import Any

from runner.tracking.git import git_state
from runner.tracking.pyfunc import versions


def environment(context: dict[str, Any]) -> tuple[dict[str, str], str]:
    """Return the tags that say where and with what a run was started, and the uncommitted changes.

    Args:
        context: `cwd`, `argv` and `outputs` of the training process.
    """
    command = Path(context["argv"][0]).name
    tags = {
        "mlflow.user": user(),
        "mlflow.source.name": command,
        "mlflow.source.type": "LOCAL",
        "runner.command": shlex.join([command, *context["argv"][1:]]),
        "runner.cwd": context["cwd"],
        "runner.host": socket.gethostname(),
        "runner.platform": platform.platform(),
        **code_commit(),
        "version.python": platform.python_version(),
        **{f"version.{name}": version for name, version in versions("runner").items()},
    }
    state = git_state(Path(context["cwd"]), exclude=[Path(context["outputs"])])
    if state is None:
        return tags, ""
    found = {
        "mlflow.source.git.commit": state.commit,
        "mlflow.source.git.branch": state.branch,
        "mlflow.source.git.repoURL": state.remote,
        "runner.git.commit": state.commit,
        "runner.git.dirty": "true" if state.dirty else "false",
    }
    return {**tags, **{name: value for name, value in found.items() if value}}, state.diff


@cache
def code_commit() -> dict[str, str]:
    """Return the commit of this package, if it stands in a repository of its own; {} if it has been installed."""
    home = Path(__file__).resolve().parents[1]
    state = git_state(home) if home.parent.name == "src" else None
    return {"runner.code.commit": state.commit + "+" * state.dirty} if state and state.commit else {}


def user() -> str:
    """Return the name of the user; in a container it may be only a number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


@cache
def own_name() -> str:
    """Return a name of this process that no later process of this machine can have."""
    return process_name(os.getpid())


def process_name(pid: int) -> str:
    """Return a name of the process `pid` that no later process of this machine can have."""
    import psutil

    return f"{socket.gethostname()}:{pid}:{psutil.Process(pid).create_time()}"


def is_from_here(name: str) -> bool:
    """Whether `name` is the `own_name` of a process of this machine; nothing is known about other machines."""
    return name.startswith(f"{socket.gethostname()}:")


def is_alive(name: str) -> bool:
    """Whether `name` is the `own_name` of another process that runs on this machine."""
    import psutil

    if not is_from_here(name) or name == own_name():
        return False
    pid, created = name.split(":")[-2:]
    try:
        return abs(psutil.Process(int(pid)).create_time() - float(created)) < 1.0
    except psutil.NoSuchProcess:
        return False
