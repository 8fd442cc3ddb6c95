"""A sweep that has ended, and two that can be resumed."""

import pytest

from runner.sweep.state import Job, JobState, SweepState


def a_sweep(tmp_path, values: dict[tuple[str, str, str], float | None]) -> SweepState:
    """A sweep over model, data and seed; None = the job failed."""
    jobs = {}
    for number, ((model, data, seed), value) in enumerate(values.items()):
        job = Job([f"model={model}", f"data={data}", f"+seed={seed}"], run_id=f"{number:032x}")
        job.status = JobState.FAILED if value is None else JobState.FINISHED
        job.values = {} if value is None else {"val/accuracy": value, "test/accuracy": value - 0.1}
        jobs[number] = job
    keys = ["model", "data", "seed"]
    return SweepState(tmp_path, keys=keys, total=len(jobs), metrics=["val/accuracy"], directions=["max"], jobs=jobs)


@pytest.fixture
def repeated(tmp_path):
    values = {}
    for model, base in (("textcnn", 0.7), ("lstm", 0.8)):
        for data in ("imdb", "reviews"):
            values |= {(model, data, seed): base + int(seed) / 100 + (data == "imdb") / 10 for seed in "123"}
    return a_sweep(tmp_path, values | {("textcnn", "imdb", "4"): None})


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("first", "second")):
        folder = tmp_path / "outputs/sweeps" / name
        folder.mkdir(parents=True)
        overrides = ["hydra/launcher=joblib", "model=a,b", "sweep.jobs=2", "~experiment"]
        state = SweepState(folder, created=f"2026-01-0{number + 1}", overrides=overrides, parent=f"id{number}")
        state.config_dir = "/somewhere/conf" if name == "second" else None
        state.save()
    return tmp_path / "outputs"
