"""A file that is written in one step."""

import os

import pytest

from runner.files.atomic import replacing, write_atomically


def test_text_and_bytes_in_a_new_folder(tmp_path):
    write_atomically(tmp_path / "new" / "a.json", "ü\n")
    assert (tmp_path / "new" / "a.json").read_bytes() == "ü\n".encode()
    write_atomically(tmp_path / "new" / "a.json", b"\x00")
    assert (tmp_path / "new" / "a.json").read_bytes() == b"\x00"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.json"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_the_old_file_stays_until_the_new_one_is_complete(tmp_path, monkeypatch, step):
    path = tmp_path / "a.json"
    write_atomically(path, "old")

    def killed(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, step, killed)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, "new")
    assert path.read_text() == "old"


def test_the_file_that_is_replaced_may_keep_a_name(tmp_path):
    for content in (b"1", b"2", b"3"):
        with replacing(tmp_path / "new", older=tmp_path / "old") as file:
            file.write(content)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"new": b"3", "old": b"2"}


def test_what_could_not_be_written_leaves_nothing(tmp_path):
    write_atomically(tmp_path / "a.json", "old")
    with pytest.raises(ValueError, match="full"), replacing(tmp_path / "a.json", older=tmp_path / "older") as file:
        file.write(b"half")
        raise ValueError("full")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.json": "old"}
