from __future__ import annotations

import math

import numpy as np
import pytest

from models.experiments.sequences import mixture_radius, ratio_difference, sample_ratio_evidence


def test_at_its_tightest_the_radius_is_three_standard_errors_as_worked_by_hand() -> None:
    """n r^2 = 5.9915 + log(6.9915) = 7.9361; sqrt(2 x 8.9361 / 7.9361 x log(sqrt(8.9361) / .05)) = 3.0352."""
    assert mixture_radius(2000, 0.05, 2000) * math.sqrt(2000) == pytest.approx(3.0352, abs=2e-4)


def test_the_radius_is_tightest_where_it_was_asked_to_be() -> None:
    at = {tightest: mixture_radius(1000, 0.05, tightest) for tightest in (100, 500, 1000, 2000, 10_000)}
    assert min(at, key=at.__getitem__) == 1000


def test_the_difference_of_ratios_and_its_variance_are_those_worked_by_hand() -> None:
    """Challenger: 3 of 4, residuals 1 - .75 and 2 - 2.25 over a mean of 2. Control: 1 of 4, residuals 0 - .25 and 1 - .75 over 2."""
    found = ratio_difference([1, 2, 0, 1], [1, 3, 1, 3], [True, True, False, False], 0.05, 4)
    variance = 2 * (2 * 0.125**2 / 1) / 2  # in each arm: two residuals of .125, n - 1 = 1, over two users
    radius = math.sqrt(4 * variance) * mixture_radius(4, 0.05, 4)
    assert found == pytest.approx((0.5, 0.5 - radius, 0.5 + radius))


def test_users_who_were_shown_nothing_change_nothing_and_one_user_in_an_arm_allows_no_bound() -> None:
    shown = ratio_difference([1, 2, 0, 1], [1, 3, 1, 3], [True, True, False, False])
    assert ratio_difference([1, 2, 0, 0, 1], [1, 3, 0, 1, 3], [True, True, True, False, False]) == shown
    assert ratio_difference([1, 0, 1], [1, 1, 3], [True, False, False])[1:] == (-math.inf, math.inf)


def test_looking_twenty_times_at_equal_arms_finds_a_difference_in_few_runs_where_naive_looks_find_one_in_many() -> None:
    rng, n_runs, n_users = np.random.default_rng(5), 150, 2000
    wrong = naive = 0
    for _ in range(n_runs):
        shown = rng.integers(1, 20, n_users).astype(float)
        clicks = rng.binomial(shown.astype(int), rng.beta(2, 18, n_users))
        arm = rng.random(n_users) < 0.3
        found = [(n, ratio_difference(clicks[:n], shown[:n], arm[:n])) for n in range(100, n_users + 1, 100)]
        wrong += any(each.low > 0 or each.high < 0 for _, each in found)
        naive += any(abs(each.difference) > 1.96 * (each.high - each.low) / 2 / (mixture_radius(n) * math.sqrt(n)) for n, each in found)
    assert wrong <= 0.05 * n_runs
    assert naive >= 0.12 * n_runs


def test_looks_at_the_same_users_while_their_impressions_grow_find_a_difference_between_equal_arms_in_few_runs() -> None:
    rng, n_runs, n_users = np.random.default_rng(1), 60, 2000
    wrong = 0
    for _ in range(n_runs):
        arm, taste = rng.random(n_users) < 0.2, rng.beta(2, 18, n_users)
        shown, clicks, is_wrong = np.zeros(n_users), np.zeros(n_users), False
        for _ in range(20):
            seen = (rng.random(n_users) < 0.3) * rng.integers(1, 10, n_users)
            shown, clicks = shown + seen, clicks + rng.binomial(seen, taste)
            found = ratio_difference(clicks, shown, arm)
            is_wrong = is_wrong or found.low > 0 or found.high < 0
        wrong += is_wrong
    assert wrong <= 0.05 * n_runs


def test_a_planted_loss_is_found_and_the_interval_holds_it() -> None:
    rng, n_users = np.random.default_rng(6), 6000
    shown, arm = rng.integers(5, 30, n_users).astype(float), rng.random(n_users) < 0.5
    clicks = rng.binomial(shown.astype(int), np.where(arm, 0.085, 0.10))
    found = ratio_difference(clicks, shown, arm)
    assert found.low < -0.015 < found.high < 0


def test_evidence_of_a_wrong_division_is_the_bayes_factor_worked_by_hand() -> None:
    """With a uniform prior, two of two: B(3, 1) = 1/3 over 1/4; one of two: B(2, 2) = 1/6 over 1/4."""
    assert sample_ratio_evidence(2, 0, 0.5, prior=2.0) == pytest.approx(4 / 3)
    assert sample_ratio_evidence(1, 1, 0.5, prior=2.0) == pytest.approx(2 / 3)


def test_a_division_by_the_share_is_no_evidence_and_a_wrong_one_is() -> None:
    assert sample_ratio_evidence(2000, 8000, 0.2) < 1
    assert sample_ratio_evidence(2300, 7700, 0.2) > 1e6
    assert sample_ratio_evidence(0, 100_000, 0.5) > 1e300
