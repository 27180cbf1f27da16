"""Searches as behaviour: the last search of each user, and how much it counts in the score of a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from models.events import Events, Floats, Ints
from models.sequence.users import LastSearches
from models.text.towers import Words

MAX_AGE_S = 24 * 3600
"""An older search no longer counts."""
CHOSEN_WITHIN_S = 600
"""An item that the same user comes to within this time of a search counts as chosen because of it."""
N_SEARCH_FEATURES = 4
USUAL_GATE = np.array([1.0, 0.0, -0.4, -0.3], np.float32)
"""Gate without real searches to fit it on, in units of the weight of a request: half after some minutes or events, nothing after a day."""


@dataclass(frozen=True)
class Searches:
    """Searches grouped by user, oldest first.

    text: row in vectors and texts; vectors: of the encoder, [texts, dim]; texts: None if only their meaning counts. time: unix seconds.
    """

    user: Ints
    time: Ints
    text: Ints
    vectors: Floats
    texts: Sequence[str | None] | None = None

    @staticmethod
    def build(user: Ints, time: Ints, text: Ints, vectors: Floats, texts: Sequence[str | None] | None = None) -> Searches:
        """Searches in any order; of simultaneous searches, the later row counts as later."""
        order = np.lexsort((np.arange(len(user)), time, user))
        return Searches(user[order], time[order], text[order], vectors, texts)

    def __len__(self) -> int:
        return len(self.user)

    def last_before(self, user: Ints, time: Ints) -> Ints:
        """[requests] row of the user's last search before a time and not older than MAX_AGE_S; -1 if there is none."""
        if not len(self):
            return np.full(len(user), -1)
        first = int(min(self.time.min(), time.min(initial=self.time.min())))
        span = int(max(self.time.max(), time.max(initial=first))) - first + 1
        row = np.searchsorted(self.user * span + self.time - first, user * span + time - first, side="left") - 1
        found = np.maximum(row, 0)
        is_there = (row >= 0) & (self.user[found] == user) & (time - self.time[found] <= MAX_AGE_S)
        return np.where(is_there, row, -1)

    def known_to(self, user: Ints, time: Ints) -> Searches:
        """The last search of each request's user before a time, numbered by request."""
        row = self.last_before(user, time)
        request = np.flatnonzero(row >= 0)
        row = row[request]
        return Searches(request, self.time[row], self.text[row], self.vectors, self.texts)

    def chosen_next(self, events: Events) -> tuple[Ints, Ints]:
        """(search, event) rows: each search with words and the same user's next event, if it is not late and no other search comes between.

        events: of users with the same numbers.
        """
        row = np.arange(len(self))
        if not len(self) or not len(events):
            return row[:0], row[:0]
        first = int(min(self.time.min(), events.time.min()))
        span = int(max(self.time.max(), events.time.max())) - first + 1
        searched, happened = (each.user * span + each.time - first for each in (self, events))
        event, later = np.searchsorted(happened, searched, side="right"), np.searchsorted(searched, searched, side="right")
        found, other = np.minimum(event, len(events) - 1), np.minimum(later, len(self) - 1)
        is_theirs = (event < len(events)) & (events.user[found] == self.user) & (events.time[found] - self.time <= CHOSEN_WITHIN_S)
        asks_again = (later < len(self)) & (self.user[other] == self.user) & (self.time[other] < events.time[found])
        kept = is_theirs & ~asks_again & self.vectors[self.text].any(1)
        return row[kept], found[kept]

    def asked(self, events: Events, user: Ints, now: Ints, known: tuple[Ints, Ints], *, delay_s: int = 0) -> Asked:
        """What each request's user searched for last, delay_s or more before `now`. known: ranges of the events that each list knows."""
        row = self.last_before(user, now - delay_s)
        has = row >= 0
        row = np.maximum(row, 0)
        if not len(self):
            nothing = np.zeros(len(user), np.int64)
            return Asked(np.zeros((len(user), self.vectors.shape[1]), np.float32), nothing, nothing)
        vectors = np.where(has[:, None], self.vectors[self.text[row]], 0).astype(np.float32)
        time = self.time[row]
        texts = None if self.texts is None else [self.texts[self.text[n]] if there else None for n, there in zip(row, has, strict=True)]
        return Asked(vectors, np.where(has, now - time, 0), np.where(has, n_since(events, *known, time), 0), texts)


@dataclass(frozen=True)
class Asked:
    """The last search of each request: its vector [requests, dim], zero without a search, its age and the number of events since.

    texts: the words of the searches, None without one; None as a whole if only their meaning is to count.
    """

    vectors: Floats
    age_s: Ints
    n_since: Ints
    texts: Sequence[str | None] | None = None

    def at(self, part: slice) -> Asked:
        """Some of the requests."""
        return Asked(self.vectors[part], self.age_s[part], self.n_since[part], None if self.texts is None else self.texts[part])

    def unanswered(self, now: Ints) -> LastSearches:
        """The searches after which the user did nothing. now: the time of each request."""
        return LastSearches(np.where((self.n_since == 0)[:, None], self.vectors, 0), now - self.age_s)

    def features(self, *, is_new: np.ndarray) -> Float[Tensor, "requests features"]:
        """One, whether the user has no history, the log of the search's age in minutes, and the log of the number of events since."""
        minutes = np.log1p(np.maximum(self.age_s, 0) / 60) / 3
        columns = [np.ones(len(minutes)), is_new, minutes, np.log1p(self.n_since)]
        return torch.from_numpy(np.stack(columns, 1).astype(np.float32))


def n_since(events: Events, start: Ints, stop: Ints, time: Ints) -> Ints:
    """[requests] number of events at or after a time, in half-open ranges of events, each oldest first."""
    low, high = start.copy(), stop.copy()
    while (low < high).any():  # a binary search in every range at once
        middle = (low + high) // 2
        is_open = low < high
        is_before = is_open & (events.time[np.minimum(middle, max(len(events) - 1, 0))] < time if len(events) else is_open)
        low = np.where(is_before, middle + 1, low)
        high = np.where(is_open & ~is_before, middle, high)
    return stop - low


def gate(features: Float[Tensor, "requests features"], weight: Float[Tensor, " features"]) -> Float[Tensor, "requests 1"]:
    """How much the search of each request counts; never below zero, so that a search does not push what it names down."""
    return (features @ weight).clamp_min(0)[:, None]


def search_term(words: Words, asked: Asked, *, is_new: np.ndarray) -> Float[Tensor, "requests items"]:
    """The term of each request's search in the score. is_new: [requests] whether the user has no history."""
    weight = words.weight * USUAL_GATE if words.search is None else words.search
    return gate(asked.features(is_new=is_new), torch.from_numpy(weight)) * words.matches(asked.vectors, asked.texts)
