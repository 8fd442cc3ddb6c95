"""What a configuration may run: a dotted path in it (`_target_`, a tokenizer) is code, and files come from anywhere.

Allowed without asking are the models, datasets, objectives and so on of runner, classes of torch (nn, optim,
distributions), Lightning, torchmetrics and scikit-learn, and the user's own code: modules in the current folder and
next to a `--config-dir`. Everything else has to be allowed by the user, `allow=[my.package]` on the command line or
RUNNER_ALLOW=my.package in the environment. A value of `allow` in a file does not count.

There is one judge, `refusal`, for what is typed and what is stored. It reads source files and imports nothing. Only
where something is defined counts: a module that another one has imported (`torch.nn.functional.torch`) leads nowhere.
"""

import importlib.util
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from omegaconf import DictConfig

from runner.config.nodes import as_dict, targets
from runner.config.signatures import Signature, find
from runner.config.source import TargetError, module_named
from runner.errors import UserError

# Modules whose classes may be named. All of torch, or of runner, would be too much: parts of them start processes or
# load pickles.
OWN = ("augment", "datamodules", "inference.language_model", "models", "optim", "tasks", "text.vectors",
       "training.baselines", "training.callbacks", "training.checkpoint", "training.lightning",
       "training.sharding", "training.watch")  # fmt: skip
CLASSES = (
    *(f"runner.{part}" for part in OWN), "torch.nn", "torch.optim", "torch.distributions", "torchmetrics",
    *(f"{lightning}.{part}" for lightning in ("pytorch_lightning", "lightning.pytorch")
      for part in ("trainer", "callbacks", "profilers", "strategies", "plugins", "accelerators")),
    # not pipeline and cluster: their `memory` is a folder of pickles
    *(f"sklearn.{part}" for part in (
        "calibration", "compose", "decomposition", "discriminant_analysis", "dummy", "ensemble", "feature_extraction",
        "feature_selection", "gaussian_process", "impute", "isotonic", "kernel_approximation", "kernel_ridge",
        "linear_model", "multiclass", "naive_bayes", "neighbors", "neural_network", "preprocessing",
        "random_projection", "svm", "tree")),
)  # fmt: skip
# Modules whose own functions may be named. Elsewhere functions are refused: torch.hub.load runs code from the internet.
FUNCTIONS = (
    "runner.optim.schedules",
    "runner.tasks.losses",
    "torch.nn.functional",
    "torch.nn.init",
    "torchmetrics.functional",
)
ROOTS = {name.split(".")[0] for name in CLASSES}
TOKENIZERS = ("runner.text.tokenizers",)  # the same, for functions that are called on texts
HYDRA = ("hydra", "hydra_plugins", "logging", "colorlog")  # whose classes Hydra's own nodes may name
ALLOW, CODE = "RUNNER_ALLOW", "RUNNER_CODE"  # environment variables, so that processes started from here know them too


def allow(names: str | Iterable[str] | None) -> None:
    """Let configurations name what is in these packages, in this process and those it starts.

    Args:
        names: packages or modules; as one text they are typed as on the command line, `[a,b]` or `a`.
    """
    names = names.strip("[]").split(",") if isinstance(names, str) else list(names or [])
    os.environ[ALLOW] = os.pathsep.join(dict.fromkeys([*allowed(), *(str(name).strip() for name in names)]))


def allowed() -> list[str]:
    """Return the packages the user has allowed."""
    return [name for name in os.environ.get(ALLOW, "").replace(",", os.pathsep).split(os.pathsep) if name]


def own_folder(folder: Path) -> None:
    """Treat the modules directly in `folder` as the user's own, also in the processes started from here."""
    folders = [*filter(None, os.environ.get(CODE, "").split(os.pathsep)), str(Path(folder).resolve())]
    os.environ[CODE] = os.pathsep.join(dict.fromkeys(folders))


def own_module(root: str, folders: Iterable[Path] = ()) -> Path | None:
    """Return the file or folder of a top-level module that is the user's own, or None if it is not.

    Args:
        root: its name.
        folders: more folders that hold the user's own code.
    """
    try:
        spec = importlib.util.find_spec(root)
    except (ImportError, ValueError):
        return None
    found = spec and (next(iter(spec.submodule_search_locations or []), None) or (spec.has_location and spec.origin))
    if not found:  # absent, or built into Python
        return None
    place = Path(found).resolve()
    own = {Path.cwd().resolve(), *(Path(name) for name in os.environ.get(CODE, "").split(os.pathsep) if name)}
    return place if place.parent in own | {Path(folder).resolve() for folder in folders} else None


def refusal(
    target: str,
    names: Iterable[str] = (),
    functions: tuple[str, ...] = FUNCTIONS,
    folders: Iterable[Path] = (),
    classes: tuple[str, ...] = CLASSES,
) -> str | None:
    """Return why a configuration may not name `target`, or None if it may. Nothing is imported.

    Args:
        target: a dotted path that exists.
        names: packages that are allowed in addition to those of `allowed()`.
        functions: modules whose functions may be named.
        folders: more folders that hold the user's own code.
        classes: modules whose classes may be named.

    Raises:
        TargetError: the path leads nowhere.
    """
    found = find(target)
    is_known = _is_known(found, functions, classes)
    return None if is_known or _is_free(found, (*allowed(), *names), folders) else _text(target)


def guard(cfg: DictConfig | dict) -> None:
    """Refuse a configuration that names anything but the allowed classes and functions.

    Raises:
        UserError: saying what it names and what to type if the user trusts it.
    """
    for path, target in targets(as_dict(cfg, resolve=True) if isinstance(cfg, DictConfig) else cfg):
        if not isinstance(target, str):
            raise UserError(f"{path}._target_ is the dotted path of a class, received {target!r}")
        try:
            problem = refusal(target)
        except TargetError as error:
            if target.startswith("runner."):
                raise UserError(
                    f"{target} is not in this version of runner. Use the version that the run was made with (its tag "
                    "version.runner in MLflow), or train again"
                ) from None
            problem = f"it cannot be imported: {error}"
        if problem:
            raise UserError(f"{path}._target_={target}: {problem}")


def check_function(key: str, target: str, functions: tuple[str, ...] = TOKENIZERS) -> None:
    """Refuse a function unless it is in one of the modules `functions`, or is the user's own or allowed.

    Raises:
        UserError: saying what to type if the user trusts it.
    """
    try:
        problem = refusal(target, functions=functions)
    except TargetError as error:
        raise UserError(f'{key}="{target}" cannot be imported: {error}') from None
    if problem:
        raise UserError(f"{key}={target}: {problem}")


def own_code(cfg: DictConfig) -> list[Path]:
    """Return the user's own modules that a configuration names: a model needs them wherever it goes."""
    roots = {_root(str(target)) for _, target in targets(as_dict(cfg, resolve=True))}
    return [place for root in sorted(roots - ROOTS) if (place := own_module(root)) is not None]


def _is_known(found: Signature, functions: Iterable[str], classes: Iterable[str]) -> bool:
    """Whether it is a class that any configuration may name, or a function of one of these very modules."""
    module = found.target.rpartition(".")[0]
    if _root(module) not in map(_root, (*classes, *functions)) or module_named(module) is None:
        return False  # a method, or what another module has imported
    if any(part.startswith("_") for part in found.target.split(".")):
        return False
    if found.kind == "class":
        return _within(found.module, classes)
    return found.kind != "unknown" and module in functions and _within(found.module, [module])


def _is_free(found: Signature, names: tuple[str, ...], folders: Iterable[Path]) -> bool:
    """Whether the user has allowed it or wrote it, and it is defined there, not only imported."""

    def is_trusted(name: str) -> bool:
        return _within(name, names) or own_module(_root(name), folders) is not None

    if found.target in names:
        return True
    if found.kind == "unknown" and module_named(found.target.rpartition(".")[0]) is None:
        return False  # something inside a value, such as a module that is imported later
    return is_trusted(found.target) and (_root(found.module) == _root(found.target) or is_trusted(found.module))


def _within(name: str, packages: Iterable[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _root(name: str) -> str:
    return name.split(".")[0]


def _text(target: str) -> str:
    start = (
        "a configuration may name models, datasets, objectives and so on of runner, classes of torch (nn, optim, "
        "distributions), Lightning, torchmetrics and scikit-learn, and your own code in this folder; "
        f"{target} is none of these."
    )
    if _root(target) in sys.stdlib_module_names:
        return start
    return f"{start} If you trust it, type allow=[{target if _root(target) in ROOTS else _root(target)}]"
