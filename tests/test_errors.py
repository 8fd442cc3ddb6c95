"""Errors that users can correct."""

import errno
import os

import pytest

from runner.errors import UserError, closest, storage_error, user_error


def test_the_nearest_spelling_is_suggested():
    assert closest("textcn", ["mlp", "textcnn"]) == ' Did you mean "textcnn"?'
    assert closest("zebra", ["mlp", "textcnn"]) == closest("mlp", []) == ""


def test_a_users_error_is_found_among_the_causes():
    try:
        try:
            raise UserError("no such file")
        except UserError as error:
            raise RuntimeError("wrapped") from error
    except RuntimeError as error:
        assert str(user_error(error)) == "no such file"
    assert user_error(ValueError("other")) is user_error(None) is None


def wrapped(error: BaseException, text: str = "of a library") -> Exception:
    """The error as a library passes it on."""
    try:
        try:
            raise error
        except BaseException as cause:
            raise RuntimeError(text) from cause
    except RuntimeError as outer:
        return outer


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_named_with_what_is_free(tmp_path, number):
    full = OSError(number, os.strerror(number))
    rust = RuntimeError(f"Error while serializing: I/O error: {os.strerror(number)} (os error {number})")
    for error in (full, wrapped(full), rust, wrapped(rust)):
        told = str(storage_error(error, tmp_path / "not" / "there", "try again"))
        assert told.startswith(f"the disk of {tmp_path} is full, ") and told.endswith(" Make space, then try again")


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = OSError(errno.EROFS, "Read-only file system", "outputs")
    told = str(storage_error(error, tmp_path, "try again"))
    assert told == f"{tmp_path / 'outputs'} cannot be used: read-only file system. Start in a folder of yours"


def test_a_deleted_folder_is_told_from_a_missing_file(tmp_path):
    error = FileNotFoundError(errno.ENOENT, "No such file or directory", "x")
    assert storage_error(error, tmp_path, "try again") is None
    assert "was deleted" in str(storage_error(error, tmp_path / "gone", "try again"))


def test_other_errors_are_left_alone(tmp_path):
    for error in (None, ValueError("full"), OSError(errno.EPIPE, "Broken pipe"), RuntimeError("unexpected pos 64")):
        assert storage_error(error, tmp_path, "try again") is None


@pytest.mark.timeout(20)
def test_an_exception_that_is_its_own_cause_is_looked_at_once(tmp_path):
    """What a constructor refuses is raised again while the library's error about it, whose cause it is, is handled."""
    wanted = UserError("task.x is wrong")
    with pytest.raises(UserError) as refused:
        try:
            raise RuntimeError("cannot instantiate") from wanted
        except RuntimeError as error:
            raise error.__cause__ from None
    assert refused.value.__context__.__cause__ is refused.value, "a circle"
    assert storage_error(refused.value, tmp_path, "again") is None
    assert user_error(refused.value) is wanted
