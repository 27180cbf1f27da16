from __future__ import annotations

import numpy as np
import pytest

from models.experiments.off_policy import doubly_robust, self_normalised


def test_estimates_are_those_worked_by_hand() -> None:
    """Weights .5, 2, 1: (0 + 2 + 0) / 3.5. Doubly robust: .4 + .5 x -.2, .5 + 2 x .5, .3 + 1 x -.3, over three impressions."""
    reward, weight, user = [0, 1, 0], [0.5, 2, 1], [0, 1, 2]
    found = self_normalised(reward, weight, user)
    assert found.value == pytest.approx(2 / 3.5)
    assert found.n_effective == pytest.approx(3.5**2 / 5.25)
    assert doubly_robust(reward, weight, [0.2, 0.5, 0.3], [0.4, 0.5, 0.3], user).value == pytest.approx((0.3 + 1.5 + 0.0) / 3)


def test_weights_of_one_give_the_mean_and_rewards_shifted_by_one_shift_the_estimate_by_one() -> None:
    rng = np.random.default_rng(3)
    reward, weight, user = rng.random(50), rng.random(50) + 0.1, np.arange(50)
    assert self_normalised(reward, np.ones(50), user).value == pytest.approx(reward.mean())
    assert self_normalised(reward + 1, weight, user).value == pytest.approx(self_normalised(reward, weight, user).value + 1)


def test_both_find_the_worth_of_another_way_of_choosing_from_logged_draws() -> None:
    """Three items earn .1, .2 and .6. The log shows them with .6, .3 and .1; the other way with .1, .3 and .6: worth .43."""
    rng, worth = np.random.default_rng(8), np.array([0.1, 0.2, 0.6])
    logged, other = np.array([0.6, 0.3, 0.1]), np.array([0.1, 0.3, 0.6])
    item, user = rng.choice(3, 30_000, p=logged), np.repeat(np.arange(6000), 5)
    reward, weight = (rng.random(30_000) < worth[item]).astype(float), (other / logged)[item]
    guess = np.array([0.3, 0.3, 0.3])  # a poor model
    for found in (self_normalised(reward, weight, user), doubly_robust(reward, weight, guess[item], np.full(30_000, guess @ other), user)):
        assert found.low < 0.43 < found.high
        assert found.high - found.low < 0.12
        assert found.n_effective < 15_000
    exact = doubly_robust(reward, np.ones(30_000), worth[item], np.full(30_000, worth @ other), user)  # wrong weights, right model
    assert exact.low < 0.43 < exact.high


def test_an_item_without_a_propensity_is_refused() -> None:
    with pytest.raises(ValueError, match="every logged item needs a propensity above 0"):
        self_normalised([1, 0], [np.inf, 1], [0, 1])
