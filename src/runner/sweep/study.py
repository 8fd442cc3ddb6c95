"""Optuna in a sweep: it suggests the next values and is told the results, nothing more."""

import math
from typing import Any

from runner.errors import UserError
from runner.sweep.space import Dimension, Space
from runner.sweep.state import JobState
from runner.training.trial import make, storage

try:
    import optuna
except ImportError as error:
    raise UserError('sweep=optuna needs Optuna: pip install "runner[sweep]"') from error

optuna.logging.set_verbosity(optuna.logging.WARNING)

DIRECTIONS = {"min": optuna.study.StudyDirection.MINIMIZE, "max": optuna.study.StudyDirection.MAXIMIZE}


class Search:
    """A study and the space it searches. The number of a trial is that of its job.

    Args:
        space: what varies.
        url: the database of the study.
        name: of the study, different from all others in the database.
        directions: "min" or "max" for each objective.
        settings: the node `sweep` of the configuration: sampler, pruner, their options and the seed.
    """

    def __init__(self, space: Space, url: str, name: str, directions: list[str], settings: dict[str, Any]):
        self.space = space
        self.settings = settings
        self.distributions = {dimension.key: distribution(dimension) for dimension in space.dimensions}
        self.pruner = make("Pruner", settings["pruner"], settings["pruner_options"])
        self.study = optuna.create_study(
            study_name=name,
            storage=storage(url),
            directions=[DIRECTIONS[direction] for direction in directions],
            pruner=self.pruner,
            sampler=self.sampler(0),
            load_if_exists=True,
        )

    @property
    def prunes(self) -> bool:
        """Whether jobs may be pruned: Optuna cannot do that with several objectives."""
        return not isinstance(self.pruner, optuna.pruners.NopPruner) and len(self.study.directions) == 1

    def sampler(self, number: int) -> optuna.samplers.BaseSampler:
        """Return the sampler for a trial, seeded by its number, so that a resumed sweep draws the same values."""
        name, options, seed = (self.settings[key] for key in ("sampler", "sampler_options", "seed"))
        return make("Sampler", name, options, seed, number)

    def ask(self) -> tuple[int, int, list[str]]:
        """Return number, id and overrides of the next trial."""
        self.study.sampler = self.sampler(len(self.study.get_trials(deepcopy=False)))
        trial = self.study.ask(self.distributions)
        return trial.number, trial._trial_id, self.overrides(trial.params)

    def overrides(self, params: dict[str, Any]) -> list[str]:
        return self.space.job(str(params[key]) for key in self.space.keys)

    def trials(self) -> dict[int, tuple[int, list[str]]]:
        """Return {number: (id, overrides)} of all trials so far."""
        found = self.study.get_trials(deepcopy=False)
        return {trial.number: (trial._trial_id, self.overrides(trial.params)) for trial in found}

    def tell(self, number: int, status: JobState, values: list[float]) -> None:
        """Report how the job of a trial has ended; only the first report counts.

        Args:
            number: of the trial.
            status: the state of the job.
            values: its metrics; one that is missing or NaN fails the trial.
        """
        if status == JobState.FINISHED and all(map(math.isfinite, values)):
            self.study.tell(number, values, skip_if_finished=True)
        else:
            state = optuna.trial.TrialState.PRUNED if status == JobState.PRUNED else optuna.trial.TrialState.FAIL
            self.study.tell(number, state=state, skip_if_finished=True)

    def about(self, trial_id: int, url: str, metric: str) -> dict[str, Any]:
        """What the process of a job needs to ask Optuna whether the job is hopeless, JSON-able."""
        pruner = {"name": self.settings["pruner"], "options": self.settings["pruner_options"]}
        return {"storage": url, "study": self.study.study_name, "trial": trial_id, "metric": metric, "pruner": pruner}


def distribution(dimension: Dimension) -> optuna.distributions.BaseDistribution:
    """Return Optuna's distribution for a dimension; choices are given as the text typed, so that lists work."""
    if dimension.values and dimension.step is None:
        return optuna.distributions.CategoricalDistribution(dimension.values)
    if dimension.step is not None and dimension.log and dimension.step != 1:
        raise UserError(f"{dimension.key}: a logarithmic range has steps of 1; write an interval, or choice(...)")
    if dimension.whole:
        step = int(dimension.step or 1)
        return optuna.distributions.IntDistribution(int(dimension.low), int(dimension.high), dimension.log, step)
    return optuna.distributions.FloatDistribution(dimension.low, dimension.high, dimension.log, dimension.step)
