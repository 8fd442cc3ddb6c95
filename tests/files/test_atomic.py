"""A file that is written in one step."""

import os

import pytest

from runner.files.atomic import write_atomically


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
