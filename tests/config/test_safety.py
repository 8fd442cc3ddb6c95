"""What comes from others is read without running their code: configurations, bundles, checkpoints."""

import importlib
import inspect
import os
import pickle
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import pytest
import torch
from omegaconf import OmegaConf
from recorded_runs import inside
from sklearn.utils import all_estimators
from small_runs import composed, settings

from runner.config import safety
from runner.config.command import check
from runner.config.nodes import targets
from runner.errors import UserError
from runner.inference.bundle import load_bundle
from runner.text.tokenizers import tokenizer
from runner.training.checkpoint import load_checkpoint, newest_checkpoint
from runner.training.train import train

ALLOWED = [
    "runner.models.textcnn.TextCNN",
    "runner.optim.schedules.cosine",
    "runner.training.checkpoint.Checkpoint",
    "torch.optim.Adam",
    "torch.optim.lr_scheduler.StepLR",
    "torch.nn.Linear",
    "torch.nn.functional.relu",
    "torch.nn.functional.gelu",
    "pytorch_lightning.Trainer",
    "pytorch_lightning.callbacks.LearningRateMonitor",
    "pytorch_lightning.strategies.DDPStrategy",
    "torchmetrics.Accuracy",
    "sklearn.svm.SVC",
]
REFUSED = [
    "os.system",
    "subprocess.Popen",
    "builtins.eval",
    "numpy.load",
    "pandas.read_pickle",
    "joblib.load",
    "torch.os.system",  # the name of a module that torch imports
    "torch.load",
    "torch.hub.load",
    "torch.utils.cpp_extension.load_inline",
    "torch.distributed.elastic.multiprocessing.subprocess_handler.SubprocessHandler",
    "runner.cli.os.system",
    "runner.files.sources._call",
    "runner.sweep.workers.Worker",  # starts a process and hands it a pickle
    "runner.tracking.tracker.Tracker",
    "runner.files.sources.archive",
    "pytorch_lightning.cli.LightningCLI",
    "pytorch_lightning.LightningModule.load_from_checkpoint",
    "runner.tasks.classification.Classification.load_from_checkpoint",  # a method of a known class
    "torch.nn.functional.torch.hub.load",  # modules that an allowed one has imported
    "torch.nn.functional.torch.load",
    "torch.nn.functional.torch.os.system",
    "torch.nn.functional.torch.builtins.eval",
    "torch.nn.functional.importlib.import_module",
    "torch.nn.functional.handle_torch_function",  # imported, not defined there
    "runner.text.tokenizers.importlib.import_module",
    "runner.tasks.losses.function",
    "sklearn.pipeline.Pipeline",  # `memory` is a folder of pickles
]


@pytest.fixture(autouse=True)
def nothing_allowed(monkeypatch) -> None:
    monkeypatch.delenv(safety.ALLOW, raising=False)
    monkeypatch.delenv(safety.CODE, raising=False)


@pytest.mark.parametrize("target", ALLOWED)
def test_known_classes_may_be_named(target: str) -> None:
    assert safety.refusal(target) is None
    safety.guard({"model": {"_target_": target}})


@pytest.mark.parametrize("target", REFUSED)
def test_everything_else_is_refused(target: str) -> None:
    assert "none of these" in safety.refusal(target)
    with pytest.raises(UserError, match=rf"model.inner\[0\]._target_={target}"):
        safety.guard({"model": {"_target_": "torch.nn.Linear", "inner": [{"_target_": target}]}})


@pytest.mark.filterwarnings("ignore")  # some of torch's attributes say that they are old
def test_nothing_leads_out_of_the_allowed_modules() -> None:
    """Walk all attributes of the allowed modules: no alias of a module and no foreign callable may be named."""
    for name in (*safety.CLASSES, *safety.FUNCTIONS):
        with suppress(ImportError):  # the package `lightning`
            importlib.import_module(name)
    names = {*safety.CLASSES, *safety.FUNCTIONS, *safety.ROOTS}
    own = [module for name, module in sys.modules.items() if {name, name.rpartition(".")[0]} & names]
    leading_out, tried = [], 0
    for module in own:
        for name, value in [*vars(module).items()]:
            place = f"{module.__name__}.{name}"
            if isinstance(value, ModuleType) and value.__name__ != place:
                inner = [each for each, it in [*vars(value).items()] if callable(it) and not each.startswith("_")][:2]
                paths = [f"{place}.{each}" for each in inner]
            elif callable(value) and not is_ours(value, module.__name__):
                paths = [place]
            else:
                continue
            tried += len(paths)
            leading_out += [path for path in paths if may_be_named(path)]
    assert tried > 3000
    assert leading_out == []


def is_ours(value: object, module: str) -> bool:
    """Whether a class is defined in one of the allowed modules; a function, in this very one."""
    home = getattr(value, "__module__", None) or ""
    if isinstance(value, type):
        return any(f"{home}.".startswith(f"{name}.") for name in safety.CLASSES)
    compiled = not hasattr(value, "__code__")  # torch's, which say that they are from elsewhere
    return module in safety.FUNCTIONS and (compiled or f"{home}.".startswith(f"{module}."))


def may_be_named(path: str) -> bool:
    try:
        safety.guard({"x": {"_target_": path}})
    except UserError:
        return False
    return True


def test_classes_of_the_allowed_packages_keep_no_pickles() -> None:
    """A parameter `memory` of scikit-learn is a folder in which joblib looks for pickles."""
    for name, estimator in all_estimators():
        if "memory" in inspect.signature(estimator).parameters:
            assert not may_be_named(f"{estimator.__module__}.{name}"), name


def test_what_ones_own_or_an_allowed_module_has_imported_is_not_its_own(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "importing_net.py").write_text(
        "import os\nfrom os import system\nclass Net:\n    @classmethod\n    def small(cls): ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    safety.own_folder(tmp_path)
    assert safety.refusal("importing_net.Net") is None
    assert safety.refusal("importing_net.Net.small") is None
    for name in ("os.system", "system"):
        with pytest.raises(UserError, match="none of these"):
            safety.guard({"model": {"_target_": f"importing_net.{name}"}})
    assert safety.refusal("numpy.os.system", ["numpy"]) is not None
    assert safety.refusal("numpy.os.system", ["numpy.os.system"]) is None


def test_what_the_user_allows_may_be_named(monkeypatch) -> None:
    assert safety.refusal("numpy.load", ["numpy"]) is None
    assert safety.refusal("numpy.load", ["nump"]) is not None
    safety.allow(["numpy"])
    safety.allow("joblib")
    assert safety.allowed() == ["numpy", "joblib"]
    safety.allow("[yaml, numpy]")
    assert safety.allowed() == ["numpy", "joblib", "yaml"]
    safety.guard({"a": {"_target_": "numpy.load"}, "b": {"_target_": "joblib.load"}})
    assert "allow=[pandas]" in safety.refusal("pandas.DataFrame")
    assert "allow" not in safety.refusal("os.system")


def test_the_users_own_folder_is_the_users_own(tmp_path: Path, monkeypatch) -> None:
    """Modules directly in the current folder; not those of an environment inside it."""
    (tmp_path / "own_nets.py").write_text("class Net:\n    pass\n")
    packages = tmp_path / ".venv" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "foreign_nets.py").write_text("class Net:\n    pass\n")
    monkeypatch.syspath_prepend(str(packages))
    monkeypatch.syspath_prepend(str(tmp_path))
    with inside(tmp_path):
        assert safety.refusal("own_nets.Net") is None
        assert safety.refusal("foreign_nets.Net") is not None
        assert safety.own_code(OmegaConf.create({"model": {"_target_": "own_nets.Net"}})) == [tmp_path / "own_nets.py"]
    assert safety.refusal("own_nets.Net") is not None
    assert safety.refusal("own_nets.Net", folders=[tmp_path]) is None
    safety.own_folder(tmp_path)
    assert safety.refusal("own_nets.Net") is None


def test_the_command_is_checked_before_anything_is_imported() -> None:
    (problem,) = check(["model._target_=pandas.DataFrame"])
    assert problem.startswith("model._target_=pandas.DataFrame: ") and "type allow=[pandas]" in problem
    assert not any("allow=" in each for each in check(["model._target_=pandas.DataFrame", "allow=[pandas]"]))
    assert not any("allow=" in each for each in check(["model._target_=pandas.DataFrame", "allow=pandas"]))


HYDRA_NODES = {
    "callback": {"callbacks": {"x": {"_target_": "os.system"}}},
    "alias": {"callbacks": {"x": {"_target_": "hydra.core.plugins.os.system"}}},
    "function": {"callbacks": {"x": {"_target_": "hydra.utils.call"}}},
    "factory": {"job_logging": {"handlers": {"x": {"()": "os.system", "command": "true"}}}},
    "handler": {"job_logging": {"handlers": {"x": {"class": "subprocess.Popen", "args": "true"}}}},
    "module": {"job_logging": {"handlers": {"x": {"class": "logging.StreamHandler", "stream": "ext://this.s"}}}},
    "environment": {"job": {"env_set": {"RUNNER_ALLOW": "os"}}},
}


def test_a_file_can_neither_allow_itself_nor_use_hydras_own_nodes(tmp_path: Path) -> None:
    folder = tmp_path / "conf" / "experiment"
    folder.mkdir(parents=True)
    (folder / "bold.yaml").write_text("# @package _global_\nallow: [os]\n")
    for name, node in HYDRA_NODES.items():
        cfg = OmegaConf.create({"hydra": node})
        (folder / f"{name}.yaml").write_text(f"# @package _global_\n{OmegaConf.to_yaml(cfg)}")
    found = check(["experiment=bold", "model._target_=os.system"], str(tmp_path / "conf"))
    assert any("os.system is none of these" in each for each in found)
    for name in HYDRA_NODES:
        (problem,) = check([f"experiment={name}"], str(tmp_path / "conf"))
        assert problem.startswith("hydra."), name


def test_the_training_checks_again(tmp_path: Path) -> None:
    cfg = settings("mlp")
    cfg.callbacks.early_stopping = {"_target_": "os.system", "command": f"touch {tmp_path}/ran"}
    with pytest.raises(UserError, match=r"callbacks\.early_stopping\._target_=os\.system"):
        train(cfg, tmp_path / "run")
    assert not (tmp_path / "ran").exists()


def test_a_tokenizer_is_code_too(monkeypatch) -> None:
    for name in ("os.system", "torch.os.system", "torch.hub.load"):
        with pytest.raises(UserError, match=f"data.tokenizer={name}"):
            tokenizer(name)
    assert tokenizer("runner.text.tokenizers.word")("A b") == ["a", "b"]
    safety.allow(["shlex"])
    assert tokenizer("shlex.split")("a b") == ["a", "b"]


# Bundles and checkpoints from someone else.


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str):
        self.command = command

    def __reduce__(self) -> tuple:
        return os.system, (self.command,)


@pytest.fixture
def bundle(trained, tmp_path: Path) -> Path:
    shutil.copytree(trained("mlp") / "model", tmp_path / "model")
    return tmp_path / "model"


def test_a_bundle_may_not_name_what_it_likes(bundle: Path, tmp_path: Path) -> None:
    load_bundle(bundle)
    cfg = OmegaConf.load(bundle / "config.yaml")
    cfg.allow = ["os"]
    cfg.schedule = {"_target_": "os.system", "command": f"touch {tmp_path}/ran"}
    OmegaConf.save(cfg, bundle / "config.yaml")
    with pytest.raises(UserError, match=r"schedule\._target_=os\.system"):
        load_bundle(bundle)
    assert not (tmp_path / "ran").exists()


def test_a_tokenizer_in_a_bundle_is_refused(trained, tmp_path: Path) -> None:
    shutil.copytree(trained("textcnn") / "model", tmp_path / "model")
    file = tmp_path / "model" / "preprocessing.json"
    file.write_text(file.read_text().replace('"tokenizer": "word"', '"tokenizer": "os.system"'))
    _, data, _ = load_bundle(tmp_path / "model")
    with pytest.raises(UserError, match=r"data\.tokenizer=os\.system"):
        data.encode([{"text": f"touch {tmp_path}/ran"}])
    assert not (tmp_path / "ran").exists()


def test_pickled_code_in_estimator_weights_is_refused(trained, tmp_path: Path) -> None:
    shutil.copytree(trained("tfidf_linear") / "model", tmp_path / "model")
    torch.save({"ngrams": Payload(f"touch {tmp_path}/ran")}, tmp_path / "model" / "estimator.pt")
    with pytest.raises(UserError, match="could run code"):
        load_bundle(tmp_path / "model")
    (tmp_path / "model" / "estimator.pt").write_bytes(pickle.dumps(Payload(f"touch {tmp_path}/ran"), protocol=2))
    with pytest.raises(UserError, match="could run code"):
        load_bundle(tmp_path / "model")
    assert not (tmp_path / "ran").exists()


def test_pickled_code_in_a_checkpoint_is_refused(tmp_path: Path, caplog) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for name in ("best.ckpt", "last.ckpt"):
        torch.save({"state_dict": Payload(f"touch {tmp_path}/ran")}, folder / name)
    with pytest.raises(UserError, match=r"best\.ckpt is refused"):
        load_checkpoint(folder / "best.ckpt")
    with pytest.raises(UserError, match=r"no checkpoint in .* can be read"):
        newest_checkpoint(folder)
    assert "last.ckpt is refused" in caplog.text
    assert not (tmp_path / "ran").exists()


def test_a_class_that_has_moved_is_named_in_one_sentence() -> None:
    with pytest.raises(UserError, match=r"^runner.regularise.Regulariser is not in this version of runner. [^\n]*$"):
        safety.guard({"regularise": {"_target_": "runner.regularise.Regulariser"}})


def test_pickled_code_in_net_weights_is_refused(bundle: Path, tmp_path: Path) -> None:
    torch.save({"x": Payload(f"touch {tmp_path}/ran")}, bundle / "weights.safetensors")
    with pytest.raises(UserError, match="not a file of weights"):
        load_bundle(bundle)
    assert not (tmp_path / "ran").exists()


def test_every_choice_of_the_package_is_allowed() -> None:
    """Whatever conf/ names is within the rules."""
    from runner.config.catalog import Catalog, config_path

    catalog = Catalog([config_path()])
    for group in ("model", "data", "task", "optim", "schedule", "trainer", "callbacks"):
        for name in catalog.choices(group):
            for path, target in targets(catalog.node(group, name)):
                assert safety.refusal(target) is None, (group, name, path)
    safety.guard(composed(("model=textcnn",)))
