"""Replay of history with a simulated clock: compares update policies on the same events."""

from __future__ import annotations

import logging
import math
import time as clock
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from models.config import IncrementConfig
from models.evaluation.evaluator import Evaluator
from models.events import Earlier, Events, Ints, ragged_rows
from models.metrics.ranking import Ranking, rank_events
from models.metrics.segments import SEGMENTS, Mask, segment_masks, warm_masks
from models.online.increment import learn, with_popularity
from models.online.prequential import Predictions, Queries, predict, rank_popular
from models.ranking.candidates import Candidates
from models.ranking.prior import HALF_LIVES_H, Popularity
from models.ranking.scorer import best_popularity_column, offsets_of
from models.sequence.weights import LIST_DELAY_S
from models.version.checkpoint import Checkpoint

log = logging.getLogger("minutehand.replay")
TREND_FACTOR = 2.0
ALL_SEGMENTS = (*SEGMENTS, "trending_item", "warm_and_not_trending")
Train = Callable[[Events, int], Checkpoint]
"""A night: trains a model on the given events, for the given time."""
OnStep = Callable[[int, int], None]
"""Called after each step with its end time and its number of events."""


@dataclass(frozen=True)
class ReplayConfig:
    """Period and clock of a replay.

    since, until: unix seconds, half open. step_s: time between updates. night_s: time between nights. list_delay_s: age of a fresh
    list when a user looks at it. max_events: maximum length of a history.
    """

    since: int
    until: int
    step_s: int
    night_s: int = 86400
    list_delay_s: int = 60
    recent_column: int = 2
    max_events: int = 100
    seed: int = 7

    def known_until(self, moment: int) -> int:
        """The time up to which a fresh list knows the events if a user looks at it at `moment`; at least the start of the replay."""
        return max(moment - self.list_delay_s, self.since)


@dataclass(frozen=True)
class Policy:
    """One way of updating model and lists. retrains: full training at every step."""

    name: str
    has_fresh_lists: bool
    learns: bool
    has_nights: bool
    increment: IncrementConfig | None = None
    retrains: bool = False


@dataclass(frozen=True)
class ReplayResult:
    """Ranks of the same events under every policy, in the order of rows; step: the step number of each row.

    segments: masks of the rows: all; warm or cold user and item (warm: an event before the last night); trending items, whose share
    of the last day is at least twice that of six weeks. seconds: time of each policy per step, without nights.
    """

    rows: Ints
    step: Ints
    n_steps: int
    rankings: dict[str, Ranking]
    seconds: dict[str, float]
    segments: dict[str, Mask]


def known_policies(increment: IncrementConfig) -> list[Policy]:
    """The policies that a replay can compare, in addition to recent popularity."""
    frozen = increment.model_copy(update={"delta_rate": 0.0, "dense_rate": 0.0, "blend_rows": 0, "warm_after": math.inf})
    return [
        Policy("never_updated", has_fresh_lists=False, learns=False, has_nights=False),
        Policy("nightly_tables", has_fresh_lists=False, learns=False, has_nights=True),
        Policy("nightly_fresh_lists", has_fresh_lists=True, learns=False, has_nights=True),
        Policy("nightly_and_increments", has_fresh_lists=True, learns=True, has_nights=True, increment=increment),
        Policy("nightly_and_popularity", has_fresh_lists=True, learns=True, has_nights=True, increment=frozen),
        Policy("retrained_each_step", has_fresh_lists=True, learns=False, has_nights=False, retrains=True),
    ]


def replay(
    evaluator: Evaluator,
    policies: list[Policy],
    train: Train,
    config: ReplayConfig,
    on_step: OnStep | None = None,
) -> ReplayResult:
    """Run step by step: learning policies learn, then every policy predicts the events of the step.

    A list seen at the beginning of a step was made list_delay_s before. It contains events up to that time; later events wait for
    the next step.
    """
    events = evaluator.events
    night = train(events.before(config.since), config.since)
    kept = [_PolicyState(policy, night, night, night) for policy in policies]
    popular = _RecentPopularity(events, config)
    next_night, night_from, warm = config.since + config.night_s, config.since, warm_masks(events.before(config.since))
    rows_done: list[Ints] = []
    steps_done: list[Ints] = []
    masks: list[dict[str, Mask]] = []
    for begin, rows in _steps(events, config):
        if begin >= next_night:
            night_from = config.since + -(-((begin - config.since) // config.night_s * config.night_s) // config.step_s) * config.step_s
            warm = warm_masks(events.before(night_from))
            if any(policy.has_nights for policy in policies):
                night = train(events.before(config.known_until(night_from)), night_from)
            for each in kept:
                each.spend_night(night, config.known_until(night_from), events)
            next_night = begin - (begin - config.since) % config.night_s + config.night_s
        popular.count(begin)
        rows_done.append(rows)
        steps_done.append(np.full(len(rows), (begin - config.since) // config.step_s))
        masks.append(_segments(warm, popular.popularity, events, rows))
        fresh = _queries(evaluator, rows, np.full(len(rows), begin), config.list_delay_s, config.max_events)
        for each in kept:
            started = clock.monotonic()
            if each.policy.retrains:
                each.shown = train(events.before(config.known_until(begin)), begin)
            each.learn(evaluator, begin, config, config.seed + len(rows_done))
            if each.policy.has_fresh_lists:
                each.predict(rows, *fresh, config)
            else:
                since = night_from if each.policy.has_nights else config.since
                each.predict(rows, *_queries(evaluator, rows, np.full(len(rows), since), None, config.max_events), config)
            each.seconds += clock.monotonic() - started
        popular.predict(rows, *fresh, hide_seen=evaluator.hide_seen)
        if on_step is not None:
            on_step(begin + config.step_s, len(rows))
    n_steps = len(rows_done)
    seconds = {**{each.policy.name: each.seconds for each in kept}, "recent_popular": popular.seconds}
    return ReplayResult(
        rows=_joined(rows_done),
        step=_joined(steps_done),
        n_steps=n_steps,
        rankings={**{each.policy.name: Ranking.join(each.rankings) for each in kept}, "recent_popular": Ranking.join(popular.rankings)},
        seconds={name: value / max(n_steps, 1) for name, value in seconds.items()},
        segments={name: np.concatenate([np.empty(0, bool), *(mask[name] for mask in masks)]) for name in ALL_SEGMENTS},
    )


@dataclass(frozen=True)
class _DueEvents:
    """Events that a policy has not learnt yet: their rows, and the candidates of some of them with the time of each prediction."""

    rows: Ints
    candidates: Candidates | None
    time: Ints

    def and_also(self, rows: Ints, candidates: Candidates | None, time: Ints) -> _DueEvents:
        known = [part for part in (self.candidates, candidates) if part is not None]
        joined = Candidates.join(known) if known else None
        return _DueEvents(np.concatenate([self.rows, rows]), joined, np.concatenate([self.time, time]) if known else self.time)

    def before(self, until: int, events: Events) -> tuple[_DueEvents, _DueEvents]:
        """The due events before a time, and those since."""
        is_ready, has_come = events.time[self.rows] < until, self.time < until
        return self._where(is_ready, has_come), self._where(~is_ready, ~has_come)

    def _where(self, rows: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> _DueEvents:
        known = self.candidates.at(torch.from_numpy(predicted)) if self.candidates is not None and predicted.any() else None
        return _DueEvents(self.rows[rows], known, self.time[predicted])


NOTHING_DUE = _DueEvents(np.empty(0, np.int64), None, np.empty(0, np.int64))


@dataclass
class _PolicyState:
    """Current state of one policy: the learning model (live), last night's model, and the model that makes the lists (shown)."""

    policy: Policy
    live: Checkpoint
    night: Checkpoint
    shown: Checkpoint
    due: _DueEvents = NOTHING_DUE
    seconds: float = 0.0
    rankings: list[Ranking] = field(default_factory=list)

    def spend_night(self, night: Checkpoint, until: int, events: Events) -> None:
        """Switch to a night's model, which has learnt the events before `until`."""
        if self.policy.has_nights:
            self.live = self.night = self.shown = night
            self.due = self.due.before(until, events)[1]

    def learn(self, evaluator: Evaluator, begin: int, config: ReplayConfig, seed: int) -> None:
        """Learn the due events that a list at the begin of the step can know; if the gate discards the update, they stay due."""
        if not self.policy.learns or self.policy.increment is None:
            return
        ready, later = self.due.before(config.known_until(begin), evaluator.events)
        if not len(ready.rows):
            return
        learnt, self.shown = _learn(evaluator, self.live, self.night, ready, begin, self.policy.increment, config.max_events, seed)
        if learnt is None:
            self.due = replace(later, rows=np.concatenate([ready.rows, later.rows]))
        else:
            self.live, self.due = learnt, later

    def predict(self, rows: Ints, queries: Queries, order: Ints, config: ReplayConfig) -> None:
        increment = self.policy.increment
        n_candidates = increment.blend_candidates if increment and increment.blend_rows else 0
        predicted = predict(self.shown.scorer(), queries, n_candidates)
        if not self.policy.has_fresh_lists:
            predicted = _with_fallback(predicted, self.shown, queries)
        self.rankings.append(_in_row_order(predicted.ranking, order))
        if self.policy.learns:
            self.due = self.due.and_also(rows, predicted.candidates, queries.now - LIST_DELAY_S + config.list_delay_s)


class _RecentPopularity:
    """Recent popularity; it counts the events that a list at the begin of the step can know."""

    def __init__(self, events: Events, config: ReplayConfig) -> None:
        self.events, self.config = events, config
        past = events.before(config.since)
        self.popularity = Popularity(events.n_items)
        self.popularity.advance(config.since, past.item, past.time, past.votes)
        self.due = np.empty(0, np.int64)
        self.seconds = 0.0
        self.rankings: list[Ranking] = []

    def count(self, begin: int) -> None:
        started = clock.monotonic()
        is_ready = self.events.time[self.due] < self.config.known_until(begin)
        ready, self.due = self.due[is_ready], self.due[~is_ready]
        self.popularity.advance(begin, self.events.item[ready], self.events.time[ready], self.events.votes[ready])
        self.seconds += clock.monotonic() - started

    def predict(self, rows: Ints, queries: Queries, order: Ints, *, hide_seen: bool) -> None:
        started = clock.monotonic()
        share = self.popularity.features()[:, self.config.recent_column]
        self.rankings.append(_in_row_order(rank_popular(share, queries, hide_seen=hide_seen), order))
        self.due = np.concatenate([self.due, rows])
        self.seconds += clock.monotonic() - started


def _joined(parts: list[Ints]) -> Ints:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _segments(warm: tuple[Mask, Mask], popularity: Popularity, events: Events, rows: Ints) -> dict[str, Mask]:
    """Masks of the rows of one step; warm: users and items known to the last night; popularity: at the begin of the step."""
    user, item = warm[0][events.user[rows]], warm[1][events.item[rows]]
    share = popularity.features()[events.item[rows]]
    is_trending = share[:, HALF_LIVES_H.index(24.0)] >= TREND_FACTOR * share[:, HALF_LIVES_H.index(1000.0)]
    by_trend = {"trending_item": is_trending & item, "warm_and_not_trending": ~is_trending & user & item}
    return segment_masks(user, item) | by_trend


def _steps(events: Events, config: ReplayConfig) -> Iterator[tuple[int, Ints]]:
    """Begin and event rows of each step that has events."""
    rows = np.flatnonzero((events.time >= config.since) & (events.time < config.until))
    if not len(rows):
        return
    step = (events.time[rows] - config.since) // config.step_s
    order = np.argsort(step, kind="stable")
    numbers, first = np.unique(step[order], return_index=True)
    for number, members in zip(numbers, np.split(rows[order], first[1:]), strict=True):
        yield config.since + int(number) * config.step_s, members


def _queries(evaluator: Evaluator, rows: Ints, made_at: Ints, delay_s: int | None, max_events: int) -> tuple[Queries, Ints]:
    """Queries for the events of rows, and the order of the rows in the queries.

    A fresh list (delay_s given) knows the user's events up to delay_s before the look at it; any other list knows those before
    made_at. Both are made for a look LIST_DELAY_S later, like published lists.
    """
    events = evaluator.events
    asked = events.time[rows] - delay_s if delay_s is not None else made_at
    begin = events.offsets[events.user[rows]]
    key = events.user * (int(events.time.max(initial=0)) + 2) + events.time
    wanted = events.user[rows] * (int(events.time.max(initial=0)) + 2) + asked
    stop = np.maximum(np.searchsorted(key, wanted, side="right" if delay_s is not None else "left"), begin)
    stop = np.minimum(stop, rows)
    pairs = np.stack([events.user[rows], stop, asked], 1)
    distinct, query = np.unique(pairs, axis=0, return_inverse=True)
    order = np.argsort(query, kind="stable")
    first = events.offsets[distinct[:, 0]]
    start = np.maximum(first, distinct[:, 1] - max_events)
    earlier = Earlier(start - first, first, start, events.item)
    number, row = ragged_rows(start, distinct[:, 1])
    histories = Events(
        number, events.item[row], events.kind[row], events.time[row], events.weight[row], len(distinct), events.n_items, events.n_kinds
    )
    trend, moment = evaluator.trend[row], distinct[:, 2]
    searches = None if evaluator.searches is None else evaluator.searches.known_to(distinct[:, 0], moment)
    return Queries(histories, moment + LIST_DELAY_S, trend, query[order], events.item[rows[order]], earlier, searches), order


def _in_row_order(ranking: Ranking, order: Ints) -> Ranking:
    """The ranking in the order of the rows."""
    place = np.argsort(order, kind="stable")
    return Ranking(ranking.rank[place], ranking.top[place])


def _with_fallback(predicted: Predictions, live: Checkpoint, queries: Queries) -> Predictions:
    """Users without a history when the tables were made get the fallback list."""
    nobody = (np.diff(offsets_of(queries.events, len(queries.now))) == 0)[queries.query]
    if not nobody.any():
        return predicted
    share = torch.from_numpy(live.popularity[:, best_popularity_column(live.blend)])
    fallback = rank_events(share.expand(int(nobody.sum()), -1).clone(), queries.item[nobody], None)
    ranking = Ranking(predicted.ranking.rank.copy(), predicted.ranking.top.copy())
    ranking.rank[nobody], ranking.top[nobody] = fallback.rank, fallback.top
    return replace(predicted, ranking=ranking)


def _learn(
    evaluator: Evaluator,
    live: Checkpoint,
    night: Checkpoint,
    due: _DueEvents,
    as_of: int,
    increment: IncrementConfig,
    max_events: int,
    seed: int,
) -> tuple[Checkpoint | None, Checkpoint]:
    """The model after the due events (None if the gate discards it), and the model that makes the lists."""
    events, rows = evaluator.events, np.sort(due.rows)
    users, number = np.unique(events.user[rows], return_inverse=True)
    last, first = np.zeros(len(users), np.int64), np.full(len(users), len(events))
    np.maximum.at(last, number, rows)
    np.minimum.at(first, number, rows)
    start = np.maximum(events.offsets[users], first - max_events)
    user, row = ragged_rows(start, last + 1)
    part = Events(
        user, events.item[row], events.kind[row], events.time[row], events.weight[row], len(users), events.n_items, events.n_kinds
    )
    is_due = np.isin(row, rows)
    learnt, decision = learn(live, night, part, is_due, as_of, due.candidates, increment, seed)
    if not decision.passed:
        log.warning("update discarded: %s", decision.reason)
        return None, with_popularity(live, part, is_due, as_of)
    return learnt, learnt
