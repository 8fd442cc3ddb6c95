"""What git knows about the folder a run was started in: commit, dirty flag and the uncommitted changes."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.files import secrets
from runner.files.secrets import SOURCE

MAX_DIFF = 1_000_000  # characters of the stored diff; the files after that are only listed
MAX_UNTRACKED_FILE = 200_000  # bytes; larger new files (data, weights) are only listed
MAX_UNTRACKED_FILES = 200
CODE = (*SOURCE, ".sh", ".yaml", ".yml", ".toml")  # endings of new files that are stored
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # git's name for a folder without files


@dataclass(frozen=True)
class GitState:
    """The state of a working tree.

    Args:
        commit: full hash of HEAD, or None in a repository without a commit.
        branch: name of the branch, or None when HEAD is detached.
        remote: address of `origin` without user name and password, or None.
        dirty: whether anything differs from the commit, new files included.
        diff: the changes in the form `git apply` takes, without what may hold a secret; its last lines say what was
            left out. "" when the tree is clean.
    """

    commit: str | None
    branch: str | None
    remote: str | None
    dirty: bool
    diff: str


def git_state(folder: Path, exclude: Sequence[Path] = ()) -> GitState | None:
    """Return the state of the repository around `folder`; None without a repository or without git.

    New code that git does not ignore belongs to the state: a model that is being written is usually not added
    yet. Files under the folders in `exclude` (the outputs of runs) do not count.
    """
    top = _git(folder, "rev-parse", "--show-toplevel")
    if top is None:
        return None
    root = Path(top.strip())
    paths = [".", *_exclusions(root, exclude)]
    commit = _line(_git(root, "rev-parse", "--verify", "--quiet", "HEAD"))
    status = _git(root, "status", "--porcelain", "--untracked-files=normal", "--", *paths) or ""
    diff = _diff(root, commit, paths) if status else ""
    remote = _line(_git(root, "config", "--get", "remote.origin.url"))
    return GitState(
        commit=commit,
        branch=_line(_git(root, "symbolic-ref", "--short", "--quiet", "HEAD")),
        remote=remote and secrets.without_credentials(remote),
        dirty=bool(status),
        diff=diff,
    )


def _git(folder: Path, *arguments: str, index: Path | None = None) -> str | None:
    """Run git in `folder`, optionally with another index; None if it is missing, fails or takes too long."""
    command = ["git", "-c", "core.quotepath=off", "-c", "core.fsmonitor=false", *arguments]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    if index is not None:
        environment["GIT_INDEX_FILE"] = str(index)
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", errors="replace") if done.returncode == 0 else None


def _diff(root: Path, commit: str | None, paths: list[str]) -> str:
    """Return all changes since the commit, new code included; what is left out is listed."""
    listed = _git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", *paths) or ""
    new = [name for name in listed.split("\0") if name and not name.endswith("/")]
    code = [name for name in new if name.endswith(CODE) and _is_small(root / name)][:MAX_UNTRACKED_FILES]
    with tempfile.TemporaryDirectory() as scratch:
        # `git diff` shows new files once they are announced (-N); that is done in a copy of the index.
        index = Path(scratch, "index")
        own_index = root / (_line(_git(root, "rev-parse", "--git-path", "index")) or "")
        if own_index.is_file():
            shutil.copy2(own_index, index)  # with its time, by which git knows what may have changed since
        if code:
            _git(root, "add", "--intent-to-add", "--", *code, index=index)
        options = ["--no-ext-diff", "--no-textconv"]  # they run other programs
        text = _git(root, "diff", *options, commit or EMPTY_TREE, "--", *paths, index=index) or ""
    kept: list[str] = []
    left_out: dict[str, str] = {}
    size = 0
    for part in filter(None, re.split(r"^(?=diff --git )", text, flags=re.M)):
        name = part.splitlines()[0].rpartition(" b/")[2]
        if secrets.names_a_secret(name) or secrets.in_text(part):
            left_out[name] = "it may hold a secret"
        elif (size := size + len(part)) > MAX_DIFF:
            left_out[name] = "the diff is too large"
        else:
            kept.append(part)
    left_out |= {name: "it is new, and large or not code" for name in sorted({*new} - {*code})[:MAX_UNTRACKED_FILES]}
    return "".join([*kept, *(f"# not stored here, {why}: {name}\n" for name, why in left_out.items())])


def _is_small(file: Path) -> bool:
    return file.is_file() and file.stat().st_size <= MAX_UNTRACKED_FILE


def _exclusions(root: Path, folders: Sequence[Path]) -> list[str]:
    """Return git's way of writing "not these folders", for those inside the repository."""
    inside = [folder.resolve() for folder in folders if folder.resolve().is_relative_to(root.resolve())]
    return [f":(exclude){folder.relative_to(root.resolve())}" for folder in inside if folder != root.resolve()]


def _line(text: str | None) -> str | None:
    return (text or "").strip() or None
