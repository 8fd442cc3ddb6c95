"""What all tests share: few threads, no telemetry, a separate cache, a few trained models, and `--config-dir`."""

import importlib.util
import logging
import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from runner.config.catalog import Catalog

# Before torch and MLflow are imported, also by the programs that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")  # `make test` runs a process for each core
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
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as of a shell's background job; programs would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for folder in config.getoption("--config-dir"):
        if not folder.is_dir():
            raise pytest.UsageError(f"--config-dir {folder}: there is no such folder")
        sys.path.append(str(folder.resolve().parent))  # where the command line looks for the classes it names
    # Lightning's own use of torch, on every `trainer.fit`; nothing a test here could fix.
    config.addinivalue_line("filterwarnings", "ignore:.*LeafSpec.*is deprecated:FutureWarning")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `model` once for every model of the catalog."""
    if "model" in metafunc.fixturenames:
        from runner.config.catalog import Catalog, folders

        catalog = Catalog(folders(metafunc.config.getoption("--config-dir")))
        metafunc.parametrize(
            "model", [pytest.param(name, marks=reasons_to_skip(catalog, name)) for name in catalog.choices("model")]
        )


def reasons_to_skip(catalog: "Catalog", model: str) -> list[pytest.MarkDecorator]:
    """Why a model of the catalog cannot be built here: a package is missing, or a folder has to be typed."""
    if "???" in catalog.node("model", model).values():
        return [pytest.mark.skip(reason="it needs a folder; its own tests hold it to the contracts")]
    without = model in ("pretrained", "zero_shot") and importlib.util.find_spec("transformers") is None
    return [pytest.mark.skipif(without, reason='the extra "pretrained" is not installed')]


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of prepared data for this session, also for the programs that tests start."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("RUNNER_CACHE")
    os.environ["RUNNER_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["RUNNER_CACHE"]
    else:
        os.environ["RUNNER_CACHE"] = before


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    """Let every test draw the same random numbers, whatever ran before it, since the order of the tests changes."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(autouse=True)
def signals_and_logs() -> Iterator[None]:
    """Restore the signal handlers and log levels that a run or a command in this process has changed."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    root, level, outputs = logging.getLogger(), logging.getLogger().level, list(logging.getLogger().handlers)
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    root.setLevel(level)
    for handler in [handler for handler in root.handlers if handler not in outputs]:
        root.removeHandler(handler)
        handler.close()


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the drawing, most of the time of a tiny training."""
    import runner.training.train
    from runner.tasks.base import Task

    monkeypatch.setattr(Task, "draw_epoch", lambda *arguments: None)
    monkeypatch.setattr(runner.training.train, "save_figures", lambda *arguments: None)


@pytest.fixture(scope="session")
def trained(cache: Path, tmp_path_factory: pytest.TempPathFactory):
    """The folder of a tiny training of a model, trained once for all tests: `trained("mlp")`. Not to be changed."""
    from small_runs import settings

    from runner.training.train import train

    folders: dict[str, Path] = {}

    def folder_of(model: str) -> Path:
        if model not in folders:
            folders[model] = tmp_path_factory.mktemp(model)
            train(settings(model), folders[model])
        return folders[model]

    return folder_of


@pytest.fixture(scope="session")
def recorded(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder with finished runs and their database, and {name: id} of the runs. Not to be changed."""
    from recorded_runs import train_all

    folder = tmp_path_factory.mktemp("recorded")
    return folder, train_all(folder)
