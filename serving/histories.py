"""What the model reads of the people who wait for a list: their published history and what they did since, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.events import Earlier, Events, Floats, Ints
from models.ranking.blend import log_trend
from models.ranking.searches import Searches
from models.text.clean import clean_text
from serving.published import LastSearch, Published
from serving.rules import Event


@dataclass(frozen=True)
class Pending:
    """An accepted event that the publication in memory does not contain.

    vector: of a search, if it has words. segment: of the log. number: its place in the order of acceptance.
    """

    event: Event
    vector: np.ndarray | None = None
    segment: str = ""
    number: int = 0


@dataclass(frozen=True)
class Person:
    """Who a list is for. user_ids: the names of one person, such as user and session; taught: their pending events that the model reads.

    pending: all their pending events. looking_at: catalog rows of the items that are in front of them.
    """

    user_ids: tuple[str, ...]
    taught: Sequence[Event] = ()
    pending: Sequence[Pending] = ()
    looking_at: tuple[int, ...] = ()

    def is_known(self, published: Published) -> bool:
        """Whether the model knows anything about the person; a list of what is popular is for the others."""
        found = (user_id in published.row_of_user or user_id in published.searches for user_id in self.user_ids)
        read = any(event.item_id in published.row_of_item for event in self.taught) or any(each.vector is not None for each in self.pending)
        return bool(self.looking_at) or read or any(found)

    def search(self, published: Published) -> LastSearch | None:
        """The last search of the person."""
        found = [published.searches[user_id] for user_id in self.user_ids if user_id in published.searches]
        found += [LastSearch(each.event.time_s, each.event.query or "", each.vector) for each in self.pending if each.vector is not None]
        return max(reversed(found), key=lambda each: each.time_s, default=None)  # of two at the same time, the later one in order


@dataclass(frozen=True)
class Gathered:
    """The histories of people, who are numbered in their order. Events are by person and time."""

    events: Events
    trend: Floats
    earlier: Earlier
    searches: Searches | None
    now: Ints

    def __len__(self) -> int:
        return len(self.now)


def gather(published: Published, people: Sequence[Person], now: Sequence[int]) -> Gathered:
    """The histories of people at the time of their requests. If a person has a later event or search, the list is made for that time."""
    parts = [_history(published, person, at) for person, at in zip(people, now, strict=True)]
    item, kind, time, trend = (np.concatenate([part[n] for part in parts]) for n in range(4))
    user = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    n_users = int(user.max()) + 1 if len(user) else 0
    weight = np.ones(len(user), np.float32)
    events = Events(user, item, kind, time, weight, n_users, len(published.items), published.events.n_kinds)
    last = [person.search(published) for person in people]
    asked = [
        max(at, int(part[2].max(initial=0)), 0 if search is None else search.time_s + 1)  # a list follows the searches before it
        for at, part, search in zip(now, parts, last, strict=True)
    ]
    return Gathered(events, trend.astype(np.float32), _earlier(published, people), _searches(last), np.array(asked, np.int64))


def _history(published: Published, person: Person, now: int) -> tuple[Ints, Ints, Ints, Floats]:
    """Items, kinds, times and trends of one person's events, oldest first; the items in front of them come last."""
    old, row_of, kinds = published.events, published.row_of_item, published.kind_of
    rows = [published.row_of_user[user_id] for user_id in person.user_ids if user_id in published.row_of_user]
    known = np.concatenate([np.empty(0, np.int64), *(np.arange(published.offsets[row], published.offsets[row + 1]) for row in rows)])
    new = [event for event in person.taught if event.item_id in row_of]
    item = np.array([*(row_of[event.item_id or ""] for event in new), *person.looking_at], np.int64)
    kind = np.array([*(kinds.get(event.event_type, 0) for event in new), *(kinds.get("view", 0) for _ in person.looking_at)], np.int64)
    newest = max(now, int(old.time[known].max(initial=0)), *(event.time_s for event in new), 0)
    time = np.array([*(event.time_s for event in new), *(newest for _ in person.looking_at)], np.int64)
    when = np.concatenate([old.time[known], time])
    order = np.argsort(when, kind="stable")
    columns = (
        np.concatenate([old.item[known], item]),
        np.concatenate([old.kind[known], kind]),
        when,
        np.concatenate([published.trend[known], _trend_of(published, item)]),
    )
    items, kinds_of, times, trends = (column[order] for column in columns)
    return items, kinds_of, times, trends


def _trend_of(published: Published, item: Ints) -> Floats:
    online = published.checkpoint.online
    if online is None:
        return np.full(len(item), published.checkpoint.blend.trend[0], np.float32)
    trend: Floats = log_trend(online.popularity.counts[:, item])
    return trend


def _earlier(published: Published, people: Sequence[Person]) -> Earlier:
    """The events that are older than the published histories, by person."""
    old, items, n_events = published.earlier, [np.empty(0, np.int64)], []
    for person in people:
        rows = [published.row_of_user[user_id] for user_id in person.user_ids if user_id in published.row_of_user]
        items.append(np.concatenate([np.empty(0, np.int64), *(old.item[old.start[row] : old.stop[row]] for row in rows)]))
        n_events.append(int(sum(old.n_events[row] for row in rows)))
    borders = np.cumsum([len(each) for each in items])
    return Earlier(np.array(n_events, np.int64), borders[:-1], borders[1:], np.concatenate(items))


def _searches(last: Sequence[LastSearch | None]) -> Searches | None:
    """last: by person."""
    found = [(number, each) for number, each in enumerate(last) if each is not None]
    if not found:
        return None
    return Searches(
        np.array([number for number, _ in found]),
        np.array([each.time_s for _, each in found]),
        np.arange(len(found)),
        np.stack([each.vector for _, each in found]),
        [clean_text(each.query) for _, each in found],
    )
