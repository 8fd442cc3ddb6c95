"""How a run ends: what is printed, recorded and returned to the shell."""

import errno

import pytest
from omegaconf import open_dict
from recorded_runs import composed, inside
from records import query
from small_runs import LIMITS, small

from runner.tracking import tracker
from runner.tracking.record import TrackingError
from runner.training import job


@pytest.mark.parametrize(
    ("begun", "then"), [(None, "type the command again"), ("0" * 32, f"type: runner resume={'0' * 32}")]
)
def test_a_full_disk_is_one_sentence_and_says_what_to_type(tmp_path, capsys, begun, then):
    if begun:
        (tmp_path / "run_id").write_text(f"{begun}\n")
    with pytest.raises(SystemExit) as ended, job.ending(tmp_path, multirun=False):
        raise OSError(errno.ENOSPC, "No space left on device")
    told = capsys.readouterr().err
    assert ended.value.code == 2 and told.count("\n") == 1
    assert told.startswith(f"runner: the disk of {tmp_path} is full") and told.endswith(f"Make space, then {then}\n")


class Record:
    """Stands for a record that cannot be completed."""

    def __init__(self):
        self.ended = []

    def finish(self, status: str, error: str | None = None) -> None:
        self.ended.append(status)
        raise TrackingError("the record is incomplete")


def test_what_is_wrong_with_the_record_does_not_hide_the_error_of_the_run(caplog):
    record = Record()
    with pytest.raises(ZeroDivisionError), job.recorded(record):
        1 / 0  # noqa: B018
    assert record.ended == ["FAILED"] and "the record is incomplete" in caplog.text


def test_a_finished_training_is_shown_though_its_record_is_incomplete(tmp_path, monkeypatch, capsys):
    """The disk is full for the record alone; as soon as it is not, the run can be resumed, and the record is whole."""
    broken = (
        "import runpy\nfrom mlflow.tracking import MlflowClient\n"
        "def full(*arguments, **options):\n    raise OSError('database or disk is full')\n"
        "MlflowClient.log_batch = full\nrunpy.run_module('runner.tracking.writer', run_name='__main__')"
    )
    overrides = [*small("mlp"), *LIMITS, "tracking.system_metrics=false", "tracking.model=false"]
    folder = tmp_path / "outputs" / "run"
    folder.mkdir(parents=True)
    whole, cfg = tracker.WRITER, composed(overrides)
    with open_dict(cfg):
        cfg.pop("sweep")
    with inside(tmp_path):
        monkeypatch.setattr(tracker, "WRITER", ("-c", broken))
        with pytest.raises(TrackingError, match=r"is incomplete: database or disk is full.* runner resume=\w{32}$"):
            job.run_recorded(cfg, folder, {"model": "mlp", "data": "iris"}, overrides)
        assert "accuracy" in capsys.readouterr().out and (folder / "metrics.json").exists()
        ((run_id, status),) = query(tmp_path / "outputs", "SELECT run_uuid, status FROM runs")
        assert status == "RUNNING", "not even that could be stored"
        monkeypatch.setattr(tracker, "WRITER", whole)
        cfg.resume = run_id
        job.run_recorded(cfg, folder, {"model": "mlp", "data": "iris"}, overrides)
    assert query(tmp_path / "outputs", "SELECT run_uuid, status FROM runs") == [(run_id, "FINISHED")]
    epochs = query(tmp_path / "outputs", "SELECT step, value FROM metrics WHERE key = 'epoch' ORDER BY step")
    assert epochs == [(5, 1), (10, 2), (15, 3)], "each once"
    doubled = query(tmp_path / "outputs", "SELECT key FROM metrics GROUP BY key, step HAVING COUNT(*) > 1")
    assert doubled == []


def test_the_settings_of_the_model_come_before_the_machinery():
    settings = {"task": 1, "trainer": 2, "resume": None, "data": 3, "seed": 4, "model": 5}
    assert list(job.ordered(settings)) == ["model", "data", "task", "seed", "trainer"]
    assert job.ordered(settings)["trainer"] == 2
