"""Intervals for rates whose users count as the independent units, from sums over users."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z = 1.959964
"""97.5 % quantile of the normal distribution."""


@dataclass(frozen=True)
class UserSums:
    """Sums over users of x and n, the numerator and the denominator of a ratio: x, n, xx (x^2), xn (x n), nn (n^2)."""

    n_users: int
    x: float
    n: float
    xx: float
    xn: float
    nn: float

    @property
    def ratio(self) -> float | None:
        """The sum of x over the sum of n."""
        return self.x / self.n if self.n else None

    @property
    def variance(self) -> float | None:
        """Variance of the ratio by linearisation (delta method; Deng, Knoblich and Lu 2018, section 3): the mean square of x - ratio n."""
        ratio = self.ratio
        if ratio is None or self.n_users < 2:
            return None
        squares = max(self.xx - 2 * ratio * self.xn + ratio**2 * self.nn, 0.0)
        return self.n_users / (self.n_users - 1) * squares / self.n**2


def mean_interval(sums: UserSums) -> tuple[float | None, float | None]:
    """95 % interval of a ratio; (None, None) with fewer than two users."""
    ratio, variance = sums.ratio, sums.variance
    if ratio is None or variance is None:
        return None, None
    half = Z * math.sqrt(variance)
    return ratio - half, ratio + half


def share_interval(sums: UserSums) -> tuple[float | None, float | None]:
    """95 % interval of a share, 0 <= x <= n: Wilson's with the effective sample size p (1 - p) / variance (Franco et al. 2019).

    At a share of 0 or 1, where the variance says nothing, the number of users is the sample size.
    """
    share, variance = sums.ratio, sums.variance
    if share is None or variance is None:
        return None, None
    size = float(sums.n_users)
    if 0 < share < 1:
        size = min(share * (1 - share) / variance, sums.n) if variance else sums.n
    middle = (share + Z**2 / (2 * size)) / (1 + Z**2 / size)
    half = Z / (1 + Z**2 / size) * math.sqrt(share * (1 - share) / size + Z**2 / (4 * size**2))
    return max(middle - half, 0.0), min(middle + half, 1.0)
