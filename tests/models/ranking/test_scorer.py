"""Lists and neighbours: equal alone and among others, without hidden items, with valid probabilities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from models.events import Earlier, Events, Floats
from models.ranking.blend import popularity_only, starting_blend
from models.ranking.neighbours import neighbours, neighbours_of
from models.ranking.prior import HALF_LIVES_H, Popularity
from models.ranking.reasons import RECENT_EVENTS
from models.ranking.scorer import Scorer, best_popularity_column, fallback_list
from models.sequence.recommender import ItemTower
from models.sequence.users import target_vectors, vectors_at
from models.sequence.weights import LIST_DELAY_S, Weights
from tests.models.planted import HOUR, TINY, make_events, random_events, random_text, shaken

N_ITEMS = 30
TREND = np.array([0.0, 1.0], np.float32)


def popularity_of(events: Events, now: int) -> Floats:
    popularity = Popularity(events.n_items)
    popularity.advance(now, events.item, events.time, events.weight)
    return popularity.features()


def scorer_of(events: Events, *, hide_seen: bool = False, available: NDArray[np.bool_] | None = None, seed: int = 0) -> Scorer:
    n_items = events.n_items
    as_of = int(events.time.max(initial=0)) + 1
    generator = torch.Generator().manual_seed(seed)
    weights = Weights(shaken(n_items, seed=seed), torch.randn(TINY.dim, generator=generator), torch.zeros(n_items))
    is_available = np.ones(n_items, bool) if available is None else available
    blend = starting_blend(TREND)
    blend.repeat[0] = 0.5, 0.3, -0.2, 0.1
    return Scorer(weights, blend, torch.from_numpy(popularity_of(events, as_of)), is_available, hide_seen, as_of)


def history_of(events: Events, user: int) -> Events:
    """One user's events, as user 0."""
    mine = events.where(events.user == user)
    return replace(mine, user=np.zeros(len(mine), np.int64), n_users=1)


@pytest.mark.parametrize("hide_seen", [False, True])
def test_a_user_gets_the_same_list_alone_and_among_others(hide_seen: bool) -> None:
    events = random_events(n_users=25)
    scorer = scorer_of(events, hide_seen=hide_seen)
    together = scorer.rank(events, 25, 10)
    for user in range(25):
        alone = scorer.rank(history_of(events, user), 1, 10)
        assert alone.item[0].tolist() == together.item[user].tolist()
        assert alone.because[0].tolist() == together.because[user].tolist()
        assert np.allclose(alone.probability[0], together.probability[user], atol=1e-5)


def test_scores_alone_and_among_others_agree_within_a_ten_thousandth_on_every_processor() -> None:
    events = random_events(n_users=25)
    scorer = scorer_of(events)
    together = scorer.rank(events, 25, N_ITEMS)
    for user in range(25):
        alone = scorer.rank(history_of(events, user), 1, N_ITEMS)
        order = np.argsort(alone.item[0])
        assert np.allclose(alone.score[0][order], together.score[user][np.argsort(together.item[user])], atol=1e-4)


def test_the_item_tower_runs_once_a_version(monkeypatch: pytest.MonkeyPatch) -> None:
    events = make_events([(0, 3, 0), (0, 5, HOUR), (0, 3, 2 * HOUR)], n_items=N_ITEMS)
    scorer = scorer_of(events)
    whole, n_rows = ItemTower.whole, list[int]()

    def counted(tower: ItemTower, text: Tensor, delta: Tensor) -> Tensor:
        n_rows.append(len(text))
        return whole(tower, text, delta)

    monkeypatch.setattr(ItemTower, "whole", counted)
    monkeypatch.setattr("models.device.has_fast_bf16", lambda device: False)
    first, second = (scorer.rank(events, 1, 10) for _ in range(2))
    assert n_rows == [N_ITEMS]
    assert np.array_equal(first.item, second.item)
    zero = np.zeros(1, np.int64)
    alone = vectors_at(scorer.weights.model, events, zero, zero + 3, 10**6)
    assert n_rows == [N_ITEMS, 2], "without known vectors, the tower reads the items of the histories only"
    known = vectors_at(scorer.weights.model, events, zero, zero + 3, 10**6, scorer.vectors)
    torch.testing.assert_close(known, alone, atol=1e-4, rtol=0)


def test_lists_in_small_blocks_are_those_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    events = random_events(n_users=25)
    scorer = scorer_of(events)
    whole = scorer.rank(events, 25, 7)
    monkeypatch.setattr("models.ranking.scorer.BLOCK_CELLS", 4 * N_ITEMS)
    parts = scorer.rank(events, 25, 7)
    for name in ("item", "because"):
        assert np.array_equal(getattr(parts, name), getattr(whole, name))
    assert np.allclose(parts.probability, whole.probability, atol=1e-6)


@pytest.mark.parametrize("hide_seen", [False, True])
def test_the_last_events_with_earlier_history_give_the_list_of_all_events(hide_seen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.device.has_fast_bf16", lambda device: False)
    monkeypatch.setattr("models.ranking.scorer.BLOCK_CELLS", 2 * N_ITEMS)
    events = random_events(n_users=5, n_events=150)
    scorer = scorer_of(events, hide_seen=hide_seen)
    scorer.blend.gate[2, :2] = 0.5, 0.3  # the length of the history
    scorer.blend.repeat[0] = 0.0  # repeats depend on the last events only
    first, end = events.offsets[:-1], events.offsets[1:]
    cut = np.maximum(first, end - RECENT_EVENTS)
    last = events.where(np.arange(len(events)) >= cut[events.user])
    whole = scorer.rank(events, 5, N_ITEMS)
    known = scorer.rank(last, 5, N_ITEMS, earlier=Earlier(cut - first, first, cut, events.item))
    assert (cut > first).any()
    for name in ("item", "score", "because"):
        assert np.array_equal(getattr(known, name), getattr(whole, name)), name
    assert not np.array_equal(scorer.rank(last, 5, N_ITEMS).score, whole.score)


def test_scores_of_a_list_fall_and_probabilities_of_the_whole_catalogue_sum_to_one() -> None:
    events = random_events()
    whole = scorer_of(events).rank(events, 20, 1000)
    assert whole.item.shape == (20, N_ITEMS)
    assert (np.sort(whole.item, 1) == np.arange(N_ITEMS)).all()
    assert (np.diff(whole.score, axis=1) <= 0).all()
    assert np.allclose(whole.probability.sum(1), 1, atol=1e-4)
    short = scorer_of(events).rank(events, 20, 5)
    assert np.allclose(short.probability, whole.probability[:, :5], atol=1e-6)
    assert (short.probability.sum(1) < 1).all()


def test_unavailable_and_seen_items_are_on_no_list() -> None:
    events = random_events(n_users=6, n_events=60)
    available = np.arange(N_ITEMS) % 3 > 0
    lists = scorer_of(events, hide_seen=True, available=available).rank(events, 6, N_ITEMS)
    for user in range(6):
        seen = set(events.item[events.user == user].tolist())
        listed = [item for item in lists.item[user].tolist() if item >= 0]
        assert set(listed) == set(np.flatnonzero(available).tolist()) - seen
        assert (lists.item[user][len(listed) :] == -1).all(), "a list that ends early ends in -1"
        assert (lists.probability[user][len(listed) :] == 0).all()
    assert np.allclose(lists.probability.sum(1), 1, atol=1e-4)


def test_if_all_items_are_seen_or_unavailable_the_list_is_empty_and_every_number_is_finite() -> None:
    events = make_events([(0, item, item) for item in range(3)], n_items=3)
    lists = scorer_of(events, hide_seen=True).rank(events, 1, 3)
    assert (lists.item == -1).all()
    gone = scorer_of(events, available=np.zeros(3, bool)).rank(events, 1, 3)
    assert (gone.item == -1).all()
    for one in (lists, gone):
        assert np.isfinite(one.score).all()
        assert (one.probability == 0).all()


def test_a_user_without_history_gets_a_cold_start_list() -> None:
    events = make_events([(0, 1, 5), (2, 3, 9), (2, 4, 12)], n_items=N_ITEMS)
    scorer = scorer_of(events)
    lists = scorer.rank(events, 5, 4)
    nobody = scorer.rank(make_events([], n_items=N_ITEMS), 1, 4)
    for user in (1, 3, 4):
        assert lists.item[user].tolist() == nobody.item[0].tolist()
        assert (lists.because[user] == -1).all()
    assert lists.item[2].tolist() != nobody.item[0].tolist()


def test_no_users_get_no_lists() -> None:
    events = random_events()
    assert scorer_of(events).rank(events, 0, 5).item.shape[0] == 0


def test_a_catalogue_of_one_item_recommends_it() -> None:
    events = make_events([(0, 0, 5), (1, 0, 6)], n_items=1)
    lists = scorer_of(events).rank(events, 2, 10)
    assert lists.item.tolist() == [[0], [0]]
    assert lists.probability == pytest.approx(1)


def test_lists_depend_on_the_time_of_the_request_but_not_on_events_beyond_the_window_of_the_model() -> None:
    events = random_events(n_users=3, n_events=90)
    scorer = replace(scorer_of(events), blend=starting_blend(TREND))
    last = events.where(events.position >= np.diff(events.offsets)[events.user] - TINY.max_events)
    full, cut = (vectors_at(scorer.weights.model, each, each.offsets[:-1], each.offsets[1:], scorer.as_of) for each in (events, last))
    torch.testing.assert_close(full, cut, atol=0.3, rtol=0, msg="the newest max_events - 1 events, and no start token")
    later = scorer.rank(events, 3, N_ITEMS, now=scorer.as_of + 900 * HOUR)
    assert not np.array_equal(later.item, scorer.rank(events, 3, N_ITEMS).item)


def test_the_state_that_serves_is_the_state_that_was_trained() -> None:
    """Asked at the time of an event, with the history before it, serving gives the vector that evaluation judged."""
    events = random_events(n_users=40, n_events=250)
    counts = np.diff(events.offsets)
    rows = (events.offsets[1:] - 1)[(counts > 1) & (counts < TINY.max_events)]
    judged = target_vectors(shaken(N_ITEMS), events, rows)
    scorer = scorer_of(events)
    for vector, row in zip(judged, rows, strict=True):
        before = history_of(events.where(np.arange(len(events)) < row), int(events.user[row]))
        served = vectors_at(scorer.weights.model, before, np.zeros(1, np.int64), np.array([len(before)]), int(events.time[row]))
        torch.testing.assert_close(served[0], vector, atol=0.3, rtol=0)


def test_the_fallback_list_is_by_popularity_and_leaves_out_unavailable_items() -> None:
    events = make_events([(n, item, n) for n, item in enumerate([2, 2, 2, 1, 1, 0])], n_items=4)
    features = popularity_of(events, 10)
    everyone = fallback_list(features, np.array([True, True, False, True]), len(HALF_LIVES_H), 10)
    assert everyone.user_ids == ("*",)
    assert everyone.item[everyone.item >= 0].tolist() == [1, 0, 3]
    assert everyone.probability[everyone.item >= 0] == pytest.approx([2 / 6, 1 / 6, 0])
    assert np.isfinite(everyone.score).all()
    assert (everyone.because == -1).all()


@given(st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.5]), min_size=1, max_size=12), st.integers(1, 13), st.data())
def test_the_fallback_list_is_a_stable_sort_of_what_may_be_shown(share: list[float], k: int, data: st.DataObject) -> None:
    is_available = np.array(data.draw(st.lists(st.booleans(), min_size=len(share), max_size=len(share))))
    found = fallback_list(np.array(share, np.float32)[:, None], is_available, 0, k).item[0].tolist()
    assert found == sorted(np.flatnonzero(is_available).tolist(), key=lambda row: -share[row])[:k]


def test_the_popularity_of_the_fallback_list_has_a_half_life_of_a_day_or_more() -> None:
    for row in range(len(HALF_LIVES_H)):
        column = best_popularity_column(popularity_only(row, TREND))
        assert HALF_LIVES_H[column] >= 24
        assert column == max(row, 2)


def test_neighbours_are_the_nearest_available_others() -> None:
    angle = np.deg2rad([0, 10, 25, 90, 180])
    items = torch.from_numpy(np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32)) * torch.tensor([1, 9, 1, 1, 5.0])[:, None]
    found = neighbours(items, np.array([True, True, False, True, True]), 3, approximate_above=100)
    assert found.item[0].tolist() == [1, 3, 4]
    assert found.item[2].tolist() == [1, 0, 3], "an unavailable item has neighbours but is not a neighbour"
    assert found.similarity[0] == pytest.approx(np.cos(np.deg2rad([10, 90, 180])), abs=1e-6)


def test_neighbours_of_some_in_small_blocks_are_those_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    items, is_available = torch.randn(30, 4, generator=torch.Generator().manual_seed(0)), np.arange(30) % 5 > 0
    rows = np.arange(0, 30, 2)
    every = neighbours(items, is_available, 3, approximate_above=1000)
    monkeypatch.setattr("models.ranking.neighbours.BLOCK_CELLS", 4 * 30)
    some = neighbours_of(items, rows, is_available, 3)
    assert np.array_equal(some.item, every.item[rows])
    assert np.allclose(some.similarity, every.similarity[rows], atol=1e-6)


def test_an_approximate_search_finds_mostly_the_same_neighbours() -> None:
    items = torch.from_numpy(random_text(600, 16))
    available = np.arange(600) % 7 > 0
    exact, quick = (neighbours(items, available, 10, above) for above in (10_000, 0))
    shared = [len(set(one) & set(other)) / 10 for one, other in zip(exact.item.tolist(), quick.item.tolist(), strict=True)]
    assert np.mean(shared) > 0.95
    assert available[quick.item].all()
    assert (quick.item != np.arange(600)[:, None]).all()
    assert np.allclose(quick.similarity[:, 0], exact.similarity[:, 0], atol=0.05)


@pytest.mark.parametrize("approximate_above", [0, 100])
@pytest.mark.parametrize("n_available", [0, 1, 3, 6])
def test_where_there_are_few_others_the_rows_end_early_and_never_name_the_item_itself(approximate_above: int, n_available: int) -> None:
    items = torch.from_numpy(random_text(6, 16))
    available = np.arange(6) < n_available
    found = neighbours(items, available, 5, approximate_above)
    for row in range(6):
        listed = [item for item in found.item[row].tolist() if item >= 0]
        assert sorted(listed) == [item for item in range(n_available) if item != row]
        assert (found.similarity[row][len(listed) :] == 0).all()


@pytest.mark.parametrize("approximate_above", [0, 100])
def test_a_lone_item_has_no_neighbours_and_an_unknown_one_gives_no_nan(approximate_above: int) -> None:
    assert neighbours(torch.ones(1, 4), np.ones(1, bool), 5, approximate_above).item.shape == (1, 0)
    items = torch.from_numpy(random_text(5, 4))
    items[2] = 0
    assert np.isfinite(neighbours(items, np.ones(5, bool), 3, approximate_above).similarity).all()


def test_a_list_is_made_for_a_look_one_minute_later() -> None:
    events = random_events(n_users=4, n_items=N_ITEMS)
    scorer = scorer_of(events)
    by_default, asked = scorer.rank(events, 4, N_ITEMS), scorer.rank(events, 4, N_ITEMS, now=scorer.as_of + LIST_DELAY_S)
    at_once = scorer.rank(events, 4, N_ITEMS, now=scorer.as_of)
    assert np.array_equal(by_default.score, asked.score)
    assert not np.array_equal(by_default.score, at_once.score)
