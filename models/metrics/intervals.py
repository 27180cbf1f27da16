"""Confidence intervals of means over events."""

from __future__ import annotations

import numpy as np

from models.events import Floats, Ints


def bootstrap_interval(value: Floats, user: Ints, n_resamples: int, seed: int) -> tuple[float, float]:
    """95 % interval of the mean, resampling users (events of one user are not independent)."""
    _, group = np.unique(user, return_inverse=True)
    sums, counts = np.bincount(group, value), np.bincount(group)
    rng = np.random.default_rng(seed)
    means = np.empty(n_resamples)
    for n in range(n_resamples):
        draw = rng.integers(0, len(sums), len(sums))
        means[n] = sums[draw].sum() / counts[draw].sum()
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
