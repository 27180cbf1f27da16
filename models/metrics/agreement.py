"""How far two lists of the same user agree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.events import Ints

PERSISTENCE = 0.9
"""Probability p of reading on after each rank: the first ten ranks have 86 % of the weight (Webber et al. 2010, equation 21)."""
USERS_AT_ONCE = 2000


def rank_biased_overlap(before: Ints, after: Ints, p: float = PERSISTENCE) -> NDArray[np.float64]:
    """Extrapolated rank-biased overlap of two lists of each user: 1 for equal lists, 0 for lists without a common item.

    before, after: [users, ranks] items, best first, none twice, -1 after the end of a shorter list. Equation 32 of Webber, Moffat and Zobel
    2010, "A similarity measure for indefinite rankings", which takes lists of unequal length. Two empty lists agree; an empty list and
    another do not.
    """
    parts = range(0, len(before), USERS_AT_ONCE)
    found = [_of_block(before[first : first + USERS_AT_ONCE], after[first : first + USERS_AT_ONCE], p) for first in parts]
    return np.concatenate(found) if found else np.empty(0)


def _of_block(before: Ints, after: Ints, p: float) -> NDArray[np.float64]:
    depth = max(before.shape[1], after.shape[1], 1)
    before, after = (np.pad(lists, ((0, 0), (0, depth - lists.shape[1])), constant_values=-1) for lists in (before, after))
    shorter, longer = np.sort([(before >= 0).sum(1), (after >= 0).sum(1)], axis=0)
    user, row, column = np.nonzero((before[:, :, None] == after[:, None, :]) & (before >= 0)[:, :, None])
    common = np.zeros((len(before), depth))
    np.add.at(common, (user, np.maximum(row, column)), 1)
    overlap = common.cumsum(1)  # X_d
    at, one = np.arange(1, depth + 1), np.arange(len(before))
    length, short = np.maximum(longer, 1), np.maximum(shorter, 1)
    in_short = overlap[one, short - 1]  # X_s
    beyond = np.where(at > shorter[:, None], in_short[:, None] * (at - short[:, None]) / (short[:, None] * at), 0)
    sums = np.where(at <= longer[:, None], (overlap / at + beyond) * p**at, 0).sum(1)
    whole = overlap[one, length - 1]  # X_l
    value = (1 - p) / p * sums + ((whole - in_short) / length + in_short / short) * p**length
    return np.where(longer == 0, 1.0, np.where(shorter == 0, 0.0, value))


def replaced(before: Ints, after: Ints, k: int = 10) -> NDArray[np.float64]:
    """Share of the first k places after that have an item which was not in the first k before, by user; 0 for a list without items."""
    first, second = before[:, :k], after[:, :k]
    is_there = second >= 0
    is_new = is_there & ~(second[:, :, None] == first[:, None, :]).any(2)
    return is_new.sum(1) / np.maximum(is_there.sum(1), 1)


def is_changed(before: Ints, after: Ints, k: int = 10) -> NDArray[np.bool_]:
    """Whether the first k places differ in items or order, by user."""
    first, second = before[:, :k], after[:, :k]
    width = max(first.shape[1], second.shape[1])
    first, second = (np.pad(lists, ((0, 0), (0, width - lists.shape[1])), constant_values=-1) for lists in (first, second))
    return (first != second).any(1)
