"""The figures of a sweep: which ones are drawn."""

import pytest

from runner.sweep.plots import bars, lines_over, sweep_figures
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


def test_a_number_that_varies_is_an_axis_with_a_line_for_each_other_setting(tmp_path):
    state = SweepState(tmp_path, keys=["data.train_share", "model", "seed"], metrics=["val/loss"], directions=["min"])
    cells = [(share, model, seed) for share in ("0.1", "1") for model in "ab" for seed in "12"]
    for number, (share, model, seed) in enumerate(cells):
        typed = [f"data.train_share={share}", f"model={model}", f"seed={seed}"]
        state.jobs[number] = Job(typed, JobState.FINISHED, values={"val/loss": number / 10})
    figure = sweep_figures(state)["over_data.train_share"]
    assert figure.axes[0].get_xlabel() == "data.train_share" and figure.axes[0].get_xscale() == "log"
    first, second = lines_over(state, "data.train_share").values()
    assert [first[0.1].mean, first[1.0].mean] == pytest.approx([0.05, 0.45])
    assert [second[0.1].mean, second[1.0].mean] == pytest.approx([0.25, 0.65])
    assert lines_over(state, "model") == {} and lines_over(state, "seed") == {}
