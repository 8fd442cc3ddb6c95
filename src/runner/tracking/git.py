"""What git knows about the folder a run was started in: commit, dirty flag and the uncommitted changes."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MAX_DIFF = 10_000_000  # characters of the stored diff; the rest is cut off, with a line that says so
MAX_UNTRACKED_FILE = 200_000  # bytes; larger new files (data, weights) are only listed
MAX_UNTRACKED_FILES = 200
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # git's name for a folder without files


@dataclass(frozen=True)
class GitState:
    """The state of a working tree.

    Args:
        commit: full hash of HEAD, or None in a repository without a commit.
        branch: name of the branch, or None when HEAD is detached.
        remote: address of `origin` without user name and password, or None.
        dirty: whether anything differs from the commit, new files included.
        diff: the changes in the form `git apply` takes; "" when the tree is clean.
    """

    commit: str | None
    branch: str | None
    remote: str | None
    dirty: bool
    diff: str


def git_state(folder: Path, exclude: Sequence[Path] = ()) -> GitState | None:
    """Return the state of the repository around `folder`; None without a repository or without git.

    New files that git does not ignore belong to the state: a model that is being written is usually not added
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
    if len(diff) > MAX_DIFF:
        diff = diff[:MAX_DIFF] + f"\n# cut: the diff has {len(diff)} characters\n"
    return GitState(
        commit=commit,
        branch=_line(_git(root, "symbolic-ref", "--short", "--quiet", "HEAD")),
        remote=_without_password(_line(_git(root, "config", "--get", "remote.origin.url"))),
        dirty=bool(status),
        diff=diff,
    )


def _git(folder: Path, *arguments: str, index: Path | None = None) -> str | None:
    """Run git in `folder`, optionally with another index; None if it is missing, fails or takes too long."""
    command = ["git", "-c", "core.quotepath=off", *arguments]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    if index is not None:
        environment["GIT_INDEX_FILE"] = str(index)
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", errors="replace") if done.returncode == 0 else None


def _diff(root: Path, commit: str | None, paths: list[str]) -> str:
    """Return all changes since the commit, new text files included; large new files are only listed."""
    listed = _git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", *paths) or ""
    new = [name for name in listed.split("\0") if name and not name.endswith("/")]
    small = [name for name in new[:MAX_UNTRACKED_FILES] if _is_small(root / name)]
    with tempfile.TemporaryDirectory() as scratch:
        # `git diff` shows new files once they are announced (-N); that is done in a copy of the index.
        index = Path(scratch, "index")
        own_index = root / (_line(_git(root, "rev-parse", "--git-path", "index")) or "")
        if own_index.is_file():
            shutil.copy2(own_index, index)  # with its time, by which git knows what may have changed since
        if small:
            _git(root, "add", "--intent-to-add", "--", *small, index=index)
        text = _git(root, "diff", commit or EMPTY_TREE, "--", *paths, index=index) or ""
    left_out = sorted(set(new) - set(small))
    return text + "".join(f"# new, not stored here: {name}\n" for name in left_out[:MAX_UNTRACKED_FILES])


def _is_small(file: Path) -> bool:
    return file.is_file() and file.stat().st_size <= MAX_UNTRACKED_FILE


def _exclusions(root: Path, folders: Sequence[Path]) -> list[str]:
    """Return git's way of writing "not these folders", for those inside the repository."""
    inside = [folder.resolve() for folder in folders if folder.resolve().is_relative_to(root.resolve())]
    return [f":(exclude){folder.relative_to(root.resolve())}" for folder in inside if folder != root.resolve()]


def _without_password(address: str | None) -> str | None:
    """Return `https://name:secret@host/x` as `https://host/x`: addresses may hold a token."""
    return address and re.sub(r"://[^/]*@", "://", address, count=1)


def _line(text: str | None) -> str | None:
    return (text or "").strip() or None
