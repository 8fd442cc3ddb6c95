"""Where runs are recorded."""

from pathlib import Path

import pytest

from runner.errors import UserError
from runner.tracking.tracker import Tracker
from runner.tracking.uri import hide_password, resolve_uri


@pytest.mark.parametrize("uri", ["mlruns", "./runs.db", "file:///tmp/x", "sqlite:///", "sqlite:///:memory:", "ftp://x"])
def test_a_uri_that_cannot_be_right(uri, tmp_path):
    with pytest.raises(UserError, match="tracking"):
        Tracker(uri, tmp_path)


def test_resolve_uri(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    default = (f"sqlite:///{tmp_path}/outputs/mlflow.db", (tmp_path / "outputs" / "mlartifacts").as_uri())
    assert resolve_uri(None, Path("outputs")) == default
    assert resolve_uri("sqlite:///outputs/mlflow.db", Path("x")) == default
    assert resolve_uri("https://host/", Path("x")) == ("https://host", "")
    assert hide_password("postgresql://me:secret@host/db") == "postgresql://me:***@host/db"
