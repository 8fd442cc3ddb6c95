"""Nested cross-validation: in each fold the validation part chooses the setting, the test part judges what was chosen.

The test part of a fold plays no part in choosing, so that the mean over the folds says how good the whole procedure is,
the search included; the best test score of a search is too good.

Source: Sudhir Varma and Richard Simon, Bias in error estimation when using cross-validation for model selection, BMC
Bioinformatics 7, 2006.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from runner.errors import UserError
from runner.sweep.state import JobState, SweepState
from runner.sweep.statistics import Summary, setting_keys, summaries, summarise
from runner.training.resume import key_of

FOLD, FOLDS = "data.fold", "data.folds"
FEWEST = 3  # folds: training, validation and test need a part each


def nested_space(settings: Mapping[str, Any], arguments: Iterable[str]) -> dict[str, str]:
    """Return the space of a sweep, with the folds of `sweep.nested` if that is set.

    Raises:
        UserError: there are too few folds, they are typed as well, or the settings are not the same in each fold.
    """
    folds = settings.get("nested")
    if folds is None:
        return settings["space"]
    if not isinstance(folds, int) or folds < FEWEST:
        raise UserError(f"sweep.nested={folds}: a number of folds, at least {FEWEST}; null = no folds")
    if settings["method"] != "grid":
        raise UserError(
            f"sweep.nested tries every setting in every fold: it is for sweep=grid, not {settings['method']}"
        )
    if typed := [one for one in arguments if key_of(one) in (FOLD, FOLDS)]:
        raise UserError(f"sweep.nested={folds} sets {FOLD} and {FOLDS}: leave {' and '.join(typed)} out")
    return {**settings["space"], f"++{FOLDS}": str(folds), f"++{FOLD}": f"range(0,{folds})"}


def chosen_by_fold(state: SweepState) -> dict[str, tuple[tuple[str, ...], dict[str, float]]]:
    """Return {fold: (the setting with the best mean on validation, its metrics, means over seeds)}.

    It is empty unless several settings were tried in several folds, and it has only complete folds.
    """
    keys = setting_keys(state.keys)
    if FOLD not in state.keys or not keys or not state.metrics or "data" in keys:
        return {}
    tried: dict[str, dict[tuple[str, ...], list]] = {}
    for job in state.jobs_in(JobState.FINISHED).values():
        tried.setdefault(job.value(FOLD), {}).setdefault(tuple(map(job.value, keys)), []).append(job)
    pick = max if state.directions[0] == "max" else min
    most, found = max(map(len, tried.values()), default=0), {}
    for fold, settings in tried.items():
        means = {
            setting: {name: one.mean for name, one in summaries(jobs, jobs[0].values).items()}
            for setting, jobs in settings.items()
        }
        if len(settings) == most > 1 and all(state.metrics[0] in values for values in means.values()):
            best = pick(means, key=lambda setting: means[setting][state.metrics[0]])
            found[fold] = (best, means[best])
    return found if len(found) > 1 else {}


def nested_scores(state: SweepState, columns: Iterable[str]) -> dict[str, Summary]:
    """Return {metric: mean, deviation and interval over the folds} of what was chosen in each of them."""
    chosen = [values for _, values in chosen_by_fold(state).values()]
    return {name: summarise([one[name] for one in chosen])
            for name in columns if chosen and all(name in one for one in chosen)}  # fmt: skip
