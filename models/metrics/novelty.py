"""Novelty, serendipity and freshness of lists; all [lists], nan for an empty list. top: [lists, k], -1 at the end of a shorter list."""

from __future__ import annotations

import numpy as np

from models.events import Events, Floats, Ints
from models.metrics.accuracy import Hits

DAY_S = 24 * 3600


def mean_over_list(top: Ints, value: Floats) -> Floats:
    """Mean of a value [items], or [lists, k], over the items of each list."""
    each = value[top] if value.ndim == 1 else value
    is_there, n = top >= 0, (top >= 0).sum(1)
    total = np.where(is_there, each, 0).sum(1)
    mean: Floats = np.where(n > 0, total / np.maximum(n, 1), np.nan).astype(np.float32)
    return mean


def users_of_items(past: Events) -> tuple[Ints, int]:
    """[items] number of different users with an event on the item, and the number of users with any event."""
    pair = np.unique(past.user * past.n_items + past.item)
    return np.bincount(pair % past.n_items, minlength=past.n_items), len(np.unique(past.user))


def novelty(top: Ints, n_users_of: Ints, n_users: int) -> Floats:
    """Mean inverse user frequency: mean of -log2 of the share of users who had the item. An item that nobody had counts as had by one."""
    surprise = -np.log2(np.maximum(n_users_of, 1) / max(n_users, 1))
    return mean_over_list(top, surprise.astype(np.float32))


def popularity_rank(n_events: Ints) -> Ints:
    """[items] rank by number of events, 1 for the most popular; items with the same number share a rank, and 0 means without events."""
    counts = np.unique(n_events[n_events > 0])
    return np.where(n_events > 0, len(counts) - np.searchsorted(counts, n_events), 0)


def serendipity(hits: Hits, top: Ints, rank: Ints) -> Floats:
    """Mean over the list of max(p - pu, 0) at hits: how much better the list placed a chosen item than popularity does.

    With n items, p of place r is (n + 1 - r) / n, and pu is the same of the item's popularity rank; pu of an item without events is 0.
    The definition is that of RecTools. rank: as from `popularity_rank`.
    """
    n_items, place = len(rank), np.arange(1, top.shape[1] + 1)
    usual = np.where(rank > 0, (n_items + 1 - rank) / n_items, 0)
    gain = np.maximum((n_items + 1 - place) / n_items - usual[top], 0) * hits.is_hit
    return mean_over_list(top, gain.astype(np.float32))


def age_days(top: Ints, now: Ints, first_seen: Ints) -> Floats:
    """Freshness: mean age of the items of each list in days, since their first event; lower is fresher. now: [lists] unix seconds.

    An item whose first event comes after the list has age 0.
    """
    age = np.maximum(now[:, None] - first_seen[top], 0) / DAY_S
    return mean_over_list(top, age.astype(np.float32))


def first_seen(events: Events) -> Ints:
    """[items] unix seconds of the first event; the greatest integer without one."""
    first = np.full(events.n_items, np.iinfo(np.int64).max)
    np.minimum.at(first, events.item, events.time)
    return first
