"""Probabilities that can be believed, and those that cannot."""

import numpy as np
import pytest

from runner.inference.calibration import calibration, fitted_temperature, tempered


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (N, 3) and classes that were drawn with them."""
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(20_000, 3)) * 2
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probabilities, (draw.random((len(logits), 1)) > probabilities.cumsum(axis=1)).sum(axis=1).clip(max=2)


@pytest.mark.parametrize("heat", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_made_logits_too_large_or_too_small(drawn, heat) -> None:
    probabilities, truths = drawn
    wrong = tempered(probabilities, 1 / heat)
    assert fitted_temperature(wrong, truths) == pytest.approx(heat, rel=0.05)
    mended, before = (calibration(each, truths) for each in (tempered(wrong, heat), wrong))
    assert mended["ece"] < 0.015 and mended["accuracy"] == before["accuracy"] and mended["loss"] <= before["loss"]


def test_the_error_is_that_of_the_definition(drawn) -> None:
    probabilities, truths = drawn
    probabilities = tempered(probabilities, 0.4)
    largest, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truths
    place = np.floor(largest * 15)
    expected = sum(
        abs(largest[place == one].mean() - right[place == one].mean()) * (place == one).mean()
        for one in np.unique(place)
    )
    assert calibration(probabilities, truths)["ece"] == pytest.approx(expected, abs=1e-5)
