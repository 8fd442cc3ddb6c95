"""The samplers and pruners of Optuna, read from its source: a command is checked before anything is imported."""

from typing import Any

from runner.config.signatures import signature
from runner.config.source import module_named
from runner.errors import closest


def offered(kind: str) -> dict[str, str] | None:
    """Return {short name: class name} of the samplers or pruners ("Sampler", "Pruner"); None without Optuna."""
    module = module_named(f"optuna.{kind.lower()}s")
    return classes(list(module.names), kind) if module else None


def classes(names: list[str], kind: str) -> dict[str, str]:
    """Return {short name: class name} of the names of one kind; "none" is the pruner that never prunes."""
    found = {short_name(name, kind): name for name in names if name.endswith(kind) and not name.startswith("Base")}
    return found | ({"none": found["nop"]} if "nop" in found else {})


def short_name(name: str, kind: str) -> str:
    """Return "successivehalving" for "successive_halving" and "SuccessiveHalvingPruner"."""
    return str(name).lower().replace("_", "").replace("-", "").removesuffix(kind.lower())


def problems(settings: dict[str, Any]) -> list[str]:
    """Return the problems of sampler and pruner in the node `sweep`, as short texts."""
    found = []
    for kind in ("Sampler", "Pruner"):
        key = f"sweep.{kind.lower()}"
        name, options = str(settings.get(kind.lower())), settings.get(f"{kind.lower()}_options") or {}
        short, known = short_name(name, kind), offered(kind)
        if known is None:
            return ['sweep=optuna needs Optuna: pip install "runner[sweep]"']
        if short not in known:
            near = closest(short, known)
            found.append(f"{key}={name}: Optuna has none.{near} Allowed: {', '.join(sorted(known))}.")
            continue
        takes = signature(f"optuna.{kind.lower()}s.{known[short]}")
        for option in options:
            if takes and not takes.open and option not in takes.parameters:
                keys = ", ".join(takes.parameters)
                near = closest(option, takes.parameters)
                found.append(f"{key}_options.{option}: {takes.target} takes no {option}.{near} Its keys: {keys}.")
    return found
