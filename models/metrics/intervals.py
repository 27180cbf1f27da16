"""Confidence intervals of means over events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.events import Floats, Ints


@dataclass(frozen=True)
class Difference:
    """A mean difference and its 95 % interval."""

    difference: float
    low: float
    high: float


def mean_difference(ours: Floats, theirs: Floats, user: Ints, n_resamples: int, seed: int) -> Difference:
    """Mean of ours minus theirs over the same events, with the interval of `bootstrap_interval`. Needs at least one event."""
    less = ours - theirs
    return Difference(float(less.mean()), *bootstrap_interval(less, user, n_resamples, seed))


def bootstrap_interval(value: Floats, user: Ints, n_resamples: int, seed: int, share: float = 0.95) -> tuple[float, float]:
    """The central interval with `share` of the bootstrap means. It resamples users, because events of one user are not independent."""
    _, group = np.unique(user, return_inverse=True)
    sums, counts = np.bincount(group, value), np.bincount(group)
    rng = np.random.default_rng(seed)
    means = np.empty(n_resamples)
    for n in range(n_resamples):
        draw = rng.integers(0, len(sums), len(sums))
        means[n] = sums[draw].sum() / counts[draw].sum()
    low, high = np.quantile(means, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)
