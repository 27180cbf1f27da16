"""History again, with a simulated clock: what each way of keeping up would have recommended, on the same events."""

from __future__ import annotations

import logging
import math
import time as clock
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from models.checkpoint import Checkpoint
from models.config import IncrementConfig
from models.dataset import Earlier, Events, Ints, ragged_rows
from models.evaluation import Evaluator
from models.fitting import LIST_DELAY_S
from models.increment import learn, with_popularity
from models.metrics import Ranking, rank_events
from models.prequential import Predicted, Queries, predict, rank_popular
from models.prior import HALF_LIVES_H, Popularity
from models.serving import best_popularity_column, offsets_of

log = logging.getLogger("minutehand.replay")

MAX_HISTORY = 100
TREND_FACTOR = 2.0
SEGMENTS = (
    "all",
    "warm_user_warm_item",
    "warm_user_cold_item",
    "cold_user_warm_item",
    "cold_user_cold_item",
    "trending_item",
    "warm_and_not_trending",
)
Train = Callable[[Events, int], Checkpoint]
"""A night: the model of all given events, for the moment given."""
OnStep = Callable[[int, int], None]
"""Called after each step with the time it ended and the number of its events."""


@dataclass(frozen=True)
class ReplayConfig:
    """since, until: unix seconds, half open. step_s: time between updates. night_s: time between nights. list_delay_s: how long
    before a look at it a list was made, where lists are kept fresh."""

    since: int
    until: int
    step_s: int
    night_s: int = 86400
    list_delay_s: int = 60
    recent_column: int = 2
    seed: int = 7


@dataclass(frozen=True)
class Policy:
    """One way of keeping up. retrains: in full, at every step."""

    name: str
    has_fresh_lists: bool
    learns: bool
    has_nights: bool
    increment: IncrementConfig | None = None
    retrains: bool = False


@dataclass(frozen=True)
class Replayed:
    """Ranks of the same events under every policy, in the order of rows; step: the number of each row's step.

    segments: masks of the rows: all; warm or cold user and item (warm: had an event before the last night); trending items, whose
    share of a day is at least twice that of six weeks. seconds: of each policy per step, its nights left out.
    """

    rows: Ints
    step: Ints
    n_steps: int
    rankings: dict[str, Ranking]
    seconds: dict[str, float]
    segments: dict[str, NDArray[np.bool_]]


def known_policies(increment: IncrementConfig) -> list[Policy]:
    """What a replay can compare, besides recent popularity."""
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
    first: Checkpoint | None = None,
    on_step: OnStep | None = None,
) -> Replayed:
    """Step by step: predict what comes next under every policy, then let those that learn learn it.

    first: the model of what happened before config.since, trained here if None.
    """
    events = evaluator.events
    night = first or train(events.before(config.since), config.since)
    live = dict.fromkeys((policy.name for policy in policies), night)
    nights, shown = dict(live), dict(live)
    due = dict.fromkeys(live, np.empty(0, np.int64))
    spent = dict.fromkeys((*live, "recent_popular"), 0.0)
    next_night = config.since + config.night_s
    night_from = config.since
    rankings: dict[str, list[Ranking]] = {name: [] for name in (*(policy.name for policy in policies), "recent_popular")}
    rows_done: list[Ints] = []
    steps_done: list[Ints] = []
    masks: list[dict[str, NDArray[np.bool_]]] = []
    popularity = _popularity(events.before(config.since), config.since)
    known = _known(events, config.since)
    n_steps = 0
    for begin, rows in _steps(events, config):
        if begin >= next_night:
            night_from = config.since + -(-((begin - config.since) // config.night_s * config.night_s) // config.step_s) * config.step_s
            known = _known(events, night_from)
            if any(policy.has_nights for policy in policies):
                night = train(events.before(night_from), night_from)
            for policy in policies:
                if policy.has_nights:
                    live[policy.name] = nights[policy.name] = shown[policy.name] = night
                    due[policy.name] = due[policy.name][:0]
            next_night = begin - (begin - config.since) % config.night_s + config.night_s
        n_steps += 1
        rows_done.append(rows)
        steps_done.append(np.full(len(rows), (begin - config.since) // config.step_s))
        masks.append(_segments(known, popularity, events, rows))
        fresh = _queries(evaluator, rows, np.full(len(rows), begin), config.list_delay_s)
        for policy in policies:
            started = clock.monotonic()
            if policy.retrains:
                shown[policy.name] = train(events.before(begin), begin)
            if policy.has_fresh_lists:
                queries, order = fresh
            else:
                since = night_from if policy.has_nights else config.since
                queries, order = _queries(evaluator, rows, np.full(len(rows), since), None)
            n_candidates = policy.increment.blend_candidates if policy.increment and policy.increment.blend_rows else 0
            predicted = predict(shown[policy.name].scorer(), queries, n_candidates)
            if not policy.has_fresh_lists:
                predicted = _with_fallback(predicted, shown[policy.name], queries)
            rankings[policy.name].append(_back(predicted.ranking, order))
            if policy.learns and policy.increment is not None:
                due[policy.name] = np.sort(np.concatenate([due[policy.name], rows]))
                learnt, for_lists = _learn(
                    evaluator,
                    live[policy.name],
                    nights[policy.name],
                    due[policy.name],
                    begin + config.step_s,
                    predicted,
                    policy.increment,
                    config.seed + n_steps,
                )
                shown[policy.name] = for_lists
                if learnt is not None:
                    live[policy.name], due[policy.name] = learnt, due[policy.name][:0]
            spent[policy.name] += clock.monotonic() - started
        started = clock.monotonic()
        queries, order = fresh
        by_share = rank_popular(popularity.features()[:, config.recent_column], queries, hide_seen=evaluator.hide_seen)
        rankings["recent_popular"].append(_back(by_share, order))
        by_time = rows[np.argsort(events.time[rows], kind="stable")]
        popularity.advance(begin + config.step_s, events.item[by_time], events.time[by_time], events.votes[by_time])
        spent["recent_popular"] += clock.monotonic() - started
        if on_step is not None:
            on_step(begin + config.step_s, len(rows))
    return Replayed(
        rows=_joined(rows_done),
        step=_joined(steps_done),
        n_steps=n_steps,
        rankings={name: Ranking.join(parts) for name, parts in rankings.items()},
        seconds={name: value / max(n_steps, 1) for name, value in spent.items()},
        segments={name: np.concatenate([mask[name] for mask in masks]) for name in SEGMENTS} if masks else {},
    )


def _joined(parts: list[Ints]) -> Ints:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _known(events: Events, before: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Masks of the users and the items that had an event before a time."""
    past = events.before(before)
    return np.bincount(past.user, minlength=events.n_users) > 0, np.bincount(past.item, minlength=events.n_items) > 0


def _segments(
    known: tuple[NDArray[np.bool_], NDArray[np.bool_]], popularity: Popularity, events: Events, rows: Ints
) -> dict[str, NDArray[np.bool_]]:
    """Masks of the rows of one step, from what was known when it began."""
    user, item = known[0][events.user[rows]], known[1][events.item[rows]]
    share = popularity.features()[events.item[rows]]
    is_trending = share[:, HALF_LIVES_H.index(24.0)] >= TREND_FACTOR * share[:, HALF_LIVES_H.index(1000.0)]
    masks = (
        np.ones(len(rows), bool),
        user & item,
        user & ~item,
        ~user & item,
        ~user & ~item,
        is_trending & item,
        ~is_trending & user & item,
    )
    return dict(zip(SEGMENTS, masks, strict=True))


def _popularity(events: Events, now: int) -> Popularity:
    popularity = Popularity(events.n_items)
    popularity.advance(now, events.item, events.time, events.votes)
    return popularity


def _steps(events: Events, config: ReplayConfig) -> Iterator[tuple[int, Ints]]:
    """The begin of each step that has events, and their rows."""
    rows = np.flatnonzero((events.time >= config.since) & (events.time < config.until))
    step = (events.time[rows] - config.since) // config.step_s
    order = np.argsort(step, kind="stable")
    numbers, first = np.unique(step[order], return_index=True)
    for number, members in zip(numbers, np.split(rows[order], first[1:]), strict=True):
        yield config.since + int(number) * config.step_s, members


def _queries(evaluator: Evaluator, rows: Ints, made_at: Ints, delay_s: int | None) -> tuple[Queries, Ints]:
    """Who asks for the events of rows, and their order in the queries.

    A list kept fresh (delay_s) knows the user's events up to delay_s before the look at it; another those before made_at. Both are made
    for a look LIST_DELAY_S later, as lists are when they are published.
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
    start = np.maximum(first, distinct[:, 1] - MAX_HISTORY)
    earlier = Earlier(start - first, first, start, events.item)
    number, row = ragged_rows(start, distinct[:, 1])
    histories = Events(
        number, events.item[row], events.kind[row], events.time[row], events.weight[row], len(distinct), events.n_items, events.n_kinds
    )
    trend = evaluator.trend[row]
    return Queries(histories, distinct[:, 2] + LIST_DELAY_S, trend, query[order], events.item[rows[order]], earlier), order


def _back(ranking: Ranking, order: Ints) -> Ranking:
    """The ranking in the order of the rows."""
    place = np.argsort(order, kind="stable")
    return Ranking(ranking.rank[place], ranking.top[place])


def _with_fallback(predicted: Predicted, live: Checkpoint, queries: Queries) -> Predicted:
    """Users without a history when the tables were made get the list for anyone."""
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
    rows: Ints,
    as_of: int,
    predicted: Predicted,
    increment: IncrementConfig,
    seed: int,
) -> tuple[Checkpoint | None, Checkpoint]:
    """The model after the due events, None where the gate says no, and the one that makes the lists then."""
    events = evaluator.events
    users, number = np.unique(events.user[rows], return_inverse=True)
    last, first = np.zeros(len(users), np.int64), np.full(len(users), len(events))
    np.maximum.at(last, number, rows)
    np.minimum.at(first, number, rows)
    start = np.maximum(events.offsets[users], first - MAX_HISTORY)
    user, row = ragged_rows(start, last + 1)
    part = Events(
        user, events.item[row], events.kind[row], events.time[row], events.weight[row], len(users), events.n_items, events.n_kinds
    )
    is_due = np.isin(row, rows)
    learnt, verdict = learn(live, night, part, is_due, as_of, predicted.candidates, increment, seed)
    if not verdict.passed:
        log.warning("update discarded: %s", verdict.reason)
        return None, with_popularity(live, part, is_due, as_of)
    return learnt, learnt
