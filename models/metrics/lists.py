"""Lists as a sparse matrix."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from models.events import Ints


def as_matrix(top: Ints, n_items: int) -> csr_matrix:
    """[lists, items] with 1 for each item of a list. top: [lists, k], -1 at the end of a shorter list."""
    is_there = top >= 0
    ends = np.concatenate([[0], is_there.sum(1).cumsum()])
    return csr_matrix((np.ones(ends[-1], np.float32), top[is_there], ends), shape=(len(top), n_items))
