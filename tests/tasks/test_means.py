"""Means are weighted by what they count, however the batches are cut, and survive a checkpoint."""

import math

import pytest
import torch

from runner.tasks.means import Mean, RunningMeans


def test_a_mean_is_weighted_by_what_it_counts():
    means = RunningMeans()
    means.add({"loss": Mean(torch.tensor(1.0), 30), "exact": torch.tensor(1.0)}, 2)
    means.add({"loss": Mean(torch.tensor(4.0), torch.tensor(10)), "exact": torch.tensor(0.0)}, 6)
    means.add({"loss": Mean(torch.tensor(math.nan), 0), "exact": torch.tensor(0.0)}, 0)  # a batch without tokens
    assert means.pop() == pytest.approx({"loss": 1.75, "exact": 0.25})


def test_means_count_examples_not_batches():
    means = RunningMeans()
    means.add({"loss": torch.tensor(1.0), "kl": torch.tensor(4.0)}, 9)
    means.add({"loss": torch.tensor(2.0), "kl": torch.tensor(8.0)}, 1)
    assert means.close() == pytest.approx({"loss": 1.1, "kl": 4.4})
    means.add({"loss": torch.tensor(3.0), "kl": torch.tensor(0.0)}, 10)
    assert means.close() == pytest.approx({"loss": 3.0, "kl": 0.0}), "the window alone"
    assert means.pop() == pytest.approx({"loss": (9 + 2 + 30) / 20, "kl": (36 + 8) / 20}), "all of it"
    assert means.close() == means.pop() == {}


@pytest.mark.parametrize("closed", [0, 2, 4])
def test_means_go_on_from_a_checkpoint_as_if_there_had_been_none(closed, tmp_path):
    values = torch.rand(20, generator=torch.Generator().manual_seed(0))

    def run(save_at: int | None) -> tuple[list, dict]:
        means, windows = RunningMeans(), []
        for number, value in enumerate(values):
            if number == save_at:
                torch.save(means.state_dict(), tmp_path / "means.pt")
                means = RunningMeans()
                means.load_state_dict(torch.load(tmp_path / "means.pt", weights_only=True))
            means.add({"loss": value}, 3 + number % 2)
            if number % 5 == 4:
                windows.append(means.close())
        return windows, means.pop()

    assert run(closed * 5 + 2 if closed < 4 else 19) == run(None)


def test_means_keep_no_graph():
    means = RunningMeans()
    weight = torch.ones(1, requires_grad=True)
    means.add({"loss": (weight * 2).sum()}, 1)
    assert not means.pending[0]["loss"].value.requires_grad
