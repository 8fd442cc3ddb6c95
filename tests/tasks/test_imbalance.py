"""Rare classes: weights, bias, sampling and threshold against their definitions, and what they are worth."""

import copy
import json
import math

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from sklearn import metrics as reference
from small_runs import settings
from torch import nn

from runner.build import build_data, build_task
from runner.config.compose import compose
from runner.config.inferred import settle
from runner.datamodules.parts.batches import Features, Loader, TensorSplit
from runner.errors import UserError
from runner.inference.bundle import load_bundle
from runner.inference.predictor import Predictor
from runner.tasks.classification import Classification
from runner.tasks.imbalance import (
    best_threshold,
    class_counts,
    class_weights,
    remedies,
    row_weights,
    set_output_bias,
    weights_by_hand,
)
from runner.training.train import train

TARGETS = torch.tensor([0] * 90 + [1] * 9 + [2] * 1)


def test_weights_are_total_over_classes_times_rows():
    weights = class_weights(class_counts(TARGETS, 3))
    torch.testing.assert_close(weights, torch.tensor([100 / 270, 100 / 27, 100 / 3]))
    assert weights[TARGETS].mean().item() == pytest.approx(1)


@pytest.mark.parametrize(("given", "weights"), [([1, 3, 0], [1, 3, 0]), ({"rare": 5}, [1, 1, 5]), ({}, [1, 1, 1])])
def test_weights_by_hand(given, weights):
    assert weights_by_hand(given, ["a", "b", "rare"], 3).tolist() == weights


@pytest.mark.parametrize(("given", "message"), [
    ([1, 2], "expected 3 numbers, one for each class"),
    ([1, -1, 1], "none below 0"),
    ({"rar": 2}, "there is no class 'rar'. Did you mean \"rare\""),
])  # fmt: skip
def test_weights_that_cannot_be(given, message):
    with pytest.raises(UserError, match=message):
        weights_by_hand(given, ["a", "b", "rare"], 3)


def test_weights_by_hand_are_those_of_the_loss(tmp_path, no_figures):
    """A class of weight 0 is not learnt, and the model that is stored has the weights too."""
    train(settings("mlp", "task.class_weights={setosa: 0}", "optim.lr=0.05"), tmp_path)
    task, _, _ = load_bundle(tmp_path / "model")
    assert task.class_weights.tolist() == [0, 1, 1]
    logits, target = torch.tensor([[0.0, 1, 2], [3, 1, 0]]), torch.tensor([2, 0])
    assert task.scalars(logits, target)["loss"] == nn.functional.cross_entropy(logits[:1], target[:1]) / 2


def test_a_class_without_rows_has_finite_weight():
    counts = class_counts(TARGETS, 4)
    assert torch.isfinite(class_weights(counts)).all() and torch.isfinite(row_weights(TARGETS, counts)).all()


def test_output_bias_is_the_prior():
    net = nn.Sequential(nn.Linear(5, 2), nn.ReLU(), nn.Linear(2, 2), nn.Dropout(0.5))
    before = copy.deepcopy(net.state_dict())
    set_output_bias(net, torch.tensor([95.0, 5.0]))
    bias = net[2].bias
    assert (bias[1] - bias[0]).item() == pytest.approx(math.log(5 / 95), rel=1e-5)  # log(pos / neg)
    torch.testing.assert_close(bias.softmax(0), torch.tensor([0.95, 0.05]))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items() if name != "2.bias")


@pytest.mark.parametrize("net", [nn.Conv1d(3, 2, 1), nn.Linear(3, 2, bias=False), nn.Linear(3, 5)])
def test_a_net_without_an_output_bias(net):
    with pytest.raises(UserError, match="needs a linear layer with a bias and 2 outputs"):
        set_output_bias(net, torch.tensor([9.0, 1.0]))


@pytest.mark.parametrize("chosen", ["rare", ["bias", "rare"], ["class_weight", "oversample"]])
def test_remedies_that_do_not_exist_or_go_together(chosen):
    with pytest.raises(UserError, match=r"task\.imbalance"):
        remedies(chosen)


# Sampling.


def weighted(seed: int = 0, rank: int = 0, world_size: int = 1) -> Loader:
    split = TensorSplit(Features(torch.arange(len(TARGETS)), TARGETS))
    weights = row_weights(TARGETS, class_counts(TARGETS, 3))
    return Loader(split, 10, shuffle=True, seed=seed, rank=rank, world_size=world_size, weights=weights)


def epoch(loader: Loader, number: int) -> list[int]:
    loader.set_epoch(number)
    return torch.cat([rows for rows, _ in loader]).tolist()


def test_all_classes_are_drawn_equally_often():
    loader = weighted()
    drawn = torch.cat([TARGETS[torch.tensor(epoch(loader, number))] for number in range(60)])
    assert len(drawn) == 60 * len(TARGETS)
    share = torch.bincount(drawn, minlength=3) / len(drawn)
    torch.testing.assert_close(share, torch.full((3,), 1 / 3), atol=0.03, rtol=0)


def test_weighted_order_depends_on_seed_and_epoch_alone():
    one, other = weighted(), weighted()
    first, second = epoch(one, 3), epoch(one, 4)
    assert epoch(other, 3) == first and first != second and epoch(weighted(seed=1), 3) != first


def test_weighted_order_goes_on_after_a_stop():
    whole, stopped = weighted(), weighted()
    all_rows = epoch(whole, 2)
    stopped.set_epoch(2)
    batches = iter(stopped)
    seen = [next(batches)[0] for _ in range(4)]
    resumed = weighted()
    resumed.load_state_dict(stopped.state_dict())
    assert torch.cat([*seen, *(rows for rows, _ in resumed)]).tolist() == all_rows


def test_processes_share_the_weighted_order():
    whole = Loader(weighted().split, 20, shuffle=True, weights=row_weights(TARGETS, class_counts(TARGETS, 3)))
    shares = [epoch(weighted(rank=rank, world_size=2), 1) for rank in range(2)]
    assert sorted(shares[0] + shares[1]) == sorted(epoch(whole, 1))


def test_a_row_of_weight_zero_is_never_drawn():
    split = TensorSplit(Features(torch.arange(4), torch.zeros(4)))
    loader = Loader(split, 4, shuffle=True, weights=torch.tensor([0.0, 1.0, 0.0, 1e-3]))
    drawn = {row for number in range(200) for row in epoch(loader, number)}
    assert drawn <= {1, 3}


# The four runs.


def test_the_runs_start_from_the_same_weights():
    states = {}
    for remedy in ("none", "bias", "class_weight", "oversample", "focal"):
        cfg = settings("mlp")
        cfg.task.imbalance = remedy
        torch.manual_seed(cfg.seed)
        task, data = build_task(cfg), build_data(cfg)
        data.setup()
        task.connect(data)
        states[remedy] = task.net.state_dict()
        assert (data.row_weights is not None) == (remedy == "oversample")
        assert (task.class_weights is not None) == (remedy == "class_weight")
    for remedy, state in states.items():
        moved = {name for name, value in state.items() if not torch.equal(value, states["none"][name])}
        assert moved == ({"layers.3.bias"} if remedy == "bias" else set())


@pytest.fixture
def rare(tmp_path) -> list[str]:
    """A table with one positive in 25, which overlap the negatives."""
    draw = np.random.default_rng(0)
    target = (np.arange(1500) % 25 == 0).astype(int)
    values = draw.normal(size=(1500, 2)) + 1.7 * target[:, None]
    rows = [f"{a:.4f},{b:.4f},{'yes' if t else 'no'}" for (a, b), t in zip(values, target, strict=True)]
    path = tmp_path / "rare.csv"
    path.write_text("\n".join(["a,b,related", *rows]) + "\n")
    return [f"data.path={path}", "data.label=related"]


def trained(folder, rare: list[str], *overrides: str) -> dict:
    limits = ["trainer.accelerator=cpu", "trainer.max_epochs=8", "optim.lr=0.03", "data.batch_size=50"]
    cfg = compose(["model=softmax_regression", "data=csv", *rare, *limits, *overrides])
    settle(cfg.data)
    OmegaConf.resolve(cfg)
    folder.mkdir()
    return train(cfg, folder)


def test_every_remedy_finds_more_of_the_rare_class(rare, tmp_path, no_figures):
    plain = trained(tmp_path / "plain", rare)["val/balanced_accuracy"]
    for number, choice in enumerate(["imbalance=[bias,class_weight]", "imbalance=oversample", "threshold=validation"]):
        found = trained(tmp_path / str(number), rare, f"task.{choice}")
        assert found["val/balanced_accuracy"] > plain + 0.1, choice


def test_class_weights_and_threshold_are_part_of_the_model(rare, tmp_path):
    folder = tmp_path / "run"
    written = trained(folder, rare, "task.imbalance=class_weight", "task.threshold=validation")
    task, data, _ = load_bundle(folder / "model")
    checkpoint = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert torch.equal(task.threshold.value, checkpoint["threshold.value"]) and 0 < task.threshold.value < 1
    assert torch.equal(task.class_weights, checkpoint["class_weights"])
    data.setup()
    raw, target = data.raw("test", None), data.targets_of("test")
    answers = list(Predictor(folder / "model")(raw))
    probability = np.array([row["probability_yes"] for row in answers])
    assert [row["label"] for row in answers] == np.where(
        probability >= task.threshold.value.item(), "yes", "no"
    ).tolist()
    names = np.array(data.class_names)
    assert reference.balanced_accuracy_score(names[target], [row["label"] for row in answers]) == pytest.approx(
        written["test/balanced_accuracy"], abs=1e-6
    )
    assert written["test/accuracy"] == pytest.approx(np.mean(names[target] == [row["label"] for row in answers]))
    assert reference.roc_auc_score(names[target] == "yes", probability) == pytest.approx(
        written["test/auroc"], abs=1e-5
    )
    assert reference.average_precision_score(names[target] == "yes", probability) == pytest.approx(
        written["test/average_precision"], abs=1e-5
    )
    assert (folder / "figures" / "class_distribution.png").exists()
    assert json.loads((folder / "metrics.json").read_text()) == written


# The threshold.


def balanced(probability: np.ndarray, target: np.ndarray, cut: float) -> float:
    called = probability >= cut
    return (called[target == 1].mean() + (~called)[target == 0].mean()) / 2


@pytest.mark.parametrize("seed", range(20))
def test_no_threshold_is_better(seed):
    draw = np.random.default_rng(seed)
    target = (draw.random(40) < 0.3).astype(int)
    target[:2] = 0, 1
    probability = draw.random(40).round(1 if seed % 2 else 3)  # many equal ones every other time
    chosen = best_threshold(torch.from_numpy(probability), torch.from_numpy(target)).item()
    best = max(balanced(probability, target, cut) for cut in [0, *np.unique(probability), 2])
    assert balanced(probability, target, chosen) == pytest.approx(best)


def test_threshold_without_one_of_the_classes():
    assert best_threshold(torch.rand(5), torch.zeros(5, dtype=torch.int64)) == 0.5
    assert best_threshold(torch.rand(0), torch.zeros(0, dtype=torch.int64)) == 0.5


def test_threshold_tells_two_classes_apart():
    with pytest.raises(UserError, match="this data has 3"):
        Classification(nn.Linear(2, 3), 3, threshold="validation")
