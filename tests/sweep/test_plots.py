"""The figures of a sweep: which ones are drawn."""

from runner.sweep.plots import sweep_figures
from runner.sweep.state import Job, JobState, SweepState


def test_each_sweep_has_the_figures_that_show_it(repeated):
    assert sorted(sweep_figures(repeated)) == ["parallel_coordinates", "repetitions"]
    few = SweepState(repeated.folder, keys=["model"], metrics=["val/accuracy"], directions=["max"])
    assert sweep_figures(few) == {}
    few.jobs = {0: Job(["model=a_b"], JobState.FINISHED, values={"val/accuracy": 0.5})}
    assert sorted(sweep_figures(few)) == ["jobs"]
