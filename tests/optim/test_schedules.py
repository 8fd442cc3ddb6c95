"""Every choice of `schedule=`: its shape, and that it continues exactly after a stop."""

import io
import itertools
import math

import pytest
import torch
from hydra.utils import instantiate
from small_runs import composed, settings
from torch.optim.lr_scheduler import ReduceLROnPlateau

from runner.config.catalog import choices
from runner.errors import UserError
from runner.optim import schedules
from runner.training.train import train

STEPS, EPOCH = 100, 10


def optimizer(lr: float = 1.0, cls=torch.optim.Adam, **settings) -> torch.optim.Optimizer:
    return cls([torch.zeros(1, requires_grad=True)], lr=lr, **settings)


def rates(schedule, made: torch.optim.Optimizer, **knobs) -> list[float]:
    """The learning rate of each step."""
    scheduler = schedule(made, total_steps=STEPS, steps_per_epoch=EPOCH, **knobs)
    found = []
    for _ in range(STEPS):
        found.append(made.param_groups[0]["lr"])
        made.step()
        if scheduler is not None:
            scheduler.step()
    return found


def test_constant_builds_nothing():
    assert schedules.constant(optimizer(), STEPS, EPOCH) is None
    assert set(rates(schedules.constant, optimizer())) == {1.0}


def test_step_counts_epochs():
    found = rates(schedules.step, optimizer(), every=3, factor=0.5)
    assert found == [0.5 ** (step // 30) for step in range(STEPS)]


@pytest.mark.parametrize("final", [0.0, 0.1])
def test_cosine_is_half_a_cosine_and_linear_a_line(final):
    wanted = [2 * (final + (1 - final) * (1 + math.cos(math.pi * step / STEPS)) / 2) for step in range(STEPS)]
    assert rates(schedules.cosine, optimizer(2.0), final=final) == pytest.approx(wanted)
    wanted = [2 * (1 - (1 - final) * step / STEPS) for step in range(STEPS)]
    assert rates(schedules.linear, optimizer(2.0), final=final) == pytest.approx(wanted)


@pytest.mark.parametrize("schedule", [schedules.cosine, schedules.linear])
def test_a_run_that_is_continued_for_longer_keeps_the_final_rate(schedule):
    made = optimizer()
    scheduler = schedule(made, total_steps=4, steps_per_epoch=2, final=0.25)
    for _ in range(9):
        made.step()
        scheduler.step()
    assert made.param_groups[0]["lr"] == pytest.approx(0.25)


def test_inverse_sqrt():
    found = rates(schedules.inverse_sqrt, optimizer(), warmup=0.1)
    assert found[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert found[9] == max(found) == 1 and found[39] == pytest.approx(0.5) and found[89] == pytest.approx(1 / 3)


@pytest.mark.parametrize("then", ["constant", "cosine", "linear", "inverse_sqrt"])
def test_warmup_climbs_and_hands_over(then):
    found = rates(schedules.warmup, optimizer(), share=0.2, then=then)
    assert found[:20] == pytest.approx([(step + 1) / 20 for step in range(20)])
    assert max(found) == pytest.approx(1)
    falls = all(one >= other for one, other in itertools.pairwise(found[20:]))
    assert falls and (found[-1] == 1) == (then == "constant")
    if then in ("cosine", "linear"):
        assert found == rates(getattr(schedules, then), optimizer(), warmup=0.2)


def test_one_cycle_goes_up_and_down_and_momentum_the_other_way():
    made = optimizer(cls=torch.optim.SGD, momentum=0.9)
    assert schedules.one_cycle(made, STEPS, EPOCH) and made.param_groups[0]["momentum"] == 0.95
    found = rates(schedules.one_cycle, optimizer(), climb=0.3)
    top = found.index(max(found))
    assert 28 <= top <= 30 and max(found) == pytest.approx(1, rel=0.01) and found[0] == pytest.approx(1 / 25)
    assert found[-1] < 0.01
    plain = optimizer(cls=torch.optim.SGD)
    schedules.one_cycle(plain, STEPS, EPOCH)
    assert plain.param_groups[0]["momentum"] == 0  # an optimizer without momentum does not get any


@pytest.mark.parametrize("name", choices("optim"))
def test_one_cycle_goes_with_every_optimizer(name):
    made = instantiate(composed((f"optim={name}",)).optim, _partial_=True)([torch.ones(2, requires_grad=True)])
    assert len(set(rates(schedules.one_cycle, made))) > 50


def test_plateau_waits_for_the_metric():
    made = optimizer()
    scheduler = schedules.plateau(made, STEPS, EPOCH, mode="max", factor=0.5, patience=2)
    assert isinstance(scheduler, ReduceLROnPlateau)
    seen = []
    for value in (1, 2, 2, 2, 2, 3):
        scheduler.step(value)
        seen.append(made.param_groups[0]["lr"])
    assert seen == [1, 1, 1, 1, 0.5, 0.5]


@pytest.mark.parametrize("name", choices("schedule"))
def test_every_schedule_continues_exactly(name):
    node = composed((f"schedule={name}",)).schedule

    def make():
        made = optimizer(0.5)
        return made, instantiate(node, _partial_=True)(made, total_steps=STEPS, steps_per_epoch=EPOCH)

    def advance(made, scheduler, first, last):
        found = []
        for _ in range(first, last):
            made.step()
            if isinstance(scheduler, ReduceLROnPlateau):
                scheduler.step(1.0)
            elif scheduler is not None:
                scheduler.step()
            found.append(made.param_groups[0]["lr"])
        return found

    made, scheduler = make()
    advance(made, scheduler, 0, 37)
    file = io.BytesIO()
    torch.save({"optimizer": made.state_dict(), "schedule": scheduler and scheduler.state_dict()}, file)
    wanted = advance(made, scheduler, 37, STEPS - 1)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    again, resumed = make()
    again.load_state_dict(saved["optimizer"])
    if resumed is not None:
        resumed.load_state_dict(saved["schedule"])
    assert advance(again, resumed, 37, STEPS - 1) == wanted


def test_plateau_in_a_run(tmp_path):
    """With a factor this small, nothing moves any more after the first cut."""
    cfg = settings("mlp", "schedule=plateau", "schedule.patience=0", "schedule.factor=1e-9", "trainer.max_epochs=30",
                   "optim.lr=0.1")  # fmt: skip
    train(cfg, tmp_path)
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    points = [point["train/lr"] for _, _, point in last["history"] if "train/lr" in point]
    assert points[0] == 0.1 and points[-1] < 1e-9


def test_plateau_where_validations_are_rare(tmp_path, no_figures):
    """The schedule, early stopping and the choice of the checkpoint wait for a validation, and count validations."""
    cfg = settings("mlp", "schedule=plateau", "schedule.patience=0", "schedule.factor=1e-9", "optim.lr=0.1",
                   "+trainer.check_val_every_n_epoch=2", "trainer.max_epochs=60", "task.monitor=val/accuracy",
                   "task.mode=max", "callbacks.early_stopping.patience=2")  # fmt: skip
    train(cfg, tmp_path)
    last, best = (torch.load(tmp_path / "checkpoints" / f"{name}.ckpt", weights_only=True) for name in ("last", "best"))
    epochs = {step: point["epoch"] - 1 for step, _, point in last["history"] if "epoch" in point}
    validated = [epochs[step] for step, _, point in last["history"] if "val/accuracy" in point]
    assert validated == list(range(1, last["epoch"] + 1, 2)) and last["epoch"] < 59, "it stopped early"
    scores = [point["val/accuracy"] for _, _, point in last["history"] if "val/accuracy" in point]
    assert best["epoch"] == validated[scores.index(max(scores))] == last["epoch"] - 4, "two validations were no better"
    rates = [point["train/lr"] for _, _, point in last["history"] if "train/lr" in point]
    assert rates[0] == 0.1 and rates[-1] < 1e-9


def test_plateau_needs_something_to_watch(tmp_path):
    with pytest.raises(UserError, match=r"watches task\.monitor"):
        train(settings("gan", "schedule=plateau"), tmp_path)


def test_what_a_schedule_refuses_is_the_mistake_of_a_setting(tmp_path):
    with pytest.raises(UserError, match=r"schedule \(.*plateau\): Factor should be"):
        train(settings("mlp", "schedule=plateau", "schedule.factor=2"), tmp_path)
