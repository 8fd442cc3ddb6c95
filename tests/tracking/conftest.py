"""One database, and one writer to it, for all tests of the record."""

import pytest

from runner.tracking.tracker import Tracker


@pytest.fixture(scope="session")
def outputs(tmp_path_factory):
    """A folder with spaces and more in its name: it becomes part of URIs."""
    return tmp_path_factory.mktemp("out puts, ü=1")


@pytest.fixture(scope="session")
def tracker(outputs):
    """One writer for all of them, as for the runs of a sweep."""
    with Tracker(None, outputs) as tracker:
        yield tracker
