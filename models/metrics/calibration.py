"""Calibration of interests: whether a list has the interests of its user's history, in the same proportions (Steck 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from models.events import Floats, Ints
from models.metrics.lists import as_matrix

ALPHA = 0.01
"""Share of the history in the smoothed distribution of a list, so that an interest that is missing on it has a finite cost."""
BLOCK = 16_384


@dataclass(frozen=True)
class Calibration:
    """divergence: [lists], 0 is perfect; nan if history or list have no interests. wanted, shown: [interests] mean shares of both."""

    divergence: Floats
    wanted: Floats
    shown: Floats


def item_interests(shares: csr_matrix) -> csr_matrix:
    """p(g|i): the interests of each item as one distribution; an item without interests stays zero. shares: [items, interests]."""
    total = np.asarray(shares.sum(1)).ravel()
    scale = np.divide(1, total, out=np.zeros(len(total), np.float64), where=total > 0)
    return csr_matrix(shares.multiply(scale[:, None]), dtype=np.float32)


def calibrate(history: csr_matrix, top: Ints, interests: csr_matrix) -> Calibration:
    """Kullback-Leibler divergence of the interests of each list from those of its user's history.

    Steck 2018, "Calibrated recommendations", section 3: C_KL(p, q) = sum over g of p(g|u) log(p(g|u) / q'(g|u)) with
    q' = (1 - ALPHA) q + ALPHA p. All events of the history, and all places of the list, have the same weight.
    history: [lists, items] number of events; top: [lists, k], -1 at the end of a shorter list; interests: as from `item_interests`.
    """
    n_lists, n_interests = len(top), interests.shape[1]
    divergence = np.full(n_lists, np.nan, np.float32)
    wanted, shown, n_known = np.zeros(n_interests), np.zeros(n_interests), 0
    for first in range(0, n_lists, BLOCK):
        part = slice(first, min(first + BLOCK, n_lists))
        p, p_total = _distribution(history[part] @ interests)
        q, q_total = _distribution(as_matrix(top[part], interests.shape[0]) @ interests)
        known = (p_total > 0) & (q_total > 0)
        row = np.repeat(np.arange(p.shape[0]), np.diff(p.indptr))
        mixed = (1 - ALPHA) * q.toarray()[row, p.indices] + ALPHA * p.data
        cost = np.bincount(row, p.data * np.log(p.data / np.maximum(mixed, np.finfo(np.float32).tiny)), minlength=p.shape[0])
        divergence[part] = np.where(known, np.maximum(cost, 0), np.nan)
        wanted += known @ p
        shown += known @ q
        n_known += int(known.sum())
    return Calibration(divergence, *((total / max(n_known, 1)).astype(np.float32) for total in (wanted, shown)))


def _distribution(weight: csr_matrix) -> tuple[csr_matrix, Floats]:
    """Rows that sum to 1, without zeros, and their sums before."""
    weight.eliminate_zeros()
    total = np.asarray(weight.sum(1), np.float32).ravel()
    weight.data = weight.data / np.repeat(total, np.diff(weight.indptr))
    return weight, total
