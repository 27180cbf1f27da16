"""What a user did before a moment, counted by interest: decayed profiles, last items, transitions, and what is popular then.

Every count is a sum of shares of interests over events, so a source of evidence is a matrix [moments, interests]. The heads in
models/interests/capture.py turn counts into probabilities. Interests come in groups, such as topics and decades; shares of an item and
probabilities sum to 1 within each group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags, vstack

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
BLOCK_ITEMS = 8192
NEAR_SCALE, MAX_NEAR = 20.0, 8
"""The text of an item is near to an interest by the softmax of so many times their cosine; so many interests of a group are kept."""
SOURCES = (
    *(f"profile_{hours:g}h" for hours in HALF_LIVES_H),
    *(f"last_{n_events:g}" for n_events in HALF_LIVES_EVENTS),
    "last_item",
    *(f"{table}_{which}" for table in ("after", "around", "near") for which in ("last_item", "last_3", "profile")),
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
    """What came with what.

    item: sum of the shares of the items that came with each item, sparse [items, interests]; n: [items] their number; both weighted by
    1 / distance. interest: probability of each interest given another one of its group, sparse [interests, interests].
    """

    item: csr_matrix
    n: Floats
    interest: csr_matrix

    @staticmethod
    def learn(events: Events, shares: csr_matrix, group: Ints, *, both_ways: bool) -> Transitions:
        """Count what came after each item of all given events; with both_ways, also what came before. shares: [items, interests]."""
        n_items, n_interests = shares.shape
        item, n = csr_matrix(shares.shape, dtype=np.float32), np.zeros(n_items, np.float32)
        for distance in range(1, min(REACH, len(events) - 1) + 1):
            pair = np.flatnonzero(events.user[distance:] == events.user[:-distance])
            for first, then in ((pair, pair + distance), (pair + distance, pair))[: 1 + both_ways]:
                weight = events.weight[then] / distance
                place = (weight, (events.item[first], np.arange(len(pair))))
                item = item + csr_matrix(place, shape=(n_items, len(pair)), dtype=np.float32) @ shares[events.item[then]]
                n += np.bincount(events.item[first], weight, minlength=n_items).astype(np.float32)
        pairs = (shares.T @ item).tocoo()
        is_inside = group[pairs.row] == group[pairs.col]
        place = (pairs.row[is_inside], pairs.col[is_inside])
        interest = csr_matrix((pairs.data[is_inside], place), shape=(n_interests, n_interests), dtype=np.float32)
        sums = np.asarray(interest.sum(1)).ravel()
        return Transitions(item, n, (diags(1 / np.where(sums > 0, sums, 1)) @ interest).tocsr().astype(np.float32))

    def given(self, spread: csr_matrix, item: Ints, shares: csr_matrix) -> Floats:
        """Expected shares of what comes with the history, [moments, interests].

        spread: weight of each item [moments, items]; shares: of these items. A new item has only the transitions of its interests.
        """
        weight = spread @ diags(1 / (rows_of(self.n, item) + SHRINKAGE))
        usual = SHRINKAGE * (weight @ shares) @ self.interest
        found: Floats = (usual + weight @ rows_of(self.item, item)).toarray()
        return found


@dataclass(frozen=True)
class Tables:
    """Statistics of items and interests that hold for every user: what follows and surrounds an item, and the interests near a text.

    near: sparse [items, interests], shares that sum to at most 1 within each group; empty rows without texts.
    """

    after: Transitions
    around: Transitions
    near: csr_matrix

    @staticmethod
    def learn(events: Events, shares: csr_matrix, group: Ints, near: csr_matrix | None = None) -> Tables:
        """The tables of all given events."""
        after, around = (Transitions.learn(events, shares, group, both_ways=both_ways) for both_ways in (False, True))
        return Tables(after, around, csr_matrix(shares.shape, dtype=np.float32) if near is None else near)

    def on_items(self, place: Ints) -> Tables:
        """The tables with other items: [items] row of each in these tables; items with a row beyond the last are new."""
        after, around = (replace(each, item=rows_of(each.item, place), n=rows_of(each.n, place)) for each in (self.after, self.around))
        return Tables(after, around, rows_of(self.near, place))


def near_texts(text: Floats, vectors: Floats, group: Ints) -> csr_matrix:
    """Which interests the text of each item is near to: zero-shot shares, sparse [items, interests], of the MAX_NEAR best of each group.

    text: vectors of the encoder [items, dim]; vectors: of the interests [interests, dim]. Zero vectors are near to nothing.
    """
    parts: list[csr_matrix] = []
    for first in range(0, len(text), BLOCK_ITEMS):
        block = text[first : first + BLOCK_ITEMS]
        shares = np.zeros((len(block), len(group)), np.float32)
        has_text = np.abs(block).sum(1) > 0
        for number in np.unique(group):
            rows = np.flatnonzero((group == number) & (np.abs(vectors).sum(1) > 0))
            logits = NEAR_SCALE * block[has_text] @ vectors[rows].T
            if not logits.size:
                continue
            bound = np.partition(logits, -min(MAX_NEAR, len(rows)), axis=1)[:, [-min(MAX_NEAR, len(rows))]]
            weight = np.where(logits >= bound, np.exp(logits - logits.max(1, keepdims=True)), 0)
            shares[np.ix_(has_text, rows)] = weight / weight.sum(1, keepdims=True)
        parts.append(csr_matrix(shares))
    return vstack(parts).tocsr() if parts else csr_matrix((0, len(group)), dtype=np.float32)


def rows_of(table: Any, rows: Ints) -> Any:
    """Rows of an array or sparse matrix by number; zeros for rows beyond its last."""
    if not len(rows) or rows.max() < table.shape[0]:
        return table[rows]
    nothing = np.zeros((1, *table.shape[1:]), np.float32)
    longer = np.concatenate([table, nothing]) if isinstance(table, np.ndarray) else vstack([table, csr_matrix(nothing)]).tocsr()
    return longer[np.minimum(rows, table.shape[0])]


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
            out[:, column] = longer = (counts + longer) / (group_sums(counts, group)[group] + 1)
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
    """Sum of the counts [.., interests] in each group, [.., groups]; groups are numbered without gaps."""
    n_groups = int(group.max(initial=-1)) + 1
    sums = [counts[..., group == number].sum(-1) for number in range(n_groups)]
    return np.stack(sums, -1) if sums else np.empty((*counts.shape[:-1], 0), counts.dtype)


@dataclass(frozen=True)
class Evidence:
    """The history before each moment: counts [moments, interests, SOURCES], mass [moments, groups, SOURCES], which is their sum in each
    group, and context [moments, CONTEXT].
    """

    counts: Floats
    mass: Floats
    context: Floats

    @staticmethod
    def of(events: Events, moments: Moments, shares: csr_matrix, tables: Tables, group: Ints) -> Evidence:
        """Evidence of moments that fit into memory together. shares: [items, interests]."""
        history = _History.of(events, moments)
        own, near = shares[history.item], rows_of(tables.near, history.item)
        by_age = [history.spread(np.exp2(-history.age_s / (hours * HOUR))) for hours in HALF_LIVES_H]
        by_place = [history.spread(np.exp2(-history.place / n_events)) for n_events in HALF_LIVES_EVENTS]
        last = history.spread(history.place == 0)
        ways = (last, by_place[1], by_age[-1])
        found = [(spread @ own).toarray() for spread in (*by_age, *by_place, last)]
        found += [table.given(spread, history.item, own) for table in (tables.after, tables.around) for spread in ways]
        found += [(spread @ near).toarray() for spread in ways]
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
