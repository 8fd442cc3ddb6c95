"""The best few checkpoints: which are kept, that they are what was measured, also after a kill; their mean."""

import json
import math
from pathlib import Path

import pytest
import torch
from small_runs import KillAt, outcome, resumed, settings, stopped

from runner.errors import UserError
from runner.training.ranking import average, chosen, load_checkpoint, ranked, read_ranking
from runner.training.train import train
from runner.verbs.evaluate import on_split

TOP = "callbacks.checkpoint.top_k=2"
FEW = ("trainer.max_epochs=5", "optim.lr=0.3", TOP)  # so large a rate that the loss goes up and down


@pytest.mark.parametrize(("mode", "scores", "best"), [
    ("min", [0.5, 0.7, 0.4, 0.4, 0.3], [5, 3]),
    ("max", [0.5, math.nan, 0.4, 0.9], [4, 1]),
    ("min", [None, None, None], [3, 2]),
    ("min", [math.nan, math.nan], []),
])  # fmt: skip
def test_the_best_first_and_of_equal_ones_the_earlier(mode, scores, best):
    ranking: list[dict] = []
    for epoch, score in enumerate(scores, start=1):
        ranking = ranked(ranking, {"epoch": epoch, "score": score}, mode, 2)
    assert [entry["epoch"] for entry in ranking] == best
    assert ranked(ranking, {"epoch": 9, "score": 0.0}, mode, 1) == []


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("ranked")
    train(settings("mlp", *FEW), folder)
    return folder


def files(folder: Path) -> dict[str, dict]:
    return {path.name: load_checkpoint(path)["state_dict"] for path in folder.glob("checkpoints/epoch-*.ckpt")}


def equal(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_each_place_is_what_was_measured_with_it(run, capsys):
    ranking = read_ranking(run / "checkpoints")
    assert len(ranking) == 2 and ranking[0]["score"] < ranking[1]["score"] == ranking[1]["metrics"]["val/loss"]
    assert files(run).keys() == {f"epoch-{entry['epoch']}.ckpt" for entry in ranking}
    assert equal(chosen(run / "checkpoints", "1")[0], load_checkpoint(run / "checkpoints" / "best.ckpt")["state_dict"])
    for place, entry in enumerate(ranking, start=1):
        assert on_split(run, "val", {}, str(place)) == 0, "equal to what was recorded"
        measured = json.loads((run / f"evaluate_val_{place}.json").read_text())
        assert measured == pytest.approx(entry["metrics"], rel=1e-4)
    assert f"{ranking[1]['score']:.6f}" in capsys.readouterr().out


def test_what_was_not_kept_is_said(run):
    for which in ("3", "0", "best", "averge"):
        with pytest.raises(
            UserError, match=rf"checkpoint={which}: .* has kept no such weights\. Allowed: 1, 2, average\."
        ):
            chosen(run / "checkpoints", which)


def test_the_average_is_the_mean_of_the_files(run):
    one, other = files(run).values()
    mean = chosen(run / "checkpoints", "average")[0]
    for name, value in mean.items():
        torch.testing.assert_close(value, (one[name] + other[name]) / 2)


def test_an_average_that_is_asked_for_is_what_is_used(tmp_path, no_figures):
    train(settings("mlp", *FEW, "callbacks.checkpoint.average=true"), tmp_path / "whole")
    folder = tmp_path / "whole" / "checkpoints"
    mean = average(folder, read_ranking(folder))
    best = load_checkpoint(folder / "best.ckpt")
    assert equal(best["state_dict"], mean["state_dict"]) and len(files(tmp_path / "whole")) == 2
    weights = load_checkpoint(folder / "last.ckpt")["state_dict"]
    assert not equal(weights, mean["state_dict"]), "training itself goes on from its own weights"
    cfg = settings("mlp", *FEW, "callbacks.checkpoint.average=true")
    assert stopped(cfg, tmp_path / "killed", KillAt("on_train_end", 0))
    resumed(cfg, tmp_path / "killed")
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole")


@pytest.mark.parametrize("moment", [("on_train_batch_start", 12), ("on_validation_end", 3), ("on_train_end", 0)])
def test_a_killed_run_keeps_the_same(run, tmp_path, no_figures, moment):
    cfg = settings("mlp", *FEW, "callbacks.checkpoint.every_n_steps=2")
    assert stopped(cfg, tmp_path, KillAt(*moment))
    newest = load_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["epoch"] + 1
    (tmp_path / "checkpoints" / f"epoch-{newest}.ckpt").unlink(missing_ok=True)  # as if killed right before
    resumed(cfg, tmp_path)
    assert read_ranking(tmp_path / "checkpoints") == read_ranking(run / "checkpoints")
    mine, theirs = files(tmp_path), files(run)
    assert mine.keys() == theirs.keys() and all(equal(mine[name], theirs[name]) for name in mine)
    assert outcome(tmp_path) == outcome(run)


def test_one_checkpoint_is_no_ranking(tmp_path, no_figures):
    train(settings("mlp", "trainer.max_epochs=2"), tmp_path)
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt", "previous.ckpt"}
    with pytest.raises(UserError, match=r"Allowed: 1\. .*top_k=3"):
        chosen(tmp_path / "checkpoints", "2")
