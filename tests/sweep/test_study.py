"""Optuna in a sweep: what it is asked and told, and that a resumed study continues as if never stopped."""

import json
import math

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from runner.sweep.space import read_space
from runner.sweep.state import JobState
from runner.sweep.study import Search
from runner.training import trial

TYPED = ("optim.lr=tag(log,interval(1e-4,1))", "model.sizes=choice([3,4],[5])", "seed=range(1,9)", "x=interval(0,1)")


@pytest.fixture
def search(tmp_path):
    def make(*typed: str, directions=("max",), **settings):
        usual = {"sampler": "tpe", "sampler_options": {}, "pruner": "median", "pruner_options": {}, "seed": 0}
        url = f"sqlite:///{tmp_path / settings.pop('file', 'optuna.db')}"
        space = read_space(list(typed), {}, OverridesParser.create())
        return Search(space, url, "name", list(directions), usual | settings)

    return make


def test_optuna_continues_as_if_it_had_never_stopped(search):
    def work(sweep, number):
        asked, _, overrides = sweep.ask()
        assert asked == number and len(overrides) == 4
        sweep.tell(number, JobState.FINISHED, [1.0 / (1 + number)])
        return overrides

    whole = search(*TYPED, file="a.db", sampler_options={"n_startup_trials": 3})
    expected = [work(whole, number) for number in range(6)]
    found = []
    for number in range(6):  # another process each time
        found.append(work(search(*TYPED, file="b.db", sampler_options={"n_startup_trials": 3}), number))
    assert found == expected
    assert [overrides for _, overrides in search(*TYPED, file="b.db").trials().values()] == expected


@pytest.mark.parametrize("sampler", ["random", "TPESampler", "qmc", "nsgaii", "bruteforce"])
def test_samplers_by_name(search, sampler):
    sweep = search("model=a,b", "seed=1,2,3", sampler=sampler)
    assert sweep.ask()[0] == 0 and sweep.ask()[0] == 1


def test_a_hopeless_trial_is_seen_and_told(search):
    sweep = search("x=interval(0,1)", pruner_options={"n_startup_trials": 2})
    for value in (0.8, 0.9, 0.1):
        number, trial_id, _ = sweep.ask()
        about = json.loads(json.dumps(sweep.about(trial_id, str(sweep.study._storage._backend.url), "val/accuracy")))
        running = trial.RunningTrial(about)
        assert running.open
        hopeless = [running.is_hopeless(step, value) for step in (0, 1)]
        assert running.is_hopeless(0, 5.0) == hopeless[0]  # a resumed job reports a step again
        sweep.tell(number, JobState.PRUNED if hopeless[1] else JobState.FINISHED, [value])
        assert not running.open
        assert hopeless[1] == (value == 0.1)
    sweep.tell(number, JobState.FINISHED, [1.0])  # a second answer changes nothing
    assert [trial.state.name for trial in sweep.study.trials] == ["COMPLETE", "COMPLETE", "PRUNED"]


def test_values_that_are_not_numbers_fail_the_trial(search):
    sweep = search("x=interval(0,1)", directions=("max", "min"))
    assert not sweep.prunes
    for values in ([math.nan, 1.0], [0.5, 1.0]):
        sweep.tell(sweep.ask()[0], JobState.FINISHED, values)
    assert [trial.state.name for trial in sweep.study.trials] == ["FAIL", "COMPLETE"]
