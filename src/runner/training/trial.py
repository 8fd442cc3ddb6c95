"""An Optuna trial, as the process of its job sees it."""

import inspect
import warnings
from functools import cache
from typing import Any

from omegaconf import OmegaConf

from runner.config.optuna_names import classes, short_name
from runner.errors import UserError

try:
    import optuna
except ImportError as error:
    raise UserError('sweep=optuna needs Optuna: pip install "runner[sweep]"') from error

SAME_SEED = ("QMCSampler", "GridSampler", "BruteForceSampler")  # one seed gives one sequence for all their trials


class RunningTrial:
    """A trial, as the process of its job sees it.

    Args:
        about: what `runner.sweep.study.Search.about` returned.
    """

    def __init__(self, about: dict[str, Any]):
        self.id = about["trial"]
        self.storage = storage(about["storage"])
        pruner = make("Pruner", about["pruner"]["name"], about["pruner"]["options"])
        self.study = optuna.load_study(study_name=about["study"], storage=self.storage, pruner=pruner)

    @property
    def open(self) -> bool:
        """Whether the sweep is still waiting for the trial."""
        return not self.storage.get_trial(self.id).state.is_finished()

    def is_hopeless(self, step: int, value: float) -> bool:
        """Report the value of a step and say whether the job should end; a step reported before keeps its value."""
        if step not in self.storage.get_trial(self.id).intermediate_values:
            self.storage.set_trial_intermediate_value(self.id, step, value)
        return self.study.pruner.prune(self.study, self.storage.get_trial(self.id))


@cache
def storage(url: str) -> Any:
    """Return the database at a URL, which may be `${oc.env:...}`, opened once in this process."""
    return optuna.storages.get_storage(OmegaConf.create([url])[0])


def make(kind: str, name: str, options: dict[str, Any], seed: int = 0, number: int = 0) -> Any:
    """Return the sampler or pruner of that name ("tpe", "TPESampler", "successive_halving").

    Raises:
        UserError: Optuna has none, or it does not accept these options.
    """
    module = optuna.samplers if kind == "Sampler" else optuna.pruners
    found = classes(module.__all__, kind).get(short_name(name, kind))
    if found is None:
        raise UserError(f"sweep.{kind.lower()}={name}: Optuna has none")
    maker = getattr(module, found)
    options = dict(options)
    if "seed" in inspect.signature(maker).parameters:
        options.setdefault("seed", seed if found in SAME_SEED else seed * 100_003 + number)
    try:
        with warnings.catch_warnings():  # half of what Optuna offers is marked as experimental
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return maker(**options)
    except (TypeError, ValueError) as error:
        raise UserError(f"sweep.{kind.lower()}_options={options}: {found} does not accept them: {error}") from error
