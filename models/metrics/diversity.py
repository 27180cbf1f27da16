"""Diversity within lists."""

from __future__ import annotations

import numpy as np

from models.events import Floats, Ints
from models.metrics.lists import as_matrix

BLOCK = 4096


def intra_list_distance(top: Ints, vectors: Floats) -> Floats:
    """[lists] mean cosine distance of the pairs of each list; 0 for a list of fewer than two items (Ziegler et al. 2005).

    top: [lists, k], -1 at the end of a shorter list. vectors: [items, dim], of unit length or zero. Of n unit vectors with sum s, the
    cosines of all ordered pairs sum to |s|^2 - n, so no pair is computed by itself.
    """
    squares = np.square(vectors).sum(1)
    distance = np.zeros(len(top), np.float32)
    for first in range(0, len(top), BLOCK):
        part = top[first : first + BLOCK]
        is_there, n = part >= 0, (part >= 0).sum(1)
        total = as_matrix(part, len(vectors)) @ vectors
        alike = (np.square(total).sum(1) - (squares[part] * is_there).sum(1)) / np.maximum(n * (n - 1), 1)
        distance[first : first + BLOCK] = np.where(n > 1, 1 - alike, 0)
    return distance
