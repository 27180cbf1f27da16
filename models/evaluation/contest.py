"""Challenger against champion on the same held-out events: both means in each bootstrap sample of users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from models.evaluation.comparison import LEAST_EVENTS
from models.evaluation.protocols import Task
from models.events import Floats, Ints
from models.metrics.ranking import Ranking
from models.metrics.segments import Mask


@dataclass(frozen=True)
class Paired:
    """One metric of challenger and champion on the same events.

    samples: [2, n] mean of the challenger and of the champion in each bootstrap sample. A sample draws users with replacement, because
    events of one user are not independent, and both models get the same users (paired bootstrap; Efron and Tibshirani 1993, chapter 8).
    """

    n_events: int
    n_users: int
    challenger: float
    champion: float
    samples: NDArray[np.float64]

    @property
    def difference(self) -> float:
        """Challenger minus champion."""
        return self.challenger - self.champion

    @property
    def interval(self) -> tuple[float, float]:
        """The central 95 % of the differences."""
        low, high = np.quantile(self.samples[0] - self.samples[1], [0.025, 0.975])
        return float(low), float(high)

    def risk(self, tolerance: float) -> float:
        """Share of the samples in which the challenger is more than the tolerance, a share of the champion's mean, below the champion."""
        return float((self.samples[0] < self.samples[1] * (1 - tolerance)).mean())


@dataclass(frozen=True)
class Contest:
    """Challenger and champion over all test events, and by segment or group of users with LEAST_EVENTS. metric: the deciding one."""

    metric: str
    all: Paired
    segments: Mapping[str, Paired]
    coverage: float
    champion_coverage: float


def paired(ours: Floats, theirs: Floats, user: Ints, n_resamples: int, seed: int) -> Paired:
    """Means of two models over the same events, with a bootstrap over users. user: [events]; needs at least one event."""
    _, group = np.unique(user, return_inverse=True)
    counts = np.bincount(group)
    sums = np.stack([np.bincount(group, values) for values in (ours, theirs)])
    rng, samples = np.random.default_rng(seed), np.empty((2, n_resamples))
    for n in range(n_resamples):
        draw = rng.integers(0, len(counts), len(counts))
        samples[:, n] = sums[:, draw].sum(1) / counts[draw].sum()
    return Paired(len(user), len(counts), float(ours.mean()), float(theirs.mean()), samples)


def contest(
    task: Task, challenger: Ranking, champion: Ranking, groups: Mapping[str, Mask], metric: str, n_resamples: int, seed: int
) -> Contest | None:
    """The challenger against the champion on the test events of a task; None without test events, or if one cannot be measured.

    groups: masks of the test events by group of users; they count as segments.
    """
    ours, theirs, user = getattr(challenger, metric), getattr(champion, metric), task.evaluator.events.user[task.test]
    if not len(user) or not isfinite(ours.mean()) or not isfinite(theirs.mean()):
        return None
    masks = {name: mask for name, mask in {**task.segments, **groups}.items() if name != "all" and mask.sum() >= LEAST_EVENTS}
    n_items = task.evaluator.events.n_items
    return Contest(
        metric=metric,
        all=paired(ours, theirs, user, n_resamples, seed),
        segments={name: paired(ours[mask], theirs[mask], user[mask], n_resamples, seed) for name, mask in masks.items()},
        coverage=challenger.coverage_at_10(n_items),
        champion_coverage=champion.coverage_at_10(n_items),
    )
