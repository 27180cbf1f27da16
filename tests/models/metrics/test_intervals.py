"""Intervals of means over users."""

from __future__ import annotations

import numpy as np
import pytest

from models.metrics.intervals import bootstrap_means


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution_for_many_users() -> None:
    value = np.random.default_rng(0).normal(2, 3, (2000, 1)).astype(np.float32)
    low, high = bootstrap_means(value, 1000, seed=1)
    error = 1.96 * value.std() / np.sqrt(len(value))
    assert (low[0], high[0]) == pytest.approx((value.mean() - error, value.mean() + error), abs=0.03)


def test_the_interval_covers_the_true_mean_in_about_95_of_100_samples() -> None:
    value = np.random.default_rng(0).exponential(1, (80, 400)).astype(np.float32)
    low, high = bootstrap_means(value, 400, seed=1)
    assert 0.90 <= ((low <= 1) & (high >= 1)).mean() <= 0.98


def test_an_unknown_value_counts_in_no_mean_and_a_constant_has_an_interval_of_a_point() -> None:
    value = np.array([[0.25, 1], [np.nan, 2], [0.25, 3], [0.25, 4]], np.float32)
    low, high = bootstrap_means(value, 100, seed=0)
    assert (low[0], high[0]) == pytest.approx((0.25, 0.25))
    assert 1 <= low[1] < 2.5 < high[1] <= 4


def test_values_of_the_same_users_share_their_resamples() -> None:
    value = np.random.default_rng(0).normal(size=(50, 1)).astype(np.float32)
    low, high = bootstrap_means(np.hstack([value, value + 1]), 50, seed=0)
    assert (low[1] - low[0], high[1] - high[0]) == pytest.approx((1, 1), abs=1e-5)
