"""Words in the middle of a row, their neighbours by place, and how much negatives count."""

import torch

from runner.models.layers.word_tables import around, middle, with_negatives


def test_neighbours_by_their_place_before_and_after_each_word() -> None:
    neighbours = torch.rand(2, 3, 3 + 2 * 2) > 0.5  # T = 3, W = 2
    found = around(neighbours)
    assert found.shape == (2, 3, 5)
    for word in range(3):
        assert torch.equal(found[:, word], neighbours[:, word, word : word + 5])


def test_the_middle_of_a_row_leaves_out_both_margins() -> None:
    words = torch.arange(7).repeat(2, 1)
    assert middle(words, torch.zeros(2, 3, 7)).tolist() == [[2, 3, 4]] * 2


def test_negatives_together_count_as_so_many_for_each_pair() -> None:
    answers = with_negatives(torch.ones(1, 2, 3), torch.tensor([[[3.0], [1.0]]]), negatives=4, count=5)
    assert answers.shape == (1, 2, 7)
    assert answers[..., 3:].sum(dim=2).tolist() == [[-15.0, -5.0]]
