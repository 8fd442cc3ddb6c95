"""What all tests share: few threads, no telemetry, and `--config-dir` for choices outside this repository."""

import os
import sys
from pathlib import Path

import pytest

# Before torch and MLflow are imported, also by the programs that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--config-dir",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="a folder with choices of your own, as of runner: its models are held to the contracts too",
    )


def pytest_configure(config: pytest.Config) -> None:
    for folder in config.getoption("--config-dir"):
        if not folder.is_dir():
            raise pytest.UsageError(f"--config-dir {folder}: there is no such folder")
        sys.path.append(str(folder.resolve().parent))  # where the command line looks for the classes it names
    # Lightning's own use of torch, on every `trainer.fit`; nothing a test here could mend.
    config.addinivalue_line("filterwarnings", "ignore:.*LeafSpec.*is deprecated:FutureWarning")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `model` once for every model of the catalog."""
    if "model" in metafunc.fixturenames:
        from runner.catalog import choices

        metafunc.parametrize("model", choices("model", metafunc.config.getoption("--config-dir")))
