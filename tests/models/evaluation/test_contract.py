"""Contract of every scorer and baseline, tested on the same events; a new model is a line in MODELS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.evaluation.comparison import rank_recommender
from models.evaluation.evaluator import Evaluator
from models.evaluation.item_knn import ItemKnn
from models.events import Events, Floats, Ints, offsets_of
from models.metrics.ranking import Ranking
from models.online.prequential import Queries, predict, rank_popular
from models.ranking.blend import popularity_only, starting_blend
from models.ranking.prior import HALF_LIVES_H, Slots
from models.sequence.weights import Weights
from tests.models.planted import TINY, make_events, random_events, shaken
from tests.models.ranking.test_scorer import popularity_of, scorer_of
from tests.models.ranking.test_searches import random_searches, random_words

N_ITEMS, N_USERS, DAY = 30, 20, HALF_LIVES_H.index(24.0)
TREND = np.array([0.0, 1.0], np.float32)
Rank = Callable[[Evaluator, Ints], Ranking]


def recommender(evaluator: Evaluator, rows: Ints) -> Ranking:
    weights = Weights(shaken(N_ITEMS), torch.ones(TINY.dim), (torch.arange(N_ITEMS) % 7 == 0).float())
    return rank_recommender(evaluator, weights, starting_blend(TREND), rows)


def recommender_with_searches(evaluator: Evaluator, rows: Ints) -> Ranking:
    weights = Weights(shaken(N_ITEMS), torch.ones(TINY.dim), (torch.arange(N_ITEMS) % 7 == 0).float())
    return rank_recommender(replace(evaluator, searches=random_searches()), weights, starting_blend(TREND), rows, random_words(N_ITEMS))


def one_popularity_as_a_blend(evaluator: Evaluator, rows: Ints) -> Ranking:
    nothing = torch.zeros(N_ITEMS)
    return evaluator.rank_blend(rows, torch.zeros(len(rows), 4), torch.zeros(N_ITEMS, 4), popularity_only(DAY, TREND), nothing, nothing)


MODELS: dict[str, Rank] = {
    "recommender": recommender,
    "recommender with searches": recommender_with_searches,
    "one popularity as a blend": one_popularity_as_a_blend,
    "most_popular": lambda evaluator, rows: evaluator.rank_popularity(rows, len(HALF_LIVES_H)),
    "recent_popular": lambda evaluator, rows: evaluator.rank_popularity(rows, DAY),
    "item_knn": lambda evaluator, rows: evaluator.rank_item_knn(rows, ItemKnn(random_events(N_USERS, seed=9))),
}
every_model = pytest.mark.parametrize("rank", MODELS.values(), ids=MODELS)


def evaluator_of(events: Events, *, hide_seen: bool = False) -> Evaluator:
    return Evaluator(events, Slots.over(events.time, 50), hide_seen)


@every_model
@pytest.mark.parametrize("hide_seen", [False, True])
@pytest.mark.usefixtures("fp32")
def test_an_event_has_the_same_rank_alone_and_among_others(rank: Rank, hide_seen: bool) -> None:
    evaluator = evaluator_of(random_events(N_USERS), hide_seen=hide_seen)
    rows = np.arange(0, 300, 7)
    together = rank(evaluator, rows)
    alone = Ranking.join([rank(evaluator, rows[n : n + 1]) for n in range(len(rows))])
    assert alone.rank.tolist() == together.rank.tolist()
    assert alone.top.tolist() == together.top.tolist()


@every_model
def test_what_a_user_had_is_hidden_and_an_event_on_it_is_a_miss(rank: Rank) -> None:
    events = random_events(N_USERS)
    rows = np.arange(len(events))
    ranking = rank(evaluator_of(events, hide_seen=True), rows)
    n_again = 0
    for row in rows:
        had = set(events.item[events.offsets[events.user[row]] : row].tolist())
        n_free = N_ITEMS - len(had)
        assert not had & set(ranking.top[row][: min(n_free, 10)].tolist())
        if events.item[row] in had:
            n_again += 1
            assert ranking.rank[row] == N_ITEMS
    assert n_again > 20


@every_model
def test_a_user_without_history_is_ranked_by_the_same_rules(rank: Rank) -> None:
    events = random_events(N_USERS)
    first = events.offsets[:-1]
    for hide_seen in (False, True):
        ranking = rank(evaluator_of(events, hide_seen=hide_seen), first)
        assert ((ranking.rank >= 1) & (ranking.rank <= N_ITEMS)).all()
        assert all(len(set(top)) == 10 for top in ranking.top.tolist())


@every_model
def test_no_rows_give_no_ranks(rank: Rank) -> None:
    assert len(rank(evaluator_of(random_events(N_USERS)), np.empty(0, np.int64)).rank) == 0


@every_model
def test_the_future_changes_no_rank(rank: Rank) -> None:
    evaluator = evaluator_of(random_events(N_USERS))
    events, border = evaluator.events, evaluator.slots.begin(35)
    rows = np.flatnonzero(events.time < border)
    later = replace(events, item=np.where(events.time >= border, (events.item + 11) % N_ITEMS, events.item))
    assert rank(replace(evaluator, events=later), rows).rank.tolist() == rank(evaluator, rows).rank.tolist()


@pytest.mark.parametrize("rank", [MODELS[name] for name in ("most_popular", "recent_popular", "one popularity as a blend")])
def test_before_anything_is_known_every_item_ties_and_the_event_is_last(rank: Rank) -> None:
    events = make_events([(user, user % N_ITEMS, 0) for user in range(N_USERS)], n_items=N_ITEMS)
    assert (rank(evaluator_of(events), np.arange(N_USERS)).rank == N_ITEMS).all()


def by_scorer(events: Events, available: NDArray[np.bool_], queries: Queries) -> Ranking:
    return predict(scorer_of(events, available=available, hide_seen=True), queries).ranking


def by_popularity(events: Events, available: NDArray[np.bool_], queries: Queries) -> Ranking:
    share: Floats = np.where(available, popularity_of(events, int(events.time.max()) + 1)[:, DAY], -np.inf).astype(np.float32)
    return rank_popular(share, queries, hide_seen=True)


@pytest.mark.parametrize("rank", [by_scorer, by_popularity])
def test_as_lists_are_served_no_model_ranks_what_is_not_available_or_was_had(
    rank: Callable[[Events, NDArray[np.bool_], Queries], Ranking],
) -> None:
    events = random_events(N_USERS)
    available = np.arange(N_ITEMS) % 3 > 0
    asks = np.arange(N_USERS)
    now = np.full(N_USERS, int(events.time.max()) + 60)
    queries = Queries(events, now, np.zeros(len(events), np.float32), asks, asks % N_ITEMS)
    ranking = rank(events, available, queries)
    offsets = offsets_of(events, N_USERS)
    for user in asks:
        had = set(events.item[offsets[user] : offsets[user + 1]].tolist())
        shown = [item for item in range(N_ITEMS) if available[item] and item not in had]
        assert set(ranking.top[user][: len(shown)].tolist()) <= set(shown)
        if user % N_ITEMS not in shown:
            assert ranking.rank[user] == N_ITEMS
