"""Held-out events: models know only earlier events, and a random model gets the score of chance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.evaluation.baselines import ItemKnn
from models.evaluation.evaluator import Evaluator, rows_with_outdated_list
from models.events import Events
from models.ranking.blend import popularity_only, starting_blend
from models.ranking.prior import HALF_LIVES_H, Slots
from models.ranking.searches import Searches
from models.sequence.users import target_vectors
from tests.models.planted import HOUR, TINY, make_events, random_events, shaken

ALL_TIME = len(HALF_LIVES_H)
N_ITEMS = 30


def evaluator_of(events: Events, *, hide_seen: bool = False, n_slots: int = 50) -> Evaluator:
    return Evaluator(events, Slots.over(events.time, n_slots), hide_seen)


def ranks_by_model(evaluator: Evaluator, rows: np.ndarray) -> np.ndarray:
    """Ranks by an (untrained, but not neutral) recommender."""
    model = shaken(N_ITEMS)
    items = model.items().detach()
    vectors = target_vectors(model, evaluator.events, rows)
    blend = starting_blend(np.array([0, 1], np.float32))
    rank: np.ndarray = evaluator.rank_blend(rows, vectors, items, blend, items @ vectors.mean(0), torch.zeros(N_ITEMS)).rank
    return rank


def test_popularity_ranks_by_what_happened_before_the_slot() -> None:
    day = 24 * HOUR
    events = make_events([(0, 0, 0), (1, 0, 1), (2, 1, 2), (0, 1, day), (1, 1, day), (2, 1, day), (3, 1, 2 * day)], n_items=3)
    evaluator = evaluator_of(events, n_slots=10)
    asked = {int(events.time[row]): rank for row, rank in enumerate(evaluator.rank_popularity(np.arange(7), ALL_TIME).rank)}
    assert asked == {0: 3, 1: 3, 2: 3, day: 2, 2 * day: 1}, "nothing is known at first, then item 0 leads, then item 1"


@pytest.mark.parametrize("hide_seen", [False, True])
def test_changing_the_future_changes_no_rank_before_it(hide_seen: bool) -> None:
    events = random_events(n_users=60)
    evaluator = evaluator_of(events, hide_seen=hide_seen)
    border = evaluator.slots.begin(35)
    rng = np.random.default_rng(1)
    late = events.time >= border
    shuffled = replace(
        events,
        item=np.where(late, rng.integers(0, N_ITEMS, len(events)), events.item),
        kind=np.where(late, 1 - events.kind, events.kind),
        weight=np.where(late, 5, events.weight).astype(np.float32),
    )
    after = replace(evaluator, events=shuffled)
    rows = np.flatnonzero(~late)
    knn = ItemKnn(events.before(border))
    assert np.array_equal(evaluator.trend[rows], after.trend[rows])
    assert np.array_equal(evaluator.trend_scale(border), after.trend_scale(border))
    assert np.array_equal(ranks_by_model(evaluator, rows), ranks_by_model(after, rows))
    assert np.array_equal(evaluator.rank_popularity(rows, 2).rank, after.rank_popularity(rows, 2).rank)
    assert np.array_equal(evaluator.rank_item_knn(rows, knn).rank, after.rank_item_knn(rows, knn).rank)


def test_rows_are_ranked_the_same_alone_and_together_and_stay_in_order() -> None:
    events = random_events()
    evaluator = evaluator_of(events, hide_seen=True)
    rows = np.arange(5, len(events), 7)
    together = evaluator.rank_popularity(rows, 1).rank
    alone = [int(evaluator.rank_popularity(rows[n : n + 1], 1).rank[0]) for n in range(len(rows))]
    assert together.tolist() == alone
    short = rows[events.position[rows] < TINY.max_events]
    model = shaken(N_ITEMS)
    one_by_one = torch.cat([target_vectors(model, events, short[n : n + 1]) for n in range(len(short))])
    torch.testing.assert_close(target_vectors(model, events, short), one_by_one, atol=0.2, rtol=0, msg="up to the rounding of bfloat16")


def test_a_model_that_says_nothing_ranks_every_event_last() -> None:
    events = random_events()
    evaluator = evaluator_of(events)
    blend = starting_blend(np.array([0, 1], np.float32))
    silent = replace(blend, gate=np.zeros_like(blend.gate))
    rows = np.arange(len(events))
    ranking = evaluator.rank_blend(
        rows, torch.randn(len(rows), 4), torch.randn(N_ITEMS, 4), silent, torch.zeros(N_ITEMS), torch.zeros(N_ITEMS)
    )
    assert (ranking.rank == N_ITEMS).all()


def test_the_blend_of_one_popularity_alone_is_that_popularity() -> None:
    events = random_events()
    evaluator, rows = evaluator_of(events), np.arange(100, 300)
    blend = popularity_only(3, np.array([0, 1], np.float32))
    zero = torch.zeros(N_ITEMS)
    blended = evaluator.rank_blend(rows, torch.randn(200, 4), torch.randn(N_ITEMS, 4), blend, zero, zero)
    assert (np.abs(blended.rank - evaluator.rank_popularity(rows, 3).rank) <= 1).mean() > 0.99


def test_items_of_the_history_are_hidden_or_else_scored_as_repeats() -> None:
    events = make_events([(0, 1, 0), (0, 2, 1), (1, 3, 2), (0, 1, 3)], n_items=4)
    hiding, showing = evaluator_of(events, hide_seen=True), evaluator_of(events)
    pairs = hiding.seen(np.array([2, 3]))
    assert pairs is not None
    assert (pairs[0].tolist(), pairs[1].tolist()) == ([0, 0], [1, 2])
    assert hiding.repeats(np.array([2])) is None
    assert showing.seen(np.array([2])) is None
    assert showing.repeats(np.array([2])) is not None
    assert hiding.rank_popularity(np.array([2]), ALL_TIME).rank.tolist() == [4], "the user had it before: a miss"


def test_no_rows_give_no_ranks() -> None:
    evaluator, none = evaluator_of(random_events()), np.empty(0, np.int64)
    assert len(evaluator.rank_popularity(none, 0).rank) == 0
    assert len(evaluator.rank_item_knn(none, ItemKnn(evaluator.events)).rank) == 0


def test_renumbered_event_types_change_nothing_else() -> None:
    evaluator = evaluator_of(random_events())
    other = evaluator.with_kinds(np.zeros(len(evaluator.events), np.int64), 1)
    assert other.events.n_kinds == 1
    assert np.array_equal(other.events.time, evaluator.events.time)
    assert other.slots == evaluator.slots


def test_events_after_the_list_was_made_are_not_in_the_history() -> None:
    events = make_events([(0, 0, 100), (0, 1, 130), (0, 2, 130), (0, 3, 190), (1, 0, 100), (1, 1, 161)], n_items=4)
    late = replace(evaluator_of(events, hide_seen=False), delay_s=60)
    start, stop = late.histories(np.arange(6))
    assert start.tolist() == [0, 0, 0, 0, 4, 4]
    assert stop.tolist() == [0, 0, 0, 3, 4, 5], "an event exactly as old as the list is known"
    assert late.repeats(np.array([3])) is not None
    blend = starting_blend(np.array([0.0, 1.0], np.float32))
    assert late.users(np.array([3]), blend)[0, 5].item() == pytest.approx(np.log((1 + 60 / 3600) / 25) / 3, rel=1e-3)


def test_a_list_that_was_made_before_the_last_search_is_outdated() -> None:
    events = make_events([(0, 0, 1000), (0, 1, 2000), (0, 2, 3000)], n_items=4)
    searches = Searches.build(np.zeros(2, np.int64), np.array([1500, 2990]), np.zeros(2, np.int64), np.ones((1, 4), np.float32))
    late = replace(evaluator_of(events), delay_s=60, searches=searches)
    assert rows_with_outdated_list(late, np.arange(3)).tolist() == [2]
