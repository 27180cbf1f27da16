"""Keeps the ids of clusters from night to night: a cluster that has most of its items in common with an earlier one is that one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix

from models.interests.vocabulary import Interests

LEAST_OVERLAP = 0.2
"""Share of the items of both clusters that both must have; with less in common, a cluster is a new one."""


def with_known_ids(new: Interests, new_items: Sequence[str], old: Interests, old_items: Sequence[str]) -> Interests:
    """The interests with the cluster ids of an earlier version where clusters share items; all other clusters get unused numbers.

    new_items, old_items: the ids of the items of both versions, in the order of their rows.
    """
    ids, number = list(new.interest_ids), old.next_cluster
    clusters = [row for row, kind in enumerate(new.kinds) if kind == "cluster"]
    known = [row for row, kind in enumerate(old.kinds) if kind == "cluster"]
    for row, same in zip(clusters, matched(new, new_items, clusters, old, old_items, known), strict=True):
        if same is not None:
            ids[row] = old.interest_ids[known[same]]
        else:
            ids[row], number = f"cluster:{number}", number + 1
    return replace(new, interest_ids=tuple(ids), next_cluster=number)


def matched(
    new: Interests, new_items: Sequence[str], clusters: Sequence[int], old: Interests, old_items: Sequence[str], known: Sequence[int]
) -> list[int | None]:
    """For each new cluster the place of the old one that it continues; no two continue the same.

    The pairs maximise the number of shared items; a pair that shares less than LEAST_OVERLAP is none.
    """
    if not clusters or not known:
        return [None] * len(clusters)
    row = {item_id: n for n, item_id in enumerate(old_items)}
    place = np.array([row.get(item_id, -1) for item_id in new_items], np.int64)
    shared = np.flatnonzero(place >= 0)
    a, b = _is_in(new, clusters)[shared], _is_in(old, known)[place[shared]]
    both = np.asarray((a.T @ b).todense())
    either = np.asarray(a.sum(0)).reshape(-1, 1) + np.asarray(b.sum(0)).reshape(1, -1) - both
    overlap = both / np.maximum(either, 1)
    out: list[int | None] = [None] * len(clusters)
    for one, other in zip(*linear_sum_assignment(both, maximize=True), strict=True):
        if overlap[one, other] >= LEAST_OVERLAP:
            out[int(one)] = int(other)
    return out


def _is_in(interests: Interests, rows: Sequence[int]) -> csr_matrix:
    """1 where an item belongs to one of the given interests, sparse [items, rows]."""
    return csr_matrix((interests.shares[:, list(rows)] > 0).astype(np.float32))
