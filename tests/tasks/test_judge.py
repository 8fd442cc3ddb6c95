"""What a judge's numbers say, on cases whose answer is known."""

import pytest
import torch

from runner.datamodules.parts.batches import Images, TensorSplit
from runner.tasks.judge import ImageJudge, class_coverage, classifier_score, frechet_distance, judged

SURE = torch.eye(10)


def test_the_score_is_the_number_of_classes_that_are_clear_and_equally_frequent():
    assert classifier_score(SURE.repeat(5, 1)) == pytest.approx(10)
    assert classifier_score(SURE[:4].repeat(5, 1)) == pytest.approx(4)
    assert classifier_score(SURE[:1].repeat(5, 1)) == pytest.approx(1)
    assert classifier_score(torch.full((20, 10), 0.1)) == pytest.approx(1)


def test_a_class_is_covered_from_a_tenth_of_its_share():
    counts = torch.tensor([500, 460, 11, 9, 10, 2, 2, 2, 2, 2])
    assert class_coverage(SURE.repeat_interleave(counts, dim=0)) == 4


def test_the_frechet_distance_of_normal_distributions():
    draw = torch.Generator().manual_seed(0)
    ones = torch.randn(200_000, 2, generator=draw, dtype=torch.float64)
    stretched = torch.randn(200_000, 2, generator=draw, dtype=torch.float64) * torch.tensor([2.0, 3.0]) + 1
    assert frechet_distance(ones, stretched) == pytest.approx(1 + 1 + 1 + 4, rel=0.03)
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    assert frechet_distance(ones @ turn, stretched @ turn) == pytest.approx(frechet_distance(ones, stretched), rel=1e-9)
    assert frechet_distance(ones, ones) == pytest.approx(0, abs=1e-9)


def test_a_judge_learns_and_leaves_the_random_numbers_alone(monkeypatch):
    monkeypatch.setattr("runner.tasks.judge.STEPS", 30)
    labels = torch.arange(200) % 4
    images = torch.rand(200, 1, 8, 8) / 4
    for row, label in enumerate(labels.tolist()):
        images[row, 0, 4 * (label // 2) :, 4 * (label % 2) :][:4, :4] += 0.7
    state = torch.get_rng_state()
    judge = ImageJudge(TensorSplit(Images(images, labels)), (1, 8, 8), 4, torch.device("cpu"))
    assert torch.equal(torch.get_rng_state(), state)
    again = ImageJudge(TensorSplit(Images(images, labels)), (1, 8, 8), 4, torch.device("cpu"))
    assert torch.equal(judge(images).features, again(images).features)

    class Copies(torch.nn.Module):
        """Makes the images whose numbers it is given."""

        def forward(self, rows):
            return images[rows]

    found = judged(Copies(), torch.arange(200), judge, (images, labels), images)
    assert found["judge_accuracy"] > 0.95 and found["class_coverage"] == 4
    assert found["classifier_score"] == pytest.approx(found["classifier_score_real"])
    assert found["frechet_distance"] == pytest.approx(0, abs=1e-6)
    one = judged(Copies(), torch.zeros(200, dtype=torch.int64), judge, (images, labels), images)
    assert one["class_coverage"] == 1 and one["classifier_score"] == pytest.approx(1) and one["frechet_distance"] > 0.1
