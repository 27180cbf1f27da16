"""Confidence intervals of means over events or users."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.events import Floats, Ints

BATCH = 16
"""Resamples that are computed together."""


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


def bootstrap_means(value: Floats, n_resamples: int, seed: int, share: float = 0.95) -> tuple[Floats, Floats]:
    """The central intervals with `share` of the bootstrap means of several values [users, values], as (low, high), each [values].

    nan is an unknown value, which no mean counts. All values share the resamples of the users, each a vector of counts.
    """
    is_known = np.isfinite(value)
    columns = np.hstack([np.where(is_known, value, 0), is_known]).astype(np.float32)
    rng, n_users, means = np.random.default_rng(seed), len(value), []
    for first in range(0, n_resamples, BATCH):
        draws = rng.integers(0, n_users, (min(BATCH, n_resamples - first), n_users), dtype=np.int32)
        counts = np.stack([np.bincount(draw, minlength=n_users) for draw in draws]).astype(np.float32)
        total, n_known = np.split(counts @ columns, 2, axis=1)
        means.append(np.divide(total, n_known, out=np.full_like(total, np.nan), where=n_known > 0))
    low, high = np.nanquantile(np.concatenate(means), [(1 - share) / 2, (1 + share) / 2], axis=0).astype(np.float32)
    return low, high
