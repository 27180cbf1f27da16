"""What a user did before a moment, counted by interest: decayed profiles, last items, transitions, and what is popular then.

Every count is a sum of shares of interests over events, so a source of evidence is a matrix [moments, interests]. The heads in
models/interests/capture.py turn counts into probabilities. Interests come in groups, such as topics and decades; shares of an item and
probabilities sum to 1 within each group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from models.events import Events, Floats, Ints, offsets_of, ragged_rows

HOUR = 3600.0
HALF_LIVES_H = (1.0, 24.0, 168.0, 1440.0)
"""Half-lives of the profiles in time."""
HALF_LIVES_EVENTS = (1.0, 3.0, 10.0)
"""Half-lives of the profiles in numbers of events, whenever they happened."""
POPULAR_H = (8.0, 72.0, 672.0, 8760.0)
"""Half-lives of what is popular now, ascending."""
MAX_HISTORY = 200
"""Newest events of a user that count."""
REACH = 5
"""A transition leads from an item to each of this many following items, with weight 1 / distance."""
SHRINKAGE = 10.0
"""Transitions of an item are mixed with this many transitions of its interests."""
SOURCES = (
    *(f"profile_{hours:g}h" for hours in HALF_LIVES_H),
    *(f"last_{n_events:g}" for n_events in HALF_LIVES_EVENTS),
    "last_item",
    "after_last_item",
    "after_last_3",
    "after_profile",
)
CONTEXT = ("log_events", "log_gap_hours", "has_no_event")


@dataclass(frozen=True)
class Moments:
    """Whom to ask about, and when: the user, the time in unix seconds, and the row of Events at which their known history stops."""

    user: Ints
    time: Ints
    stop: Ints

    def __len__(self) -> int:
        return len(self.user)

    def __getitem__(self, rows: slice | Ints) -> Moments:
        return Moments(self.user[rows], self.time[rows], self.stop[rows])

    @staticmethod
    def before(events: Events, rows: Ints) -> Moments:
        """Just before each of the given events."""
        return Moments(events.user[rows], events.time[rows], rows)

    @staticmethod
    def at(events: Events, n_users: int, now: Ints) -> Moments:
        """Every user at the given times [users]; events at that very time are known."""
        is_known = events.user < n_users
        is_known[is_known] = events.time[is_known] <= now[events.user[is_known]]
        n_known = np.bincount(events.user[is_known], minlength=n_users)
        return Moments(np.arange(n_users), now, offsets_of(events, n_users)[:-1] + n_known)


@dataclass(frozen=True)
class Transitions:
    """What followed what. item: sum of the shares of the items after each item, sparse [items, interests]; n_after: [items] their number,
    both weighted by 1 / distance; interest: probability of each interest after each other one of its group, [interests, interests].
    """

    item: csr_matrix
    n_after: Floats
    interest: Floats

    @staticmethod
    def learn(events: Events, shares: csr_matrix, group: Ints) -> Transitions:
        """Count the transitions of all given events. shares: [items, interests]."""
        n_items, n_interests = shares.shape
        item, n_after = csr_matrix(shares.shape, dtype=np.float32), np.zeros(n_items, np.float32)
        for distance in range(1, min(REACH, len(events) - 1) + 1):
            pair = np.flatnonzero(events.user[distance:] == events.user[:-distance])
            first, then, weight = events.item[pair], events.item[pair + distance], events.weight[pair + distance] / distance
            follows = csr_matrix((weight, (first, np.arange(len(pair)))), shape=(n_items, len(pair)), dtype=np.float32)
            item = item + follows @ shares[then]
            n_after += np.bincount(first, weight, minlength=n_items).astype(np.float32)
        interest = np.asarray((shares.T @ item).todense(), np.float32).reshape(n_interests, n_interests)
        interest *= group[:, None] == group
        sums = interest.sum(1, keepdims=True)
        return Transitions(item, n_after, np.divide(interest, sums, out=np.zeros_like(interest), where=sums > 0))

    def after(self, spread: csr_matrix, item: Ints, shares: csr_matrix) -> Floats:
        """Expected shares of what comes next, [moments, interests]. spread: weight of each item [moments, items]; shares: of these items.

        An item that is newer than the transitions has only those of its interests.
        """
        is_known = item < len(self.n_after)
        known = np.where(is_known, item, 0)
        n_after = np.where(is_known, self.n_after[known] if len(self.n_after) else 0, 0)
        weight = spread @ diags(1 / (n_after + SHRINKAGE))
        usual: Floats = (weight @ shares).toarray() @ (SHRINKAGE * self.interest)
        if not is_known.any():
            return usual
        return usual + (weight[:, is_known] @ self.item[item[is_known]]).toarray()


@dataclass(frozen=True)
class Popular:
    """Interests of everybody's events, decayed to `now` (unix seconds) with each of POPULAR_H: counts [half-lives, interests]."""

    counts: Floats
    now: int

    @staticmethod
    def none(n_interests: int, now: int) -> Popular:
        """Nothing has happened yet."""
        return Popular(np.zeros((len(POPULAR_H), n_interests), np.float32), now)

    def after(self, now: int, shares: csr_matrix | None = None, time: Ints | None = None) -> Popular:
        """The same at a later time, with more events: the shares of their items [events, interests], and when they happened."""
        half_lives_s = np.array(POPULAR_H)[:, None] * HOUR
        counts = self.counts * np.exp2(-max(now - self.now, 0) / half_lives_s)
        if shares is not None and time is not None and len(time):
            counts = counts + (shares.T @ np.exp2(-np.maximum(now - time, 0) / half_lives_s).T).T
        return Popular(counts.astype(np.float32), now)

    def shares(self, group: Ints) -> Floats:
        """Share of each interest in its group, [interests, half-lives], never 0.

        Each half-life is mixed with one event of the next longer one, and the longest with one of a uniform share.
        """
        out = np.empty(self.counts.T.shape, np.float32)
        longer = 1 / np.bincount(group)[group] if len(group) else np.empty(0)
        for column in reversed(range(len(POPULAR_H))):
            counts = self.counts[column]
            out[:, column] = longer = (counts + longer) / (group_sums(counts, group) + 1)
        return out


def popular_at(events: Events, shares: csr_matrix, moments: Ints, start: Popular | None = None) -> Iterator[Popular]:
    """What is popular just before each moment (sorted). Events before `start.now` count as known to `start`."""
    order = events.by_time
    time, item, votes = events.time[order], events.item[order], events.votes[order]
    state = start or Popular.none(shares.shape[1], int(time[0]) if len(time) else 0)
    done = int(np.searchsorted(time, state.now, side="left"))
    for now in moments:
        until = max(int(np.searchsorted(time, now, side="left")), done)
        state = state.after(int(now), diags(votes[done:until]) @ shares[item[done:until]] if until > done else None, time[done:until])
        done = until
        yield state


def group_sums(counts: Floats, group: Ints) -> Floats:
    """Sum of the counts [.., interests] over the group of each interest, [.., interests]."""
    out = np.empty_like(counts)
    for number in np.unique(group):
        out[..., group == number] = counts[..., group == number].sum(-1, keepdims=True)
    return out


@dataclass(frozen=True)
class Evidence:
    """The history before each moment: counts and mass [moments, interests, SOURCES], mass being the sum of a group's counts;
    context [moments, CONTEXT].
    """

    counts: Floats
    mass: Floats
    context: Floats

    @staticmethod
    def of(events: Events, moments: Moments, shares: csr_matrix, transitions: Transitions, group: Ints) -> Evidence:
        """Evidence of moments that fit into memory together. shares: [items, interests]."""
        history = _History.of(events, moments)
        own = shares[history.item]
        by_age = [history.spread(np.exp2(-history.age_s / (hours * HOUR))) for hours in HALF_LIVES_H]
        by_place = [history.spread(np.exp2(-history.place / n_events)) for n_events in HALF_LIVES_EVENTS]
        last = history.spread(history.place == 0)
        found = [(spread @ own).toarray() for spread in (*by_age, *by_place, last)]
        found += [transitions.after(spread, history.item, own) for spread in (last, by_place[1], by_age[-1])]
        counts = np.stack(found, 1).astype(np.float32)
        by_moment = [np.ascontiguousarray(part.transpose(0, 2, 1)) for part in (counts, group_sums(counts, group))]
        return Evidence(by_moment[0], by_moment[1], history.context)


@dataclass(frozen=True)
class _History:
    """The newest events before each moment, in the order of moments.

    age_s, place (0 is the newest) and weight: of each event; column: its row in `item`, which has each item once; first: [moments + 1].
    """

    age_s: Ints
    place: Ints
    weight: Floats
    column: Ints
    item: Ints
    first: Ints
    gap_s: Floats

    @staticmethod
    def of(events: Events, moments: Moments) -> _History:
        offsets = offsets_of(events, int(moments.user.max(initial=-1)) + 1)
        start = np.maximum(offsets[moments.user], moments.stop - MAX_HISTORY)
        number, row = ragged_rows(start, moments.stop)
        item, column = np.unique(events.item[row], return_inverse=True)
        age_s = np.maximum(moments.time[number] - events.time[row], 0)
        place = moments.stop[number] - 1 - row
        gap_s = np.zeros(len(moments), np.float32)
        gap_s[number[place == 0]] = age_s[place == 0]
        return _History(age_s, place, events.weight[row], column, item, np.concatenate([[0], np.cumsum(moments.stop - start)]), gap_s)

    def spread(self, factor: NDArray) -> csr_matrix:
        """Weight of each item, sparse [moments, items]: the weight of each event times a factor."""
        shape = (len(self.first) - 1, len(self.item))
        return csr_matrix(((self.weight * factor).astype(np.float32), self.column, self.first), shape=shape)

    @cached_property
    def context(self) -> Floats:
        n_events = np.diff(self.first)
        return np.stack([np.log1p(n_events), np.log1p(self.gap_s / HOUR), n_events == 0], 1).astype(np.float32)
