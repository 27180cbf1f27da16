"""Intervals of rates over users, against cases worked by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from models.metrics.rates import UserSums, Z, mean_interval, share_interval


def sums(x: Sequence[float], n: Sequence[float]) -> UserSums:
    a, b = np.array(x), np.array(n)
    return UserSums(len(a), *(float(part.sum()) for part in (a, b, a * a, a * b, b * b)))


def test_the_interval_of_a_mean_counts_users_not_impressions() -> None:
    given = sums([2, 0], [4, 4])  # ratio 1/4; x - ratio n is 1 and -1, so the variance is 2/1 * 2 / 8^2
    assert given.variance == pytest.approx(1 / 16)
    assert mean_interval(given) == pytest.approx((0.25 - Z / 4, 0.25 + Z / 4))


def test_with_one_impression_each_a_share_has_about_the_interval_of_wilson() -> None:
    given = sums([1] * 3 + [0] * 7, [1] * 10)
    size = 0.3 * 0.7 / given.variance if given.variance else 0
    assert size == pytest.approx(9)
    low, high = share_interval(given)
    for end in (low, high):  # Wilson's ends solve (p - share)^2 = z^2 p (1 - p) / size
        assert end is not None
        assert (end - 0.3) ** 2 == pytest.approx(Z**2 * end * (1 - end) / size)


def test_a_share_of_nothing_has_an_upper_end_that_falls_with_users_and_not_with_impressions() -> None:
    few, many = (share_interval(sums([0] * n, [50] * n)) for n in (10, 1000))
    assert few == pytest.approx((0.0, Z**2 / (10 + Z**2)))
    assert many[1] == pytest.approx(Z**2 / (1000 + Z**2))


def test_one_user_gives_a_rate_without_an_interval_and_no_impression_gives_none() -> None:
    assert (sums([1], [4]).ratio, share_interval(sums([1], [4]))) == (0.25, (None, None))
    assert (sums([], []).ratio, mean_interval(sums([], []))) == (None, (None, None))


def test_a_95_percent_interval_of_clustered_clicks_holds_the_rate_in_about_95_percent_of_draws() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        n = rng.integers(1, 30, 200).astype(float)
        x = rng.binomial(n.astype(int), rng.beta(0.5, 9.5, 200)).astype(float)
        low, high = share_interval(sums(list(x), list(n)))
        assert low is not None
        assert high is not None
        hits += low <= 0.05 <= high
    assert math.isclose(hits / 400, 0.95, abs_tol=0.035)
