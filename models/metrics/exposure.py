"""Exposure of items: how often each is on a list, and how evenly exposure is spread. top: [lists, k], -1 at the end of a shorter list."""

from __future__ import annotations

import numpy as np

from models.events import Floats, Ints

PER_DEMAND = "exposure_per_demand"
"""Share of all exposure that a group of items has, relative to its share of the events that lists should predict."""


def exposure(top: Ints, n_items: int) -> Ints:
    """[items] number of lists with the item."""
    return np.bincount(top[top >= 0], minlength=n_items)


def coverage(count: Ints) -> float:
    """Share of the catalogue that is on any list. count: as from `exposure`."""
    return float((count > 0).mean())


def lorenz(count: Ints) -> Floats:
    """[items + 1] share of all exposure that the n least exposed items have, for n from 0 to all; the diagonal without any exposure."""
    total = np.concatenate([[0.0], np.sort(count).cumsum()])
    if not total[-1]:
        return np.linspace(0, 1, len(total), dtype=np.float32)
    return (total / total[-1]).astype(np.float32)


def gini(count: Ints) -> float:
    """Gini coefficient of exposure: 0 if all items have the same, close to 1 if one item has all. Twice the area above the Lorenz curve."""
    curve = lorenz(count).astype(np.float64)
    return float(1 - (curve[1:] + curve[:-1]).sum() / max(len(count), 1))


def exposure_by_group(count: Ints, share: Floats) -> Floats:
    """[groups] share of all exposure that each group of items has. share: [items, groups] share of the item that is in the group."""
    found: Floats = (count @ share / max(count.sum(), 1)).astype(np.float32)
    return found


def popularity_groups(n_events: Ints) -> Ints:
    """[items] number of the group: 0 head, 1 middle, 2 tail, 3 without events. Head, middle and tail have a third of the events each.

    The most popular items are the head. An item on a border belongs to the more popular group.
    """
    order = np.argsort(-n_events, kind="stable")
    before = np.concatenate([[0], n_events[order].cumsum()[:-1]])
    group = np.empty(len(n_events), np.int64)
    group[order] = np.minimum(3 * before // max(int(n_events.sum()), 1), 2)
    return np.where(n_events > 0, group, 3)
