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
    """Which row of every item matrix belongs to which item.

    text: float32 [items, text_dim], zero rows where an item has no text; None if none has any.
    """

    item_ids: tuple[str, ...]
    is_available: NDArray[np.bool_]
    text: Floats | None = None

    def __len__(self) -> int:
        return len(self.item_ids)


@dataclass(frozen=True)
class Events:
    """Events on items, grouped by user, oldest first within a user (ties: the order of the lake).

    user, item, kind: row numbers; time: unix seconds; weight: how much the event teaches.
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
        """Group events, given in order of time, by user."""
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
        """Where each user's events begin; one more entry for the end."""
        return np.concatenate([[0], np.cumsum(np.bincount(self.user, minlength=self.n_users))]).astype(np.int64)

    @cached_property
    def position(self) -> Ints:
        """How many events of the same user come before each event."""
        return np.arange(len(self)) - self.offsets[self.user]

    @cached_property
    def votes(self) -> Floats:
        """How much each event says about what is popular: its weight over (1 + n)^2 after n of its user with its item within a day.

        However often a bot clicks on an item, all of a day's clicks together weigh less than two.
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
    """What users did before the events at hand, where those are only the last of each.

    n_events: [users] how many events that was. start, stop: [users] half-open ranges of item, the catalog rows of what they had then,
    each once or more often.
    """

    n_events: Ints
    start: Ints
    stop: Ints
    item: Ints


@dataclass(frozen=True)
class TemporalSplit:
    """Half-open windows of time: training (-inf, validation_from), validation [.., test_from), test [test_from, inf)."""

    validation_from: int
    test_from: int

    @staticmethod
    def by_quantile(time: Ints, train_share: float, validation_share: float) -> TemporalSplit:
        """Split where the given shares of the events have happened."""
        validation_from, test_from = np.quantile(time, [train_share, min(train_share + validation_share, 1.0)], method="higher")
        return TemporalSplit(int(validation_from), int(test_from))


@dataclass(frozen=True)
class Windows:
    """Stretches of users' event streams.

    Window w predicts events start[w] .. stop[w]-1 (rows of Events) from the tokens before each; of those, events from
    target[w] on count. A stream begins with a start token, so a user's first event is predicted too.
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
    """Cut every user's stream into windows of at most max_events, counted from its end; every event is a target once."""
    counts = np.diff(events.offsets)
    n_windows = -(-counts // max_events)
    user = np.repeat(np.arange(events.n_users), n_windows)
    nth_from_end = _ramp(n_windows)
    stop = events.offsets[user + 1] - nth_from_end * max_events
    start = np.maximum(stop - max_events, events.offsets[user])
    return Windows(start, start, stop)


def target_windows(events: Events, rows: Ints, max_events: int) -> Windows:
    """Windows in which every given row is a target exactly once, with at least half a window of history where there is one.

    rows: sorted row numbers. Rows of a user that are not asked for may lie in a window.
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
    """0..n-1 for every n in counts, one after the other."""
    ends = np.cumsum(counts)
    return np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - counts, counts)


def ragged_rows(start: Ints, stop: Ints) -> tuple[Ints, Ints]:
    """For every half-open range: (its number, row) for all of its rows."""
    counts = stop - start
    return np.repeat(np.arange(len(start)), counts), np.repeat(start, counts) + _ramp(counts)


def usual_span(time: Ints) -> tuple[int, int]:
    """The first and the last moment; those of all but a hundredth at either end, where a few far away stretch it over ten times that."""
    if not len(time):
        return 0, 0
    first, since, until, last = (int(moment) for moment in np.quantile(time, [0, 0.01, 0.99, 1], method="nearest"))
    return (first, last) if last - first <= 10 * (until - since) else (since, until)


def offsets_of(events: Events, n_users: int) -> Ints:
    """Where each of n_users begins, and the end; users past the last one with events are empty."""
    return np.concatenate([events.offsets, np.full(max(n_users + 1 - len(events.offsets), 0), len(events))])[: n_users + 1]


def seen_items(events: Events, offsets: Ints, earlier: Earlier | None, users: slice | Ints) -> tuple[Ints, Ints]:
    """(place among some users, item) of all that they had; offsets: where the events of each user begin, and the end."""
    number, row = ragged_rows(offsets[:-1][users], offsets[1:][users])
    if earlier is None:
        return number, events.item[row]
    number_before, row_before = ragged_rows(earlier.start[users], earlier.stop[users])
    return np.concatenate([number, number_before]), np.concatenate([events.item[row], earlier.item[row_before]])


def sample(rows: Ints, n: int, seed: int) -> Ints:
    """At most n rows, drawn evenly, sorted."""
    return rows if len(rows) <= n else np.sort(np.random.default_rng(seed).choice(rows, n, replace=False))


def windows_as_users(events: Events, windows: Windows) -> Events:
    """Each window as a user of its own; what comes before its target weighs nothing."""
    number, row = ragged_rows(windows.start, windows.stop)
    weight = np.where(row >= windows.target[number], events.weight[row], 0).astype(np.float32)
    return Events(number, events.item[row], events.kind[row], events.time[row], weight, len(windows), events.n_items, events.n_kinds)
