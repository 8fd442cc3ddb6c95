"""Sines beside the formula of the paper; rotary positions see distances alone."""

import math

import pytest
import torch

from runner.models.layers.positions import Learned, Sinusoidal, turn, turned


def test_sines_and_cosines_of_the_paper() -> None:
    vectors = Sinusoidal(1, 6)(torch.arange(20))
    for place in (0, 1, 7, 19):
        for pair in range(3):
            angle = place / 10_000 ** (2 * pair / 6)
            assert vectors[place, 2 * pair].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert vectors[place, 2 * pair + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)


def test_places_beyond_the_last_share_its_vector() -> None:
    positions = Learned(4, 3)
    assert torch.equal(positions(torch.tensor([3, 4, 90])), positions.weight[[3, 3, 3]])


def test_turned_queries_and_keys_see_their_distance_alone() -> None:
    query, key = torch.randn(2, 1, 1, 1, 8)

    def product(of_query: int, of_key: int) -> torch.Tensor:
        places = [turn(torch.tensor([place]), 8) for place in (of_query, of_key)]
        return (turned(query, places[0]) * turned(key, places[1])).sum()

    torch.testing.assert_close(product(3, 1), product(40, 38), rtol=1e-4, atol=1e-5)
    assert (product(3, 1) - product(3, 2)).abs() > 1e-3
    torch.testing.assert_close(turned(query, turn(torch.tensor([5]), 8)).norm(), query.norm())
    assert turned(query, None) is query


def test_odd_widths_have_no_pairs() -> None:
    with pytest.raises(ValueError, match="the width must be even, received 5"):
        Sinusoidal(1, 5)(torch.arange(2))
