"""The command as a user types it: in an empty folder, in a separate process."""

import contextlib
import io
import itertools
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from recorded_runs import inside

from runner import cli

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "pytorch_lightning", "lightning", "mlflow", "sklearn", "pandas", "matplotlib")
TINY = ["model=mlp", "data=iris", "trainer=debug", "tracking.system_metrics=false", "tracking.model=false"]


def start(folder: Path, *words: str, **options) -> subprocess.Popen:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RUNNER_DEBUG")}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "200"}
    return subprocess.Popen(
        [sys.executable, "-m", "runner.cli", *words], cwd=folder, env=environment, text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )  # fmt: skip


def run(folder: Path, *words: str, code: int = 0, **options) -> tuple[str, str]:
    """Output and errors of a command that ends with this exit code."""
    process = start(folder, *words, **options)
    out, err = process.communicate(timeout=180)
    assert process.returncode == code, f"exit code {process.returncode}\n{out}\n{err}"
    return out, err


def rows(folder: Path, query: str) -> list[tuple]:
    with sqlite3.connect(folder / "outputs" / "mlflow.db") as database:
        found = database.execute(query).fetchall()
    database.close()
    return found


def run_folders(folder: Path) -> list[Path]:
    return [path.parent for path in sorted(folder.glob("outputs/**/run_id"))]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A folder in which the main command has been run; with what it printed."""
    folder = tmp_path_factory.mktemp("home")
    return folder, *run(folder, "model=textcnn", "data=movie_reviews", "trainer=debug", "model.num_filters=4")


# The main command.


def test_the_main_command_ends_with_a_table_and_where_everything_lies(home):
    folder, out, err = home
    (place,) = run_folders(folder)
    metrics = json.loads((place / "metrics.json").read_text())
    assert f"run:    {metrics['run_id']}" in out and f"folder: {place}" in out
    (row,) = [line for line in out.splitlines() if line.startswith("│ accuracy ")]
    assert row.split()[3::2] == [f"{metrics['val/accuracy']:.4f}", f"{metrics['test/accuracy']:.4f}"]
    assert "Warning" not in err and "Traceback" not in err


def test_a_run_says_at_once_that_it_starts(home):
    _, out, _ = home
    first = out.splitlines()[0]
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO Starting model=textcnn data=movie_reviews trainer=debug .*", first)


def test_a_terminal_shows_what_takes_time(tmp_path):
    ours, theirs = os.openpty()
    out, _ = run(tmp_path, *TINY, stderr=theirs)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # as the end of a terminal is reported
        while part := os.read(ours, 1 << 16):
            shown += part
    os.close(ours)
    assert "Starting" in out and b"importing torch and Lightning ... " in shown
    assert shown.endswith(b"\r\x1b[2K"), "the line is erased at the end"


def test_the_main_command_leaves_a_finished_run(home):
    folder, _, _ = home
    assert rows(folder, "SELECT status FROM runs") == [("FINISHED",)]
    (place,) = run_folders(folder)
    names = {path.name for path in place.iterdir()}
    assert {"metrics.json", "config.yaml", "overrides.yaml", "runner.log", "checkpoints", "figures", "model"} <= names
    assert place.parent.name == "textcnn-movie_reviews"
    assert "epoch 2/2" in (place / "runner.log").read_text()
    assert json.loads((place / "metrics.json").read_text())["run_id"] == (place / "run_id").read_text().strip()


def test_the_folder_holds_nothing_but_outputs(home):
    assert [path.name for path in home[0].iterdir()] == ["outputs"]


# The verbs that use a run; in this process, since nothing depends on a separate process.


def verb(capsys, *words: str) -> str:
    capsys.readouterr()
    assert cli.run_verb(list(words)) == 0
    return capsys.readouterr().out


def test_predict_answers_a_text(home, monkeypatch, capsys):
    monkeypatch.chdir(home[0])
    out = verb(capsys, "predict", "run=last", "text=an utterly charming film")
    answer = dict(line.split(": ") for line in out.splitlines())
    probabilities = {name: float(value) for name, value in answer.items() if name.startswith("probability_")}
    assert len(probabilities) == 2 and sum(probabilities.values()) == pytest.approx(1, abs=2e-4)
    assert answer["label"] == max(probabilities, key=probabilities.get).removeprefix("probability_")


def test_predict_answers_standard_input(home, monkeypatch, capsys):
    monkeypatch.chdir(home[0])
    monkeypatch.setattr(sys, "stdin", io.StringIO('a dull film\n{"text": "a dull film"}\n\n{not json\n'))
    answers = [json.loads(line) for line in verb(capsys, "predict", "run=last").splitlines()]
    assert len(answers) == 3 and answers[0] == pytest.approx(answers[1])
    assert set(answers[2]) == set(answers[0])


def test_predict_writes_files(home, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(home[0])
    (tmp_path / "reviews.csv").write_text('text\n"fine, really"\ndull\n')
    verb(capsys, "predict", "run=last", f"input={tmp_path / 'reviews.csv'}", f"output={tmp_path / 'answers.csv'}")
    lines = (tmp_path / "answers.csv").read_text().splitlines()
    assert lines[0].startswith("label,probability_") and len(lines) == 3


@pytest.mark.parametrize("split", ["test", "val"])
def test_evaluate_repeats_the_metrics_exactly(home, monkeypatch, capsys, split):
    monkeypatch.chdir(home[0])
    (place,) = run_folders(home[0])
    verb(capsys, "evaluate", "run=last", f"split={split}")
    again = json.loads((place / f"evaluate_{split}.json").read_text())
    (place / f"evaluate_{split}.json").unlink()
    first = json.loads((place / "metrics.json").read_text())
    assert again == {name: value for name, value in first.items() if name.startswith(f"{split}/")}


def test_evaluate_notices_other_weights(recorded, tmp_path, monkeypatch, capsys):
    """A copy of a run, whose net is replaced by one that has learned nothing."""
    import shutil

    from safetensors.torch import load_file, save_file

    folder, _ = recorded
    shutil.copytree(folder / "outputs" / "iris" / "run", tmp_path / "copy")
    weights = tmp_path / "copy" / "model" / "weights.safetensors"
    save_file({name: value * 0 for name, value in load_file(weights).items()}, weights)
    with inside(folder):
        assert cli.run_verb(["evaluate", f"run={tmp_path / 'copy'}"]) == 1
    assert "different from what the run wrote: test/" in capsys.readouterr().out


# Looking around.


def test_list_and_show(capsys):
    out = verb(capsys, "list", "models")
    assert re.search(r"textcnn\s.*Kim 2014", out) and "movie_reviews" in out
    assert "textcnn" in json.dumps(json.loads(verb(capsys, "list", "models", "format=json")))
    out = verb(capsys, "show", "textcnn")
    assert "runner model=textcnn data=movie_reviews" in out and "num_filters" in out and "Kim" in out


IMPORTS = """
import contextlib, io, os, sys
sys.argv = ["runner", *{words}]
from runner.cli import main
out = io.StringIO()
with contextlib.redirect_stdout(out):
    try:
        main()
    except SystemExit as ended:
        code = ended.code or 0
print(code, sorted(set({heavy}) & set(sys.modules)))
print(out.getvalue())
"""


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (["--help"], ["runner [VERB] [key=value ...]", "predict run=ID", "movie_reviews", "--multirun", "textcnn"]),
        (["list"], ["textcnn", "movie_reviews", "adam"]),
        (["show", "mlp"], ["hidden_dims"]),
        (["predict", "--help"], ["runner predict run=ID|last text="]),
        (["--cfg", "job", "model=mlp"], ["hidden_dims", "seed: 1", "data:"]),
        (["--info", "defaults", "model=mlp"], ["model/mlp", "data/iris"]),
        (["model=mlp", "--help"], ["hidden_dims"]),
        (["model=mlp", "--cfg", "job", "--package", "model"], ["hidden_dims"]),
        (["model=textcnn", "data=iris", "--cfg", "job"], ["kernel_sizes", "Iris"]),
    ],
    ids=" ".join,
)
def test_looking_imports_nothing_heavy(tmp_path, words, fragments):
    program = IMPORTS.format(words=words, heavy=HEAVY)
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    first, _, out = done.stdout.partition("\n")
    assert first == "0 []", done.stdout + done.stderr
    assert all(fragment in out for fragment in fragments), out
    assert not list(tmp_path.glob("outputs/**/*")), "looking makes nothing"


def test_a_reader_that_leaves_early_is_no_error(tmp_path):
    process = start(tmp_path, "list")
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr.read() == ""
    process.stderr.close()


# Ending early.


def wait_for(folder: Path, text: str, process: subprocess.Popen, seconds: float = 120) -> Path:
    """Wait until the log of the last run holds the text; its folder."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        for log in folder.glob("outputs/*/*/runner.log"):
            if text in log.read_text():
                return log.parent
        time.sleep(0.05)
    process.kill()
    raise AssertionError(f"{text!r} did not come:\n{process.communicate()}")


def test_signals_end_a_run_in_one_line_and_it_goes_on_after_them(tmp_path):
    quick = [*TINY, "trainer.log_every_n_steps=50"]
    endless = start(tmp_path, *quick, "trainer.max_epochs=100000", "callbacks.early_stopping.patience=null")
    place = wait_for(tmp_path, "epoch 3/", endless)
    endless.send_signal(signal.SIGINT)
    out, err = endless.communicate(timeout=60)
    assert endless.returncode == 130, out + err
    assert err.strip() == "runner: stopped by SIGINT; continue with: runner resume=last"
    assert rows(tmp_path, "SELECT status FROM runs") == [("KILLED",)]
    assert not (place / "metrics.json").exists() and (place / "checkpoints" / "last.ckpt").exists()

    (place / "runner.log").rename(tmp_path / "first.log")
    again = start(tmp_path, "resume=last", "trainer.max_epochs=99999")
    assert wait_for(tmp_path, "/99999", again) == place
    again.send_signal(signal.SIGTERM)
    out, err = again.communicate(timeout=60)
    assert again.returncode == 143 and "stopped by SIGTERM" in err, out + err
    assert rows(tmp_path, "SELECT status FROM runs") == [("KILLED",)]

    epochs = max(int(found) for found in re.findall(r"epoch (\d+)/", (place / "runner.log").read_text()))
    _, err = run(tmp_path, "resume=last", "trainer.max_epochs=1", code=2)
    assert "epochs already; give it more epochs: trainer.max_epochs=" in err and "Traceback" not in err
    assert rows(tmp_path, "SELECT status FROM runs") == [("KILLED",)], "refused before anything was marked"
    assert not rows(tmp_path, "SELECT value FROM tags WHERE key = 'runner.error' AND value LIKE '%epochs already%'")
    assert "trainer.max_epochs=1" not in (place / "overrides.yaml").read_text().split()
    run(tmp_path, "resume=last", f"trainer.max_epochs={epochs + 3}")
    assert rows(tmp_path, "SELECT status FROM runs") == [("FINISHED",)], "the same run, finished"
    assert json.loads((place / "metrics.json").read_text())["run_id"] == (place / "run_id").read_text().strip()
    steps = [step for (step,) in rows(tmp_path, "SELECT step FROM metrics WHERE key = 'val/loss' ORDER BY step")]
    assert len(steps) == len(set(steps)) and len({b - a for a, b in itertools.pairwise(steps)}) == 1


# Code of the user.


def test_an_error_in_the_users_own_class_shows_its_place(tmp_path):
    (tmp_path / "mine.py").write_text(
        textwrap.dedent("""
        from torch import nn

        class Broken(nn.Module):
            def __init__(self, in_features: int, num_outputs: int):
                super().__init__()
                self.layer = nn.Linear(in_features, num_outputs)

            def forward(self, x):
                return self.layer(x) + 1 // len([])
        """)
    )
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "mine.yaml").write_text(
        "# Mine.\n_target_: mine.Broken\nin_features: ${data.in_features}\nnum_outputs: ${task.num_outputs}\n"
    )
    _, err = run(tmp_path, "--config-dir", "conf", *TINY[1:], "model=mine", code=1)
    assert "Traceback" in err and f'{tmp_path / "mine.py"}", line 10, in forward' in err
    assert "ZeroDivisionError" in err.splitlines()[-1]
    assert rows(tmp_path, "SELECT status FROM runs") == [("FAILED",)]
    ((told,),) = rows(tmp_path, "SELECT value FROM tags WHERE key = 'runner.error'")
    assert "division" in told and "mine.py" in told
    assert not list(tmp_path.glob("outputs/**/metrics.json"))
