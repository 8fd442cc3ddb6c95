"""The figures of a sweep: which ones are drawn."""

from runner.sweep.plots import bars, sweep_figures
from runner.sweep.state import Job, JobState, SweepState


def test_each_sweep_has_the_figures_that_show_it(repeated):
    assert sorted(sweep_figures(repeated)) == ["parallel_coordinates", "repetitions"]
    few = SweepState(repeated.folder, keys=["model"], metrics=["val/accuracy"], directions=["max"])
    assert sweep_figures(few) == {}
    few.jobs = {0: Job(["model=a_b"], JobState.FINISHED, values={"val/accuracy": 0.5})}
    (figure,) = sweep_figures(few).values()
    assert few.name in figure.get_suptitle()


def test_bars_begin_at_zero_or_say_that_they_do_not():
    whole, cut = bars(["a", "b"], [0.2, 0.8], "val/loss"), bars(["a", "b"], [0.71, 0.72], "val/accuracy")
    assert whole.axes[0].get_xlim()[0] == 0 and whole.axes[0].get_xlabel() == "val/loss"
    assert cut.axes[0].get_xlim()[0] > 0.7
    assert cut.axes[0].get_xlabel() == "val/accuracy, the axis does not begin at 0"
