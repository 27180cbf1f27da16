"""Evaluation: each held-out event is ranked from the events before it; full catalogue, ties count against the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.config import REPEATS_ARE_COMMON, EvaluationConfig
from models.device import BLOCK_CELLS
from models.evaluation.item_knn import ItemKnn
from models.events import Events, Floats, Ints, Windows, offsets_of, ragged_rows, windows_as_users
from models.metrics.ranking import Ranking, rank_events
from models.ranking.blend import (
    Blend,
    ItemState,
    Repeats,
    combine,
    find_repeats,
    trendiness,
    user_features,
)
from models.ranking.candidates import N_CANDIDATES, Candidates, pick_candidates
from models.ranking.prior import Slots, popularity_by_slot
from models.ranking.searches import Asked, Searches, search_term
from models.results import SeenItems
from models.sequence.recommender import Recommender
from models.sequence.users import LastSearches, target_vectors, vectors_at
from models.text.towers import Words
from models.training.passed import Shown


@dataclass(frozen=True)
class Evaluator:
    """The events and two rules that hold for every model: the time slots, and whether seen items are hidden.

    is_counted: [events] whether an event counts for popularity; None for all. Histories contain every event, counted or not.
    delay_s: age of the list by which an event is judged; the list does not know what the user did after it was made.
    seen_items: the reason for hide_seen; None if it was not stored. searches: of the same users; None if there are none.
    shown: impressions without outcome, for training; None if they do not count.
    """

    events: Events
    slots: Slots
    hide_seen: bool
    is_counted: NDArray[np.bool_] | None = None
    delay_s: int = 0
    seen_items: SeenItems | None = None
    searches: Searches | None = None
    shown: Shown | None = None

    @cached_property
    def counted(self) -> Events:
        """The events that count for popularity."""
        return self.events if self.is_counted is None else self.events.where(self.is_counted)

    @cached_property
    def trend(self) -> Floats:
        """Trendiness of every event."""
        return trendiness(self.events, self.slots, self.counted)

    def trend_scale(self, until: int | None) -> Floats:
        """Mean and standard deviation of trendiness over the counted events before a time."""
        before = np.ones(len(self.events), bool) if until is None else self.events.time < until
        known = self.trend[before if self.is_counted is None else before & self.is_counted]
        return np.array([known.mean() if len(known) else 0.0, max(known.std(), 1e-3) if len(known) else 1.0], np.float32)

    def with_kinds(self, kind: Ints, n_kinds: int) -> Evaluator:
        """The evaluator with another numbering of event types."""
        return self._with_trend_of(replace(self, events=replace(self.events, kind=kind, n_kinds=n_kinds)))

    def without_searches(self) -> Evaluator:
        """The evaluator for lists that know no searches."""
        return self._with_trend_of(replace(self, searches=None))

    def by_lists_of_before(self, delay_s: int) -> Evaluator:
        """The evaluator for lists that were made delay_s before each event."""
        return self._with_trend_of(replace(self, delay_s=delay_s))

    def _with_trend_of(self, other: Evaluator) -> Evaluator:
        """The other evaluator with our cached trendiness, as its events are the same."""
        vars(other).update({name: value for name, value in vars(self).items() if name == "trend"})
        return other

    def histories(self, rows: Ints) -> tuple[Ints, Ints]:
        """Half-open ranges of the same user's events before each row; with a delay, only of the events that the row's list knows."""
        start = self.events.offsets[self.events.user[rows]]
        if not self.delay_s:
            return start, rows
        asked = self.events.user[rows] * self._span + self.events.time[rows] - self.events.time.min() - self.delay_s
        return start, np.clip(np.searchsorted(self._moments, asked, side="right"), start, rows)

    @cached_property
    def _span(self) -> int:
        """A number greater than the time between any two events plus the delay."""
        return int(self.events.time.max() - self.events.time.min()) + self.delay_s + 1

    @cached_property
    def _moments(self) -> Ints:
        """User and time of every event, combined into one ascending number."""
        return self.events.user * self._span + self.events.time - self.events.time.min()

    def users(self, rows: Ints, blend: Blend) -> Tensor:
        """User features at the time of each row."""
        start, stop = self.histories(rows)
        gap = self.events.time[rows] - self.events.time[np.maximum(stop - 1, 0)]
        return user_features(self.trend, start, stop, gap, blend.trend)

    def asked(self, rows: Ints) -> Asked | None:
        """The last search before each row, as far as the row's list knows it; None without searches."""
        if self.searches is None:
            return None
        user, now = self.events.user[rows], self.events.time[rows]
        return self.searches.asked(self.events, user, now, self.histories(rows), delay_s=self.delay_s)

    def last_searches(self, rows: Ints) -> LastSearches | None:
        """The searches after the last event that each row's list knows; None without searches."""
        asked = self.asked(rows)
        return None if asked is None else asked.unanswered(self.events.time[rows])

    def search_term(self, rows: Ints, words: Words | None) -> Tensor | None:
        """The term of the last search before each row, [rows, items]; None without searches."""
        asked = self.asked(rows) if words is not None and words.counts_searches else None
        if words is None or asked is None or not asked.vectors.any():
            return None
        start, stop = self.histories(rows)
        return search_term(words, asked, is_new=stop == start)

    def repeats(self, rows: Ints) -> Repeats | None:
        """Items of each history, None if seen items are hidden."""
        return None if self.hide_seen else find_repeats(self.events, *self.histories(rows), self.events.time[rows])

    def seen(self, rows: Ints) -> tuple[Ints, Ints] | None:
        """(row, item) pairs of seen items to hide; None if seen items are shown."""
        if not self.hide_seen:
            return None
        number, history = ragged_rows(*self.histories(rows))
        return number, self.events.item[history]

    def by_slot(self, rows: Ints) -> Ints:
        """The rows in the order in which `blocks` gives them."""
        return rows[np.argsort(self.slots.of(self.events.time[rows]), kind="stable")]

    def blocks(self, rows: Ints) -> Iterator[tuple[Ints, Tensor]]:
        """Blocks of rows in order of time, each within one slot, with the popularity features at the beginning of the slot."""
        if not len(rows):
            return
        ordered = self.by_slot(rows)
        wanted, begin = np.unique(self.slots.of(self.events.time[ordered]), return_index=True)
        block = max(BLOCK_CELLS // self.events.n_items, 1)
        for (_, popularity), members in zip(
            popularity_by_slot(self.counted, self.slots, wanted), np.split(ordered, begin[1:]), strict=True
        ):
            features = torch.from_numpy(popularity.features())
            for first in range(0, len(members), block):
                yield members[first : first + block], features

    def rank(self, scores: Iterator[tuple[Ints, Tensor]]) -> tuple[Ranking, Ints]:
        """Ranks of blocks of rows, and the rows in the order of the ranks."""
        parts, rows = [], []
        for members, score in scores:
            parts.append(rank_events(score, self.events.item[members], self.seen(members)))
            rows.append(members)
        return Ranking.join(parts), np.concatenate(rows) if rows else np.empty(0, np.int64)

    def rank_popularity(self, rows: Ints, column: int) -> Ranking:
        """Ranking by one popularity, in the order of `rows`. column: an index in HALF_LIVES_H, or len(HALF_LIVES_H) for all time."""
        scores = ((members, features[:, column].expand(len(members), -1).clone()) for members, features in self.blocks(rows))
        return self.in_order(rows, *self.rank(scores))

    def rank_item_knn(self, rows: Ints, knn: ItemKnn) -> Ranking:
        """Ranking by item-kNN with fixed neighbours and growing histories."""
        block = max(BLOCK_CELLS // self.events.n_items, 1)
        parts = (rows[first : first + block] for first in range(0, len(rows), block))
        scores = ((part, torch.from_numpy(knn.score(self.events, *self.histories(part)))) for part in parts)
        return self.in_order(rows, *self.rank(scores))

    def rank_blend(
        self, rows: Ints, vectors: Tensor, items: Tensor, blend: Blend, mean_score: Tensor, is_cold: Tensor, words: Words | None = None
    ) -> Ranking:
        """Ranking by the recommender; arguments as in `score_blend`."""
        return self.in_order(rows, *self.rank(self.score_blend(rows, vectors, items, blend, mean_score, is_cold, words)))

    def score_blend(
        self, rows: Ints, vectors: Tensor, items: Tensor, blend: Blend, mean_score: Tensor, is_cold: Tensor, words: Words | None = None
    ) -> Iterator[tuple[Ints, Tensor]]:
        """Blocks of rows with the recommender's scores; vectors [rows, dim] in the order of the (sorted) rows, items [items, dim]."""
        for members, features in self.blocks(rows):
            sequence = vectors[torch.from_numpy(np.searchsorted(rows, members))] @ items.T
            state = ItemState(features, mean_score, is_cold)
            known = combine(blend, self.users(members, blend), {"sequence": sequence}, state, self.repeats(members))
            asked = self.search_term(members, words)
            yield members, known if asked is None else known.add_(asked)

    def candidates(
        self, rows: Ints, vectors: Tensor, items: Tensor, blend: Blend, mean_score: Tensor, is_cold: Tensor, n_each: int = N_CANDIDATES
    ) -> Candidates:
        """The input of `fit_blend`, in the order of `by_slot`."""
        parts = []
        for members, features in self.blocks(rows):
            sequence = vectors[torch.from_numpy(np.searchsorted(rows, members))] @ items.T
            state = ItemState(features, mean_score, is_cold)
            target = torch.from_numpy(self.events.item[members])
            users = self.users(members, blend)
            parts.append(pick_candidates(users, sequence, state, self.repeats(members), self.seen(members), target, n_each))
        return Candidates.join(parts)

    @staticmethod
    def in_order(rows: Ints, ranking: Ranking, ranked: Ints) -> Ranking:
        """The ranking in the order of `rows`, which are sorted."""
        order = np.argsort(ranked, kind="stable")
        assert np.array_equal(ranked[order], rows), "every row is ranked once"
        return Ranking(ranking.rank[order], ranking.top[order])


MAX_PRIOR_CELLS = 100_000_000


def make_evaluator(events: Events, config: EvaluationConfig) -> Evaluator:
    """The evaluator of a hold-out; `seen_items = auto` hides seen items if repeats are rare in training."""
    past = events.by_time[: max(int(len(events) * config.train_share), 1)]
    distinct = len(np.unique(events.user[past] * events.n_items + events.item[past]))
    repeat_share = 1 - distinct / max(len(past), 1)
    hide = config.seen_items == "hide" or (config.seen_items == "auto" and repeat_share < REPEATS_ARE_COMMON)
    n_slots = min(max(MAX_PRIOR_CELLS // max(events.n_items, 1), 200), 4000)
    decision = SeenItems(hide, config.seen_items, repeat_share)
    return Evaluator(events, Slots.over(events.time, n_slots), hide, seen_items=decision)


def rows_with_outdated_list(served: Evaluator, rows: Ints) -> Ints:
    """Rows whose list misses an earlier event or the last search of the user."""
    misses = served.histories(rows)[1] < rows
    if served.searches is not None:
        user, time = served.events.user[rows], served.events.time[rows]
        misses |= served.searches.last_before(user, time) != served.searches.last_before(user, time - served.delay_s)
    return rows[misses]


def list_vectors(model: Recommender, evaluator: Evaluator, rows: Ints) -> Tensor:
    """User vectors [rows, dim] at the time of each (sorted) row, from the events and the search that its list knows.

    See Evaluator.delay_s; only a model that reads searches knows them.
    """
    if evaluator.delay_s:
        return served_vectors(model, evaluator, rows)
    vectors = target_vectors(model, evaluator.events, rows)
    last = None if model.searches is None else evaluator.last_searches(rows)
    if last is not None and last.is_there.any():
        asking = np.flatnonzero(last.is_there)
        vectors[torch.from_numpy(asking)] = _vectors_of(model, evaluator, rows[asking], last.at(asking))
    return vectors


def served_vectors(model: Recommender, evaluator: Evaluator, rows: Ints) -> Tensor:
    """As list_vectors, by a forward pass of its own for each row."""
    return _vectors_of(model, evaluator, rows, None if model.searches is None else evaluator.last_searches(rows))


def _vectors_of(model: Recommender, evaluator: Evaluator, rows: Ints, last: LastSearches | None) -> Tensor:
    start, stop = evaluator.histories(rows)
    start = np.maximum(start, stop - model.config.max_events)
    histories = windows_as_users(evaluator.events, Windows(start, start, stop))
    offsets = offsets_of(histories, len(rows))
    return vectors_at(model, histories, offsets[:-1], offsets[1:], evaluator.events.time[rows], last=last)
