"""Events as flat arrays: no Python object per event, no padding at rest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
REPEAT_WINDOW_S = 24 * 3600


@dataclass(frozen=True)
class Catalog:
    """The items, in the order of the rows of every item matrix.

    text: float32 [items, text_dim], zero rows for items without text; None if no item has text.
    """

    item_ids: tuple[str, ...]
    is_available: NDArray[np.bool_]
    text: Floats | None = None

    def __len__(self) -> int:
        return len(self.item_ids)


@dataclass(frozen=True)
class Events:
    """Events on items, grouped by user, oldest first within a user (ties: in the order of the lake).

    user, item, kind: row numbers; time: unix seconds; weight: weight in training.
    """

    user: Ints
    item: Ints
    kind: Ints
    time: Ints
    weight: Floats
    n_users: int
    n_items: int
    n_kinds: int

    @staticmethod
    def build(user: Ints, item: Ints, kind: Ints, time: Ints, weight: Floats, *, n_items: int, n_kinds: int) -> Events:
        """Group events by user; the given events are in order of time."""
        order = np.argsort(user, kind="stable")
        return Events(
            user=user[order].astype(np.int64),
            item=item[order].astype(np.int64),
            kind=kind[order].astype(np.int64),
            time=time[order].astype(np.int64),
            weight=weight[order].astype(np.float32),
            n_users=int(user.max()) + 1 if len(user) else 0,
            n_items=n_items,
            n_kinds=n_kinds,
        )

    def __len__(self) -> int:
        return len(self.user)

    @cached_property
    def offsets(self) -> Ints:
        """Index of each user's first event, and the total number of events as last entry."""
        return np.concatenate([[0], np.cumsum(np.bincount(self.user, minlength=self.n_users))]).astype(np.int64)

    @cached_property
    def position(self) -> Ints:
        """Number of earlier events of the same user, for each event."""
        return np.arange(len(self)) - self.offsets[self.user]

    @cached_property
    def votes(self) -> Floats:
        """Weight of each event in popularity: its weight / (1 + n)^2, n being the same user's events on the item in the day before.

        However often a bot clicks on an item, all clicks of a day together weigh less than two.
        """
        if not len(self):
            return self.weight
        time = self.time - self.time.min()
        span = int(time.max()) + 1
        key = (self.user * self.n_items + self.item) * span + time
        order = np.argsort(key, kind="stable")
        ordered = key[order]
        since = np.maximum(ordered - REPEAT_WINDOW_S, ordered - time[order])
        n_before = np.arange(len(key)) - np.searchsorted(ordered, since, side="left")
        out = np.empty(len(key), np.float32)
        out[order] = self.weight[order] / (1 + n_before) ** 2
        return out

    @cached_property
    def by_time(self) -> Ints:
        """Rows in order of time."""
        return np.argsort(self.time, kind="stable")

    def where(self, keep: NDArray[np.bool_]) -> Events:
        """The events that a mask keeps; users and items keep their rows."""
        return Events(
            self.user[keep],
            self.item[keep],
            self.kind[keep],
            self.time[keep],
            self.weight[keep],
            self.n_users,
            self.n_items,
            self.n_kinds,
        )

    def before(self, time: int) -> Events:
        """The events in (-inf, time)."""
        return self.where(self.time < time)


@dataclass(frozen=True)
class Earlier:
    """Earlier history of users of whom only the last events are loaded.

    n_events: [users] number of earlier events. start, stop: [users] half-open ranges of `item`, the catalog rows of the earlier
    items; an item may occur more than once.
    """

    n_events: Ints
    start: Ints
    stop: Ints
    item: Ints


@dataclass(frozen=True)
class TemporalSplit:
    """Half-open periods: training (-inf, validation_from), validation [.., test_from), test [test_from, inf)."""

    validation_from: int
    test_from: int

    @staticmethod
    def by_quantile(time: Ints, train_share: float, validation_share: float) -> TemporalSplit:
        """Split at the moments by which the given shares of the events have happened."""
        validation_from, test_from = np.quantile(time, [train_share, min(train_share + validation_share, 1.0)], method="higher")
        return TemporalSplit(int(validation_from), int(test_from))


@dataclass(frozen=True)
class Windows:
    """Consecutive parts of users' event streams.

    Window w predicts events start[w] .. stop[w]-1 (rows of Events) from the tokens before each. Only the predictions of
    events from target[w] on count. A stream begins with a start token, so a user's first event is predicted too.
    """

    start: Ints
    target: Ints
    stop: Ints

    def __len__(self) -> int:
        return len(self.start)

    @property
    def length(self) -> Ints:
        return self.stop - self.start


def training_windows(events: Events, max_events: int) -> Windows:
    """Every user's stream, cut from its end into windows of at most max_events; every event is a target exactly once."""
    counts = np.diff(events.offsets)
    n_windows = -(-counts // max_events)
    user = np.repeat(np.arange(events.n_users), n_windows)
    nth_from_end = _ramp(n_windows)
    stop = events.offsets[user + 1] - nth_from_end * max_events
    start = np.maximum(stop - max_events, events.offsets[user])
    return Windows(start, start, stop)


def target_windows(events: Events, rows: Ints, max_events: int) -> Windows:
    """Windows in which every given row is a target exactly once, with at least half a window of history if the user has one.

    rows: sorted row numbers. A window may also contain other rows of the user.
    """
    half = max(max_events // 2, 1)
    bucket = events.position[rows] // half
    key = events.user[rows] * (int(bucket.max(initial=0)) + 1) + bucket
    first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]])) if len(rows) else np.empty(0, np.int64)
    last = np.concatenate([first[1:], [len(rows)]]) - 1 if len(rows) else np.empty(0, np.int64)
    target, stop = rows[first], rows[last] + 1
    start = np.maximum(stop - max_events, events.offsets[events.user[target]])
    return Windows(start, target, stop)


def _ramp(counts: Ints) -> Ints:
    """0..n-1 for every n in counts, concatenated."""
    ends = np.cumsum(counts)
    return np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - counts, counts)


def ragged_rows(start: Ints, stop: Ints) -> tuple[Ints, Ints]:
    """(range number, row) of every row in the given half-open ranges."""
    counts = stop - start
    return np.repeat(np.arange(len(start)), counts), np.repeat(start, counts) + _ramp(counts)


def usual_span(time: Ints) -> tuple[int, int]:
    """First and last time. If outliers stretch the span more than tenfold, the 1 % and 99 % quantiles instead."""
    if not len(time):
        return 0, 0
    first, since, until, last = (int(moment) for moment in np.quantile(time, [0, 0.01, 0.99, 1], method="nearest"))
    return (first, last) if last - first <= 10 * (until - since) else (since, until)


def offsets_of(events: Events, n_users: int) -> Ints:
    """`events.offsets` extended to n_users; users after the last one with events have empty ranges."""
    return np.concatenate([events.offsets, np.full(max(n_users + 1 - len(events.offsets), 0), len(events))])[: n_users + 1]


def seen_items(events: Events, offsets: Ints, earlier: Earlier | None, users: slice | Ints) -> tuple[Ints, Ints]:
    """(index within `users`, item) of every item that these users had. offsets: as in `offsets_of`."""
    number, row = ragged_rows(offsets[:-1][users], offsets[1:][users])
    if earlier is None:
        return number, events.item[row]
    number_before, row_before = ragged_rows(earlier.start[users], earlier.stop[users])
    return np.concatenate([number, number_before]), np.concatenate([events.item[row], earlier.item[row_before]])


def sample(rows: Ints, n: int, seed: int) -> Ints:
    """At most n rows, drawn uniformly, sorted."""
    return rows if len(rows) <= n else np.sort(np.random.default_rng(seed).choice(rows, n, replace=False))


def join_users(first: Events, n_first: int, second: Events) -> Events:
    """The events of both; the users of the second follow the n_first users of the first."""
    user = np.concatenate([first.user, second.user + n_first])
    return Events(
        user=user,
        item=np.concatenate([first.item, second.item]),
        kind=np.concatenate([first.kind, second.kind]),
        time=np.concatenate([first.time, second.time]),
        weight=np.concatenate([first.weight, second.weight]),
        n_users=int(user.max()) + 1 if len(user) else 0,
        n_items=first.n_items,
        n_kinds=first.n_kinds,
    )


def windows_as_users(events: Events, windows: Windows) -> Events:
    """Each window as a separate user; events before the first target have weight 0."""
    number, row = ragged_rows(windows.start, windows.stop)
    weight = np.where(row >= windows.target[number], events.weight[row], 0).astype(np.float32)
    return Events(number, events.item[row], events.kind[row], events.time[row], weight, len(windows), events.n_items, events.n_kinds)
