"""Several sweeps as one: their settings are paired by seed and fold, whatever was typed and whatever is the default."""

from pathlib import Path

import pytest

from runner.errors import UserError
from runner.sweep import together as module
from runner.sweep.state import Job, JobState, SweepState
from runner.sweep.statistics import difference, groups
from runner.sweep.table import difference_table, setting_table
from runner.sweep.together import sweep_called, together
from runner.tracking.find import RunInfo
from runner.verbs.compare import Compare

HEADER = "row,truth,label,error\n"


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch):
    """A finished sweep over seeds, and what the record knows of its jobs: `sweep(name, values, data, typed)`."""
    recorded: dict[str, list[RunInfo]] = {}
    monkeypatch.setattr(module, "runs_with_tag", lambda uri, outputs, name, parent: recorded[parent])
    monkeypatch.chdir(tmp_path)

    def made(name: str, values: dict[str, float], data: str = "imdb", typed: str = "seed") -> SweepState:
        state = SweepState(Path("outputs/sweeps") / name, parent=f"parent of {name}", keys=["seed"])
        state.metrics, state.directions = ["val/accuracy"], ["max"]
        for number, (seed, value) in enumerate(values.items()):
            overrides = [f"model={name}", f"+seed={seed}"] if typed == "seed" else [f"model={name}"]
            state.jobs[number] = Job(overrides, JobState.FINISHED, f"{name}{number}", {"val/accuracy": value})
            rows = state.job_folder(number) / "files" / "test_rows.csv"
            rows.parent.mkdir(parents=True)
            right = [(row * 7 + number) % 10 < 10 * value for row in range(10)]
            rows.write_text(
                HEADER + "".join(f"{n},yes,{'yes' if one else 'no'},{1 - one}\n" for n, one in enumerate(right))
            )
            run = RunInfo(f"{name}{number}", name, None, "FINISHED", params={"seed": seed}, tags={"runner.data": data})
            recorded.setdefault(str(state.parent), []).append(run)
        state.save()
        return state

    return made


def test_settings_of_two_sweeps_are_paired_by_their_seeds(sweep):
    first, second = sweep("lstm", {"1": 0.8, "2": 0.9, "3": 0.7}), sweep("textcnn", {"3": 0.6, "1": 0.6, "4": 0.9})
    found = together([first, second], None, Path("outputs"))
    assert found.keys == ["sweep", "seed"] and len(found.jobs) == 6
    assert [row[:2] for row in setting_table(found, ["val/accuracy"], paper=False).rows] == [
        ["lstm", "3"],
        ["textcnn", "3"],
    ]
    (row,) = difference_table(found, ["val/accuracy"]).rows
    assert row[:2] == ["textcnn", "lstm"] and row[2].startswith("-0.1500 ± ") and row[3] == "0.5000"
    ours, theirs = groups(found).values()
    pairs = difference(theirs, ours, found.keys, "val/accuracy")
    assert pairs is not None and pairs.summary.count == 2  # the seeds 1 and 3
    assert len(row) == 2 + 2 + 2  # and the mean of each test row over the seeds


def test_the_record_knows_the_seed_and_the_data_where_nothing_was_typed(sweep):
    first, second = sweep("lstm", {"1": 0.8}, typed=""), sweep("textcnn", {"1": 0.5, "2": 0.6})
    assert [job.value("seed") for job in together([first, second], None, Path("outputs")).jobs.values()] == [
        "1",
        "1",
        "2",
    ]
    other = sweep("cnn", {"1": 0.9, "2": 0.9}, data="mnist")
    found = together([second, other], None, Path("outputs"))
    assert found.keys == ["sweep", "seed", "data"] and not difference_table(found, ["val/accuracy"]).rows


def test_what_cannot_be_compared_is_refused(sweep):
    first, second = sweep("lstm", {"1": 0.8}), sweep("textcnn", {"1": 0.5})
    with pytest.raises(UserError, match="two or more sweeps of different names can be compared, received lstm"):
        together([first, first], None, Path("outputs"))
    second.directions = ["min"]
    with pytest.raises(
        UserError, match=r"lstm by val/accuracy max; textcnn by val/accuracy min\. .*same sweep\.metric="
    ):
        together([first, second], None, Path("outputs"))
    second.directions, second.jobs[0].run_id = ["max"], "elsewhere"
    with pytest.raises(UserError, match="the record has no run elsewhere, job 0 of the sweep textcnn"):
        together([first, second], None, Path("outputs"))
    assert sweep_called("lstm", Path("outputs")) and not sweep_called("last", Path("outputs"))
    with pytest.raises(UserError, match="compare either runs or sweeps"):
        Compare(runs=("lstm", "a_run"))()
