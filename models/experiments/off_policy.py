"""What a way of choosing items would have earned, estimated from lists that another way made with known propensities.

A logged item counts with the weight p_new / p_logged: the probability that the new way shows it there, over the propensity with which it
was shown. Only draws can be judged so: items of exploration slots, or of ranks that a mixture of models fills. Impressions of one user
depend on each other, so all sums are over users, and the intervals hold at any look (models.experiments.sequences).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.experiments.sequences import LEVEL, RatioDifference, ratio_interval


class Estimate(NamedTuple):
    """An estimated mean reward with its confidence sequence, and the number of impressions that would tell as much without weights."""

    value: float
    low: float
    high: float
    n_effective: float


def self_normalised(reward: ArrayLike, weight: ArrayLike, user: ArrayLike, level: float = LEVEL) -> Estimate:
    """sum(weight x reward) / sum(weight): never outside the rewards seen, whatever the weights.

    Swaminathan and Joachims, "The self-normalized estimator for counterfactual learning", NeurIPS 2015, equation 9. One value per
    impression; user: number of the user.
    """
    earned, weights, users = np.asarray(reward, np.float64), np.asarray(weight, np.float64), np.asarray(user, np.int64)
    _check(weights)
    return _estimate(ratio_interval(np.bincount(users, weights * earned), np.bincount(users, weights), level), weights)


def doubly_robust(
    reward: ArrayLike, weight: ArrayLike, predicted: ArrayLike, predicted_new: ArrayLike, user: ArrayLike, level: float = LEVEL
) -> Estimate:
    """mean(predicted_new + weight x (reward - predicted)): right if either the propensities or the predictions are.

    Dudik, Langford and Li, "Doubly robust policy evaluation and learning", ICML 2011, equation 2. predicted: the reward that a model
    expects of the logged item; predicted_new: its mean over the items that the new way would show there. The model must not have seen
    the rewards.
    """
    earned, weights, users = np.asarray(reward, np.float64), np.asarray(weight, np.float64), np.asarray(user, np.int64)
    _check(weights)
    values = np.asarray(predicted_new, np.float64) + weights * (earned - np.asarray(predicted, np.float64))
    return _estimate(ratio_interval(np.bincount(users, values), np.bincount(users).astype(np.float64), level), weights)


def _estimate(found: RatioDifference, weights: NDArray[np.float64]) -> Estimate:
    squares = float((weights**2).sum())
    return Estimate(*found, float(weights.sum()) ** 2 / squares if squares else 0.0)


def _check(weights: NDArray[np.float64]) -> None:
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError("a weight is negative or not finite: every logged item needs a propensity above 0")
