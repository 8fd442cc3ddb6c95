"""Weights of another run in another net, and frozen weights."""

import logging
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf
from pytorch_lightning import Callback
from recorded_runs import composed, inside
from safetensors.torch import load_file, save_file
from small_runs import LIMITS, KillAt, Points, outcome, resumed, settings, small, stopped
from torch import nn

from runner.build import build_task
from runner.errors import UserError
from runner.tracking.find import find_run
from runner.training.callbacks import KeepStatistics, Unfreeze
from runner.training.job import run_recorded
from runner.training.train import train
from runner.training.warm_start import first_epochs, freeze, lasting_name, take, warm_start


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    """The folder of a finished run of a textcnn on two classes of movie reviews."""
    folder = tmp_path_factory.mktemp("parent")
    train(settings("textcnn"), folder)
    return folder


def weights(folder):
    return load_file(folder / "model" / "weights.safetensors")


def with_three_classes(folder, *overrides: str):
    """The same net on data of three classes: another head."""
    words = {"good": "fine", "bad": "dull", "fair": "some"}
    lines = [f"a {words[n]} film number {i},{n}" for i in range(30) for n in words]
    (folder / "reviews.csv").write_text("\n".join(["text,stars", *lines]), encoding="utf-8")
    data = ["data=csv", f"data.path={folder / 'reviews.csv'}", "data.text=text", "data.label=stars"]
    return composed([*small("textcnn"), *LIMITS, *data, "data.vocab_size=10000", *overrides])


def test_the_trunk_of_a_run_in_a_net_with_another_head(parent, tmp_path, no_figures, caplog):
    cfg = with_three_classes(tmp_path, f"init_from={parent}", "optim.lr=0", "freeze=[embedding.*,convolutions]")
    with caplog.at_level(logging.INFO):
        train(cfg, tmp_path)
    before, after = weights(parent), weights(tmp_path)
    same = {name for name in before if before[name].shape == after[name].shape}
    assert same and same < set(before), "the head differs, the rest does not"
    assert all(torch.equal(before[name], after[name]) for name in same)
    assert f"{len(same)} taken, 2 new, 0 unused" in caplog.text


def test_a_resumed_run_does_not_begin_again(parent, tmp_path, no_figures):
    """Not even if the other run is gone."""
    whole, other, moved = tmp_path / "whole", tmp_path / "stopped", tmp_path / "moved"
    moved.symlink_to(parent)
    other.mkdir()
    cfg = with_three_classes(
        tmp_path, f"init_from={moved}", "freeze=[embedding]", "callbacks.checkpoint.every_n_steps=1"
    )
    train(cfg, whole)
    assert stopped(cfg, other, KillAt("on_train_batch_start", 7), Points())
    moved.unlink()
    resumed(cfg, other)
    assert outcome(other) == outcome(whole)
    assert torch.equal(weights(whole)["embedding.weight"], weights(parent)["embedding.weight"])
    changed = [name for name, value in weights(whole).items() if name != "embedding.weight"]
    start = build_task(cfg).net.state_dict()
    assert all(not torch.equal(weights(whole)[name], start[name]) for name in changed), "the rest learns"


def test_weights_of_another_kind_of_net_are_refused(parent, tmp_path):
    with pytest.raises(UserError, match="no weight of that run has the name and the shape of one of MLP"):
        train(settings("mlp", f"init_from={parent}"), tmp_path)
    with pytest.raises(UserError, match="fits without training steps"):
        train(settings("tfidf_linear", f"init_from={parent}"), tmp_path)


def test_other_words_are_told(parent, tmp_path, no_figures, caplog):
    cfg = settings("textcnn", f"init_from={parent}", "data.fold=1")
    train(cfg, tmp_path)
    assert "encodes its inputs in another way" in caplog.text


def test_a_damaged_file_is_a_sentence(tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"half of")
    task = build_task(settings("mlp"))
    with pytest.raises(UserError, match="damaged"):
        warm_start(str(tmp_path), task, None, None, tmp_path)


def test_a_weight_with_two_names_is_stored_under_one(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.output = nn.Embedding(5, 3), nn.Linear(3, 5)
            self.output.weight = self.embedding.weight

    net = Tied()
    rows = take(net, {"embedding.weight": torch.ones(5, 3), "old.weight": torch.ones(2), "output.bias": torch.ones(4)})
    assert {(name, what) for name, _, _, what in rows} == {
        ("embedding.weight", "taken"),
        ("output.weight", "taken"),
        ("output.bias", "new"),
        ("old.weight", "unused"),
    }
    assert net.output.weight.sum() == 15


def test_the_parent_is_recorded_and_found_by_its_name(parent, tmp_path):
    with inside(tmp_path):
        choices, outputs = {"model": "mlp", "data": "iris"}, tmp_path / "outputs"
        for name in ("first", "second"):
            (outputs / name).mkdir(parents=True)
        cfg = settings("mlp", "tracking.model=false")
        first = run_recorded(cfg, outputs / "first", choices, [])["run_id"]
        assert lasting_name("last", None, outputs, one_of_many=False) == first
        assert lasting_name(first[:8], None, outputs, one_of_many=True) == first
        assert lasting_name(str(parent), None, outputs, one_of_many=True) == str(parent.resolve())
        with pytest.raises(UserError, match="type the id"):
            lasting_name("last", None, outputs, one_of_many=True)
        OmegaConf.update(cfg, "init_from", first)
        second = run_recorded(cfg, outputs / "second", choices, [])["run_id"]
        found = find_run(None, outputs, second)
    assert found.tags["runner.init_from"] == first and found.params["init_from"] == first


# Frozen parameters.


@pytest.mark.parametrize(
    ("pattern", "near"), [("embeding.weight", 'Did you mean "embedding.weight"'), ("x", "Its parameters: embedding")]
)
def test_a_pattern_that_matches_nothing(pattern, near):
    with pytest.raises(UserError, match=near):
        freeze(build_task(settings("textcnn")), [pattern])


def test_everything_frozen_is_told(tmp_path):
    with pytest.raises(UserError, match="nothing to train"):
        train(settings("mlp", "freeze=['*']"), tmp_path)


def test_frozen_normalisation_keeps_its_statistics_and_dropout_its_mode():
    task = build_task(settings("mlp"))
    task.net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.BatchNorm1d(4))
    layers = freeze(task, ["0", "1.*"])
    assert layers == [task.net[1]]
    KeepStatistics(layers).on_train_start(None, task)
    before = {name: value.clone() for name, value in task.net.state_dict().items()}
    task.net(torch.randn(8, 4)).sum().backward()
    after = task.net.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"3.running_mean", "3.running_var", "3.num_batches_tracked"}
    assert task.net[2].training and task.net[0].weight.grad is None and task.net[3].weight.grad is not None


def test_copies_of_a_net_are_all_meant(tmp_path):
    task = build_task(settings("mlp"))
    nets = [nn.Linear(2, 2), nn.Linear(2, 2)]
    task.trained = lambda: nets
    freeze(task, ["weight"])
    assert not any(net.weight.requires_grad for net in nets) and all(net.bias.requires_grad for net in nets)
    save_file({"weight": torch.ones(2, 2)}, tmp_path / "weights.safetensors")
    warm_start(str(tmp_path), task, type("Data", (), {"state": lambda self: {}})(), None, tmp_path)
    assert all(net.weight.sum() == 4 for net in nets)


# Parameters that learn later.


def test_layers_begin_to_learn_one_after_the_other(tmp_path, no_figures, caplog):
    class Keep(Callback):
        def __init__(self):
            self.seen: list[dict] = []

        def on_train_epoch_end(self, trainer, module) -> None:
            self.seen.append({name: value.clone() for name, value in module.net.state_dict().items()})

    keep, cfg = Keep(), settings("textcnn", "unfreeze={convolutions:2,embedding:3}")
    with caplog.at_level(logging.INFO):
        train(cfg, tmp_path, stop=keep)
    moved = [
        {name.split(".")[0] for name in now if not torch.equal(now[name], before[name])}
        for before, now in pairwise(keep.seen)
    ]
    assert moved == [{"convolutions", "output"}, {"convolutions", "embedding", "output"}]
    assert "epoch 3: 1 more parameter learns" in caplog.text


def test_of_several_patterns_the_last_counts_and_frozen_stays_frozen():
    task = build_task(settings("mlp"))
    task.net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    freeze(task, ["0.bias"])
    first = first_epochs(task, {"*": 4, "1": 2, "2": 1})
    names = {name: first.get(parameter) for name, parameter in task.net.named_parameters()}
    assert names == {"0.weight": 4, "0.bias": None, "1.weight": 2, "1.bias": 2, "2.weight": 1, "2.bias": 1}
    trainer = SimpleNamespace(current_epoch=0)
    for trainer.current_epoch, learning in enumerate([["2"], ["1", "2"], ["1", "2"], ["0", "1", "2"]]):
        task.train()
        Unfreeze(first).on_train_epoch_start(trainer, task)
        assert sorted({name[0] for name, each in task.net.named_parameters() if each.requires_grad}) == learning
        assert task.net[1].training == ("1" in learning)


@pytest.mark.parametrize(("patterns", "message"), [
    ({"embeding": 2}, r"unfreeze=\{embeding:2\}: no parameter of TextCNN has such a name\. Did you mean \"embedding"),
    ({"*": 2}, "nothing of TextCNN would learn in the first epoch"),
])  # fmt: skip
def test_what_cannot_be_unfrozen_is_said(patterns, message):
    with pytest.raises(UserError, match=message):
        first_epochs(build_task(settings("textcnn")), patterns)
