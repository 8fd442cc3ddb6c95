"""Where runs are recorded."""

from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import pytest
from sqlalchemy.engine import make_url

from runner.errors import UserError
from runner.tracking.tracker import Tracker
from runner.tracking.uri import file_at, hide_password, resolve_uri


@pytest.mark.parametrize("uri", ["mlruns", "./runs.db", "file:///tmp/x", "sqlite:///", "sqlite:///:memory:", "ftp://x"])
def test_a_uri_that_cannot_be_right(uri, tmp_path):
    with pytest.raises(UserError, match="tracking"):
        Tracker(uri, tmp_path)


def test_the_address_of_a_file_leads_back_to_it(tmp_path):
    for name in ("plain", "a%41b", "a?b", "a#b", "a b", "\N{GRINNING FACE}%3F?"):
        address, artifacts = resolve_uri(f"sqlite:///{tmp_path / name / 'x.db'}", Path("outputs"))
        assert file_at(address) == tmp_path / name / "x.db"
        assert make_url(address).database == str(tmp_path / name / "x.db")
        assert url2pathname(urlparse(artifacts).path) == str(tmp_path / name / "mlartifacts")
        assert hide_password(address) == f"sqlite:///{tmp_path / name / 'x.db'}", "as it is typed"
    assert file_at("http://host") is None


def test_resolve_uri(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    default = (f"sqlite:///{tmp_path}/outputs/mlflow.db", (tmp_path / "outputs" / "mlartifacts").as_uri())
    assert resolve_uri(None, Path("outputs")) == default
    assert resolve_uri("sqlite:///outputs/mlflow.db", Path("x")) == default
    assert resolve_uri("https://host/", Path("x")) == ("https://host", "")
    assert hide_password("postgresql://me:secret@host/db") == "postgresql://me:***@host/db"
