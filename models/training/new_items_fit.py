"""Fits how much more often new items are chosen than their scores say: Bayesian linear regression with a part of each item's own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

WEIGHTS_SD = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Standard deviations of the part that the text explains, of which the evidence chooses."""
SPREADS = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Standard deviations of the items' own parts."""
USUAL_SD, USUAL_SPREAD = 0.4, 0.8
"""What is assumed with few items: the centres of log-normal priors whose deviation is 1."""


def fit_ratios(chosen: Doubles, expected: Doubles, text: Doubles) -> tuple[Doubles, Doubles, float]:
    """Mean and factor of the posterior of the weights of (1, text), and the spread of the items' own parts.

    chosen, expected: [items] how often each item was chosen, and how often its scores said. The log ratio of two counts, each plus 1/2, is
    close to normal, with variance 1 / (expected + 1/2) (Haldane 1956; Anscombe 1956). With the own parts, whose variance is spread^2, this
    is a linear regression with known noise: Bishop 2006, eq. 3.53 and 3.54. The two deviations maximise the evidence, eq. 3.86.
    """
    length = np.sqrt(max(float(np.square(text).sum(1).mean()), 1e-12)) if len(text) else 1.0
    features = np.hstack([np.ones((len(text), 1)), text / length]).astype(np.float64)
    ratio, noise = np.log((chosen + 0.5) / (expected + 0.5)), 1 / (expected + 0.5)
    found = [(_fit(features, ratio, noise + spread**2, sd), sd, spread) for sd in WEIGHTS_SD for spread in SPREADS]
    (_, mean, factor), _, spread = max(found, key=lambda each: each[0][0] + _prior(each[1], USUAL_SD) + _prior(each[2], USUAL_SPREAD))
    back = np.concatenate([[1.0], np.full(text.shape[1], 1 / length)])
    return mean * back, factor * back[:, None], spread


def _prior(value: float, usual: float) -> float:
    return -0.5 * float(np.log(value / usual)) ** 2


def _fit(features: Doubles, ratio: Doubles, variance: Doubles, sd: float) -> tuple[float, Doubles, Doubles]:
    """Log evidence, mean, and factor of the covariance. sd: of each weight before any item."""
    n, dim = features.shape
    precision = np.eye(dim) / sd**2 + features.T @ (features / variance[:, None])
    root = np.linalg.cholesky(precision)
    factor = np.linalg.inv(root).T
    mean = factor @ (factor.T @ (features.T @ (ratio / variance)))
    log_det = 2 * np.log(np.diag(root)).sum() + 2 * dim * np.log(sd) + np.log(variance).sum()
    fit = (np.square(ratio) / variance).sum() - mean @ (precision @ mean)
    return float(-0.5 * (fit + log_det + n * np.log(2 * np.pi))), mean, factor
