"""Learning-rate schedules: the rate of every step against a closed form."""

import itertools
import math

import pytest
import torch

from runner.optim import schedules

STEPS, PER_EPOCH = 20, 5


def rates(schedule, steps: int = STEPS, **knobs) -> list[float]:
    """The learning rate of each step, relative to the one of the optimizer."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=2.0)
    scheduler = schedule(optimizer, total_steps=steps, steps_per_epoch=PER_EPOCH, **knobs)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"] / 2.0)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    return found


def test_constant_builds_nothing():
    assert rates(schedules.constant) == [1.0] * STEPS


def test_step_counts_epochs():
    assert rates(schedules.step, every=2, factor=0.5) == pytest.approx([1.0] * 10 + [0.5] * 10)


def test_cosine_follows_half_a_cosine():
    wanted = [(1 + math.cos(math.pi * step / STEPS)) / 2 for step in range(STEPS)]
    assert rates(schedules.cosine) == pytest.approx(wanted)
    assert rates(schedules.cosine, final=0.1) == pytest.approx([0.1 + 0.9 * rate for rate in wanted])


def test_linear_goes_straight_down():
    assert rates(schedules.linear) == pytest.approx([1 - step / STEPS for step in range(STEPS)])
    assert rates(schedules.linear, final=0.5) == pytest.approx([1 - step / STEPS / 2 for step in range(STEPS)])


@pytest.mark.parametrize("schedule", [schedules.cosine, schedules.linear])
def test_the_warm_up_climbs_to_the_full_rate(schedule):
    found = rates(schedule, warmup=0.25)
    assert found[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert max(found) == pytest.approx(1.0) and found[5] == pytest.approx(1.0)
    assert all(later < before for before, later in itertools.pairwise(found[5:]))


@pytest.mark.parametrize("schedule", [schedules.cosine, schedules.linear])
def test_a_run_that_goes_on_longer_keeps_the_final_rate(schedule):
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    scheduler = schedule(optimizer, total_steps=4, steps_per_epoch=2, final=0.25)
    for _ in range(9):
        optimizer.step()
        scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.25)


@pytest.mark.parametrize("warmup", [-0.1, 1.0, 3])
def test_the_warm_up_is_a_share(warmup):
    with pytest.raises(ValueError, match=f"0 <= warmup < 1, received {warmup}"):
        rates(schedules.cosine, warmup=warmup)


def test_one_cycle_climbs_to_the_rate_and_comes_down():
    found = rates(schedules.one_cycle)
    assert max(found) == pytest.approx(1.0, abs=0.02)
    assert found[0] < 0.1 and found[-1] < 0.01


def test_plateau_waits_for_a_better_metric():
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    scheduler = schedules.plateau(optimizer, STEPS, PER_EPOCH, mode="max", factor=0.5, patience=1)
    seen = []
    for accuracy in (0.5, 0.6, 0.6, 0.6, 0.7):
        scheduler.step(accuracy)
        seen.append(optimizer.param_groups[0]["lr"])
    assert seen == [1.0, 1.0, 1.0, 0.5, 0.5]
