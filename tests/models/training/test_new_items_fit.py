"""The layer that says how much more often new items are chosen than their scores say."""

from __future__ import annotations

import numpy as np
import pytest

from models.training.new_items_fit import _fit, fit_ratios


def test_the_posterior_of_one_weight_is_that_worked_by_hand() -> None:
    evidence, mean, factor = _fit(np.ones((2, 1)), np.array([1.0, 2.0]), np.array([0.5, 0.5]), 2.0)
    precision = 1 / 4 + 2 / 0.5
    assert mean == pytest.approx([(1 / 0.5 + 2 / 0.5) / precision])
    assert factor @ factor.T == pytest.approx(np.array([[1 / precision]]))
    covariance = np.array([[4.5, 4.0], [4.0, 4.5]])  # of the two ratios: 4 from the weight, and 0.5 each
    ratio = np.array([1.0, 2.0])
    by_hand = -0.5 * (ratio @ np.linalg.inv(covariance) @ ratio + np.log(np.linalg.det(covariance)) + 2 * np.log(2 * np.pi))
    assert evidence == pytest.approx(by_hand)


def test_what_the_text_tells_about_new_items_is_found_with_its_uncertainty() -> None:
    rng = np.random.default_rng(0)
    text = rng.normal(size=(400, 5))
    expected = rng.uniform(5, 50, 400)
    chosen = rng.poisson(expected * np.exp(0.3 + 0.7 * text[:, 0] + 0.2 * rng.normal(size=400))).astype(float)
    mean, factor, spread = fit_ratios(chosen, expected, text)
    deviation = np.sqrt(np.diag(factor @ factor.T))
    assert (np.abs(mean - [0.3, 0.7, 0, 0, 0, 0]) < 4 * deviation).all()
    assert (deviation < 0.05).all()
    assert spread == pytest.approx(0.2)


def test_without_new_items_the_layer_is_what_is_usual_and_not_certain() -> None:
    mean, factor, spread = fit_ratios(np.zeros(0), np.zeros(0), np.zeros((0, 3)))
    assert not mean.any()
    assert (np.diag(factor) == pytest.approx(0.4), spread) == (True, 0.8)
