"""What may be said about two arms at any time, however often somebody has looked before.

The interval is the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory
and asymptotic confidence sequences", Annals of Statistics 52 (2024), theorem 2.2: Robbins' normal mixture around the mean of n values,
whose running intersection keeps its level at every n at once. The values are those of users, not of impressions, because the impressions
of one user are not independent. A ratio such as the click-through rate is linearised (delta method; Deng, Knoblich and Lu, KDD 2018).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln

LEVEL = 0.05
"""Probability that a sequence ever excludes the true difference."""
TIGHTEST_AT = 2000
"""Number of users at which the interval is tightest for its level."""
PRIOR = 100.0
"""Weight of the prior of `sample_ratio_evidence`, in users."""


class RatioDifference(NamedTuple):
    """The ratio of the challenger minus that of the control, or one ratio, and its interval; infinite bounds if the data allow none."""

    difference: float
    low: float
    high: float


def mixture_radius(n: int, level: float = LEVEL, tightest_at: int = TIGHTEST_AT) -> float:
    """Half the width of the interval around a mean of n values of variance 1 (theorem 2.2).

    sqrt(2 (n r^2 + 1) / (n^2 r^2) log(sqrt(n r^2 + 1) / level)). r makes it tightest at `tightest_at`: n r^2 = -W(-level^2 / e) - 1 with
    the lower branch of Lambert's W, here -2 log level + log(1 - 2 log level).
    """
    squared = (-2 * math.log(level) + math.log(-2 * math.log(level) + 1)) / tightest_at
    inner = n * squared + 1
    return math.sqrt(2 * inner / (n * n * squared) * math.log(math.sqrt(inner) / level))


def ratio_difference(
    numerator: ArrayLike, denominator: ArrayLike, is_challenger: ArrayLike, level: float = LEVEL, tightest_at: int = TIGHTEST_AT
) -> RatioDifference:
    """The difference of two arms in sum(numerator) / sum(denominator), one value per user, with its confidence sequence.

    Users whose denominator is 0 say nothing and are left out. The bounds are infinite with fewer than two users in an arm.
    """
    above, below, challenger = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64), np.asarray(is_challenger, bool)
    seen = below > 0
    arms = [(above[seen & arm], below[seen & arm]) for arm in (challenger, ~challenger)]
    if min(len(part) for part, _ in arms) < 2:
        return RatioDifference(math.nan, -math.inf, math.inf)
    (ours, our_variance), (theirs, their_variance) = (_ratio(*arm) for arm in arms)
    n = int(seen.sum())
    spread = math.sqrt(n * (our_variance + their_variance))
    radius = spread * mixture_radius(n, level, tightest_at)
    return RatioDifference(ours - theirs, ours - theirs - radius, ours - theirs + radius)


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> tuple[float, float]:
    """A ratio of sums over users and the variance of this ratio: that of the mean of (above - ratio x below) / mean(below)."""
    ratio = above.sum() / below.sum()
    return float(ratio), float(((above - ratio * below) / below.mean()).var(ddof=1) / len(above))


def ratio_interval(numerator: ArrayLike, denominator: ArrayLike, level: float = LEVEL, tightest_at: int = TIGHTEST_AT) -> RatioDifference:
    """sum(numerator) / sum(denominator) over users, one value per user, with its confidence sequence; infinite bounds below two users."""
    above, below = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    seen = below > 0
    n = int(seen.sum())
    if n < 2:
        return RatioDifference(math.nan, -math.inf, math.inf)
    ratio, variance = _ratio(above[seen], below[seen])
    radius = math.sqrt(n * variance) * mixture_radius(n, level, tightest_at)
    return RatioDifference(ratio, ratio - radius, ratio + radius)


def sample_ratio_evidence(n_challenger: int, n_control: int, share: float, prior: float = PRIOR) -> float:
    """Evidence that users are not divided by the share: a Bayes factor, of which one may say so at any time if it is above 1 / level.

    Lindon and Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022, equation 6 for two arms: the beta-binomial
    likelihood, with a prior around the share, over the binomial one. A wrong division hints at broken logging, and then no figure counts.
    """
    a, b = prior * share, prior * (1 - share)
    fitted = betaln(a + n_challenger, b + n_control) - betaln(a, b)
    expected = n_challenger * math.log(share) + n_control * math.log1p(-share)
    return math.exp(min(float(fitted) - expected, 700.0))
