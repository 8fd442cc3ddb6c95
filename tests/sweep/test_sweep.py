"""The parts of a sweep without a run: spaces, statistics, tables, the best job, the file it goes on from, workers."""

import json
import math
import random
import statistics as standard
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from runner.config import launchers
from runner.config.optuna_names import offered, problems
from runner.errors import UserError
from runner.sweep import study, table, workers
from runner.sweep.objectives import read_objectives
from runner.sweep.plots import draw
from runner.sweep.report import best_jobs, parent_metrics
from runner.sweep.resume import resumed_sweep
from runner.sweep.space import read_space
from runner.sweep.state import Job, SweepState, find_sweep
from runner.sweep.statistics import groups, summarise
from runner.training import trial

ROOT = Path(__file__).parents[2]


def space(*arguments: str, listed: dict[str, str] | None = None):
    return read_space(list(arguments), listed or {}, OverridesParser.create())


# Spaces


def test_a_grid_is_hydras():
    jobs = space("model=a,b", "data=c", "seed=range(1,3)", "sweep.jobs=2", "sweep=grid").grid()
    assert [sorted(job) for job in jobs] == [
        sorted(["data=c", f"model={model}", f"seed={seed}"]) for model in "ab" for seed in (1, 2)
    ]


def test_lists_and_texts_are_chosen_as_typed():
    jobs = space("model.sizes=choice([3,4],[5])", "note='a b','c,d'").grid()
    assert [job for job in jobs] == [
        ["model.sizes=[3,4]", "note='a b'"],
        ["model.sizes=[3,4]", "note='c,d'"],
        ["model.sizes=[5]", "note='a b'"],
        ["model.sizes=[5]", "note='c,d'"],
    ]


def test_what_is_typed_wins_over_the_space_of_a_file():
    found = space("optim.lr=0.5", "+extra=1,2", listed={"optim.lr": "interval(0,1)", "seed": "choice(1,2)"})
    assert found.keys == ["+extra", "seed"] and found.fixed == ("optim.lr=0.5",)


@pytest.mark.parametrize(
    ("typed", "whole", "low", "high"),
    [
        ("x=interval(1,3)", False, 1, 3),
        ("x=int(interval(1,3))", True, 1, 3),
        ("x=tag(log,interval(1e-4,1))", False, 1e-4, 1),
        ("x=tag(log,int(interval(1,100)))", True, 1, 100),
        ("x=range(2,8,2)", True, 2, 6),
    ],
)
def test_random_values_lie_where_they_should(typed, whole, low, high):
    dimension = space(typed).dimensions[0]
    drawn = [dimension.draw(random.Random(number)) for number in range(400)]
    numbers = [float(text) for text in drawn]
    assert low <= min(numbers) and max(numbers) <= high
    assert all(text.isdigit() for text in drawn) == whole
    if whole and high < 10:
        assert set(numbers) == set(range(int(low), int(high) + 1, int(dimension.step or 1)))
    if "log" in typed:
        middle = math.sqrt(low * high)
        assert 0.4 < sum(number < middle for number in numbers) / 400 < 0.6


def test_a_random_job_depends_on_seed_and_number_alone():
    found = space("optim.lr=interval(0,1)", "model=a,b,c")
    first = [found.draw(0, number) for number in range(5)]
    assert first == [found.draw(0, number) for number in range(5)] != [found.draw(1, number) for number in range(5)]
    assert len({str(job) for job in first}) == 5


@pytest.mark.parametrize("typed", ["x=interval(3,1)", "x=tag(log,interval(0,1))", "x=range(3,3)"])
def test_empty_spaces_are_refused(typed):
    with pytest.raises(UserError, match=r"x="):
        space(typed)


def test_a_grid_refuses_intervals():
    with pytest.raises(UserError, match="sweep=random"):
        space("x=interval(0,1)").grid()


# Optuna


@pytest.fixture
def search(tmp_path):
    def make(*typed: str, directions=("max",), **settings):
        usual = {"sampler": "tpe", "sampler_options": {}, "pruner": "median", "pruner_options": {}, "seed": 0}
        url = f"sqlite:///{tmp_path / settings.pop('file', 'optuna.db')}"
        return study.Search(space(*typed), url, "name", list(directions), usual | settings)

    return make


TYPED = ("optim.lr=tag(log,interval(1e-4,1))", "model.sizes=choice([3,4],[5])", "seed=range(1,9)", "x=interval(0,1)")


def test_optuna_goes_on_as_if_it_had_never_stopped(search):
    def work(sweep, number):
        asked, _, overrides = sweep.ask()
        assert asked == number and len(overrides) == 4
        sweep.tell(number, "finished", [1.0 / (1 + number)])
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
        sweep.tell(number, "pruned" if hopeless[1] else "finished", [value])
        assert not running.open
        assert hopeless[1] == (value == 0.1)
    sweep.tell(number, "finished", [1.0])  # a second answer changes nothing
    assert [trial.state.name for trial in sweep.study.trials] == ["COMPLETE", "COMPLETE", "PRUNED"]


def test_values_that_are_no_numbers_fail_the_trial(search):
    sweep = search("x=interval(0,1)", directions=("max", "min"))
    assert not sweep.prunes
    for values in ([math.nan, 1.0], [None, 1.0], [0.5, 1.0]):
        sweep.tell(sweep.ask()[0], "finished", values)
    assert [trial.state.name for trial in sweep.study.trials] == ["FAIL", "FAIL", "COMPLETE"]


def test_the_callback_reports_and_ends_the_run():
    from types import SimpleNamespace

    from runner.training.interrupt import Pruned
    from runner.training.pruning import Prune

    told = []

    class Trial:
        def is_hopeless(self, step, value):
            told.append((step, value))
            return len(told) == 2

    callback = Prune(Trial(), "val/loss")
    trainer = SimpleNamespace(
        state=SimpleNamespace(fn="fit"),
        callback_metrics={"val/loss": 0.5},
        is_global_zero=True,
        strategy=SimpleNamespace(broadcast=lambda value: value),
    )
    callback.on_validation_end(trainer, None)
    callback.load_state_dict(callback.state_dict())
    with pytest.raises(Pruned, match=r"after validation 2 with val/loss 0\.5"):
        callback.on_validation_end(trainer, None)
    trainer.state.fn = "validate"
    callback.on_validation_end(trainer, None)
    assert told == [(0, 0.5), (1, 0.5)]


def test_names_of_optuna_are_known_without_importing_it():
    code = "import sys; from runner.config.optuna_names import offered\n"
    code += "print(len(offered('Sampler')), 'optuna' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT / "src")
    assert int(done.stdout.split()[0]) >= 8 and done.stdout.split()[1] == "False"
    assert {"tpe", "random", "cmaes"} <= set(offered("Sampler")) and {"none", "median"} <= set(offered("Pruner"))
    assert problems({"sampler": "TPESampler", "pruner": "successive_halving"}) == []


# Statistics, tables, the best job


def a_sweep(tmp_path, values: dict[tuple[str, str, str], float | None]) -> SweepState:
    """A sweep over model, data and seed; None = the job failed."""
    jobs = {}
    for number, ((model, data, seed), value) in enumerate(values.items()):
        job = Job([f"model={model}", f"data={data}", f"+seed={seed}"], run_id=f"{number:032x}")
        job.status = "failed" if value is None else "finished"
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


def test_mean_deviation_and_interval_are_the_books():
    values = [0.71, 0.74, 0.69, 0.75, 0.73]
    said = summarise(values)
    assert said.count == 5 and said.mean == pytest.approx(standard.mean(values))
    assert said.std == pytest.approx(standard.stdev(values))
    half = 2.7764451 * standard.stdev(values) / math.sqrt(5)  # Student's t for 4 degrees of freedom
    assert (said.low, said.high) == (pytest.approx(said.mean - half), pytest.approx(said.mean + half))
    assert math.isnan(summarise([0.5]).std) and summarise([0.5]).mean == 0.5


def test_jobs_that_differ_in_seed_and_fold_alone_are_repetitions(repeated):
    found = groups(repeated.jobs, repeated.keys)
    assert found == {
        ("textcnn", "imdb"): [0, 1, 2],
        ("textcnn", "reviews"): [3, 4, 5],
        ("lstm", "imdb"): [6, 7, 8],
        ("lstm", "reviews"): [9, 10, 11],
    }
    assert groups(repeated.jobs, ["model", "data"]) == {}
    folds = {n: Job([f"data.fold={n % 2}", f"seed={n // 2}"], "finished") for n in range(4)}
    assert groups(folds, ["data.fold", "seed"]) == {(): [0, 1, 2, 3]}


def test_the_table_of_a_paper(repeated):
    paper = table.paper_table(repeated, ["test/accuracy"])
    assert paper.header == ["model", "imdb test/accuracy", "reviews test/accuracy"]
    assert paper.rows == [
        ["textcnn", "0.7200 ± 0.0100", "0.6200 ± 0.0100"],
        ["lstm", "0.8200 ± 0.0100", "0.7200 ± 0.0100"],
    ]
    assert paper.bold == {(1, 1), (1, 2)}
    assert "| lstm | **0.8200 ± 0.0100** | **0.7200 ± 0.0100** |" in paper.markdown()
    assert r"lstm & \textbf{0.8200 $\pm$ 0.0100} & \textbf{0.7200 $\pm$ 0.0100} \\" in paper.latex()
    assert r"\begin{tabular}{lrr}" in paper.latex()


def test_every_job_is_in_the_table_and_the_best_is_bold(repeated):
    repeated.best = best_jobs(repeated)
    assert repeated.best == [8]
    shown = table.job_table(repeated, ["val/accuracy", "test/accuracy"])
    assert [row[0] for row in shown.rows] == [str(number) for number in range(13)]
    assert shown.rows[12][1:7] == ["textcnn", "imdb", "4", "", "", "failed"]
    assert {row for row, _ in shown.bold} == {8}
    grouped = table.group_table(repeated, ["val/accuracy"])
    assert grouped.rows[0] == ["textcnn", "imdb", "3", "0.8200 ± 0.0100", "0.7952 to 0.8448"]


def test_files_of_a_sweep(repeated):
    written = table.write_tables(repeated, ["val/accuracy"])
    assert [path.name for path in written] == ["table.md", "table.tex", "jobs.csv"]
    lines = (repeated.folder / "jobs.csv").read_text().splitlines()
    assert lines[0] == "job,status,run_id,model,data,seed,test/accuracy,val/accuracy" and len(lines) == 14
    assert lines[-1] == f"12,failed,{12:032x},textcnn,imdb,4,,"
    assert sorted(draw(repeated)) == ["parallel_coordinates", "repetitions"]
    few = SweepState(repeated.folder, keys=["model"], metrics=["val/accuracy"], directions=["max"])
    assert draw(few) == {}
    few.jobs = {0: Job(["model=a_b"], "finished", values={"val/accuracy": 0.5})}
    assert sorted(draw(few)) == ["jobs"]
    assert r"a\_b & 0.5000" in table.paper_table(few, ["val/accuracy"]).latex()


def test_numbers_of_the_parent_run(repeated):
    repeated.best = best_jobs(repeated)
    numbers = parent_metrics(repeated, ["val/accuracy"])
    assert numbers["best/val/accuracy"] == pytest.approx(0.93)
    assert numbers["model:lstm data:imdb/val/accuracy/mean"] == pytest.approx(0.92)
    assert numbers["model:lstm data:imdb/val/accuracy/n"] == 3
    assert numbers["model:lstm data:imdb/val/accuracy/ci95_low"] == pytest.approx(
        0.92 - 4.3026527 * 0.01 / math.sqrt(3)
    )


@pytest.mark.parametrize(
    ("metric", "direction", "found"),
    [
        (None, None, (["val/loss"], ["min"])),
        ("test/accuracy", None, (["test/accuracy"], ["max"])),
        (["val/accuracy", "val/loss"], None, (["val/accuracy", "val/loss"], ["max", "min"])),
        (["val/f1", "x"], ["max", "min"], (["val/f1", "x"], ["max", "min"])),
    ],
)
def test_whether_more_or_less_is_better(metric, direction, found):
    monitor = ("val/loss", "min") if metric is None else ("val/accuracy", "max")
    assert read_objectives({"metric": metric, "direction": direction}, *monitor) == found


@pytest.mark.parametrize(
    ("metric", "direction", "message"),
    [
        ("val/f1", None, "is more better, or less.*sweep.direction=max"),
        ("val/f1", "up", "one of min and max"),
        (["val/f1", "val/loss"], "max", "for each of val/f1, val/loss"),
    ],
)
def test_a_direction_that_cannot_be_known(metric, direction, message):
    with pytest.raises(UserError, match=message):
        read_objectives({"metric": metric, "direction": direction}, "val/accuracy", "max")


def test_several_objectives_have_several_best(tmp_path):
    points = [(0.7, 1.0), (0.8, 2.0), (0.7, 0.5), (0.6, 3.0), (math.nan, 0.0)]
    jobs = {n: Job([f"x={n}"], "finished", values={"a": a, "b": b}) for n, (a, b) in enumerate(points)}
    state = SweepState(tmp_path, keys=["x"], metrics=["a", "b"], directions=["max", "min"], jobs=jobs)
    state.best = best_jobs(state)
    assert state.best == [1, 2]
    assert "objectives" in draw(state)


# Going on


def test_the_state_survives_writing_and_reading(tmp_path, repeated):
    repeated.save()
    assert SweepState.load(tmp_path) == repeated
    assert not (tmp_path / "sweep.json.part").exists()


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


def test_sweeps_are_found_by_name_folder_id_and_last(outputs):
    assert find_sweep("last", outputs).name == find_sweep("id1", outputs).name == "second"
    assert find_sweep("first", outputs).name == find_sweep(str(outputs / "sweeps/first"), outputs).name == "first"
    with pytest.raises(UserError, match=r'no sweep "firts".*Did you mean "first"'):
        find_sweep("firts", outputs)
    with pytest.raises(UserError, match='no sweep "last"'):
        find_sweep("last", outputs / "nothing")


def test_a_resumed_sweep_is_the_same_command(outputs, tmp_path, monkeypatch):
    found = resumed_sweep(["-m", "resume_sweep=last", "sweep.jobs=4", "--debug"], outputs)
    assert found == [
        "-m",
        "--debug",
        "--config-dir=/somewhere/conf",
        "hydra/launcher=joblib",
        "model=a,b",
        "~experiment",
        "sweep.jobs=4",
        f"hydra.sweep.dir='{outputs / 'sweeps/second'}'",
        "sweep.resume=true",
    ]
    with pytest.raises(UserError, match=r"received model=c\. Only"):
        resumed_sweep(["resume_sweep=first", "model=c"], outputs)
    monkeypatch.chdir(outputs)
    with pytest.raises(UserError, match="go there first"):
        resumed_sweep(["resume_sweep=first"], outputs)


# Workers


def test_each_worker_has_its_share_of_the_machine(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert workers.slots("auto") == 2 and workers.slots(3) == 3
    seen = [workers.worker_environment(slot, 3) for slot in range(3)]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in seen] == ["4", "6", "4"]
    assert all(int(one["OMP_NUM_THREADS"]) >= 1 for one in seen)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert workers.slots("auto") == 1 and workers.gpus() == []
    with pytest.raises(UserError, match=r"sweep\.jobs=0"):
        workers.slots(0)


def test_a_launcher_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(launchers.importlib.util, "find_spec", lambda name: None)
    assert 'pip install "runner[sweep]"' in launchers.problem(["model=mlp", "hydra/launcher=slurm"])
    assert "hydra-ray-launcher" in launchers.problem(["hydra/launcher=ray_cluster"])
    assert launchers.problem(["hydra/launcher=basic"]) is None and launchers.problem(["model=mlp"]) is None


def test_the_plugin_costs_nothing():
    code = """
import sys
from hydra.core.plugins import Plugins
seconds = Plugins.instance().get_stats().modules_import_time["hydra_plugins.runner_sweeper"]
heavy = ("torch", "mlflow", "optuna", "pytorch_lightning", "runner")
print([name for name in sys.modules if name.split(".")[0] in heavy], seconds < 0.05)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT / "src")
    assert done.stdout.strip() == "[] True"
