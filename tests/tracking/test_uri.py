"""Where runs are recorded."""

import os
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import pytest
from sqlalchemy.engine import make_url

from runner.errors import UserError
from runner.tracking.tracker import Tracker
from runner.tracking.uri import (
    PASSWORD,
    USER,
    advice,
    bare_arguments,
    file_at,
    resolve_uri,
    typed_address,
    with_credentials,
)


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
        assert typed_address(address) == f"sqlite:///{tmp_path / name / 'x.db'}", "as it is typed"
    assert file_at("http://host") is None


def test_resolve_uri(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    default = (f"sqlite:///{tmp_path}/outputs/mlflow.db", (tmp_path / "outputs" / "mlartifacts").as_uri())
    assert resolve_uri(None, Path("outputs")) == default
    assert resolve_uri("sqlite:///outputs/mlflow.db", Path("x")) == default
    assert resolve_uri("https://host/", Path("x")) == ("https://host", "")


@pytest.fixture
def no_credentials(monkeypatch):
    for name in (USER, PASSWORD):
        monkeypatch.setenv(name, "")  # restored afterwards, whatever the test sets


@pytest.mark.usefixtures("no_credentials")
@pytest.mark.parametrize("quotes", ["{}", "'{}'", '"{}"'])
def test_typed_credentials_go_to_the_environment(quotes, capsys):
    typed = ["model=mlp", f"tracking.uri={quotes.format('https://me:p%40ss@host:5000/x')}", "seed=1"]
    expected = ["model=mlp", f"tracking.uri={quotes.format('https://host:5000/x')}", "seed=1"]
    assert bare_arguments(typed) == expected
    assert (os.environ[USER], os.environ[PASSWORD]) == ("me", "p@ss")
    said = capsys.readouterr().err
    assert USER in said and PASSWORD in said and "p@ss" not in said and "p%40ss" not in said
    assert bare_arguments(expected) == expected
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("no_credentials")
def test_a_database_gets_them_in_its_address_only_when_it_is_opened(tmp_path):
    uri, _ = resolve_uri("postgresql://me:p%40ss@host/db", tmp_path)
    assert uri == "postgresql://host/db"
    assert with_credentials(uri) == "postgresql://me:p%40ss@host/db"
    assert with_credentials("https://host") == "https://host"  # MLflow reads the environment itself
    assert with_credentials("sqlite:////x/mlflow.db") == "sqlite:////x/mlflow.db"
    assert resolve_uri("postgresql://you@host/db", tmp_path)[0] == "postgresql://you@host/db"
    assert with_credentials("postgresql://you@host/db") == "postgresql://you@host/db"


def test_a_server_that_wants_a_password_is_explained():
    assert PASSWORD in advice("https://host", "API request failed with error code 401")
    assert "p4ss" not in advice("https://host", "cannot connect to postgresql://me:p4ss@host/db")
