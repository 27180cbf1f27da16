"""People who react: they examine a list as documented, want what the truth says, and leave events that an ingest takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from models.simulation.people import Crowd, PeopleConfig, click_probability, crowd_at, look, published, reactions, views, walk, wish
from models.simulation.shop import ShopConfig, simulate

CONFIG = PeopleConfig()
NOW = datetime(2026, 11, 1)


@pytest.fixture(scope="module")
def crowd() -> Crowd:
    shop = simulate(ShopConfig(n_users=60, n_items=80, n_days=10), seed=3)
    return crowd_at(shop.items, shop.truth, NOW)


def test_click_probabilities_are_those_worked_out_by_hand() -> None:
    config = PeopleConfig(goes_on=0.5, buys=0.4)
    found = click_probability(np.array([[0.5, 0.2, 0.1]]), config)
    assert found == pytest.approx(np.array([[0.5, 0.5 * (1 - 0.2) * 0.2, 0.5 * 0.8 * 0.5 * (1 - 0.08) * 0.1]]))


def test_clicks_drawn_many_times_are_the_click_probabilities() -> None:
    chance = np.array([0.5, 0.05, 0.3, 0.2])
    looks = look(np.tile(chance, (40_000, 1)), CONFIG, np.random.default_rng(0))
    assert looks.clicked.mean(0) == pytest.approx(click_probability(chance[None], CONFIG)[0], abs=0.01)


def test_nobody_clicks_what_they_do_not_examine_and_a_purchase_ends_the_look() -> None:
    looks = look(np.full((3000, 10), 0.4), CONFIG, np.random.default_rng(1))
    assert not (looks.clicked & ~looks.examined).any()
    assert not (looks.bought & ~looks.clicked).any()
    assert looks.examined[:, 0].all()
    assert (looks.bought.sum(1) <= 1).all()
    assert (np.diff(looks.examined.astype(int), axis=1) <= 0).all(), "examined positions are the first ones"


def test_a_person_wants_the_next_item_most_then_the_leaf_then_other_interests_and_never_again_what_they_viewed(crowd: Crowd) -> None:
    crowd = replace(crowd, appeal=np.ones(len(crowd.item_ids)), is_on_sale=np.ones(len(crowd.item_ids), bool))
    sizes = np.bincount(crowd.leaf)
    viewed = np.flatnonzero(sizes[crowd.leaf] > 2)[:1]
    following = crowd.next_item[viewed[0]]
    mate = next(row for row in np.flatnonzero(crowd.leaf == crowd.leaf[viewed[0]]) if row not in (viewed[0], following))
    other = np.flatnonzero(crowd.leaf != crowd.leaf[viewed[0]])[0]
    shown = np.array([[following, mate, other, viewed[0], -1]])
    chance = wish(crowd, CONFIG, np.array([0]), shown, viewed[None])[0]
    assert chance[0] > chance[1] > chance[2] > 0
    assert (chance[3:] == 0).all()
    unvisited = wish(crowd, CONFIG, np.array([0]), shown)[0]
    assert unvisited[0] == unvisited[1], "people who have just come know nothing of next items"


def test_true_interests_make_the_clicks_of_a_user(crowd: Crowd) -> None:
    best = np.argmax(crowd.interest, 1)
    rows = np.array([user for user in range(len(best)) if (crowd.leaf[crowd.is_on_sale] == best[user]).any()])
    inside = np.array([[np.flatnonzero((crowd.leaf == best[user]) & crowd.is_on_sale)[0]] for user in rows])
    outside = np.array([[np.flatnonzero((crowd.interest[user][crowd.leaf] == 0) & crowd.is_on_sale)[0]] for user in rows])
    assert (wish(crowd, CONFIG, rows, inside) > wish(crowd, CONFIG, rows, outside)).all()


def test_walks_start_in_interests_go_on_to_next_items_and_view_only_what_is_on_sale(crowd: Crowd) -> None:
    user = np.repeat(np.arange(len(crowd.user_ids)), 50)
    seen = walk(crowd, user, 3, 0.5, np.random.default_rng(2))
    assert (crowd.interest[user, crowd.leaf[seen[:, 0]]] > 0).all()
    assert (seen[:, 1] == crowd.next_item[seen[:, 0]]).mean() > 0.45
    assert crowd.is_on_sale[seen].all()


def test_reactions_are_events_in_order_with_list_and_position_and_the_same_under_a_seed(crowd: Crowd) -> None:
    user, shown = np.arange(40), np.tile(np.flatnonzero(crowd.is_on_sale)[:10], (40, 1))
    shown[0, 5:] = -1

    def events(seed: int) -> pl.DataFrame:
        looks = look(np.where(shown < 0, 0.0, 0.4), CONFIG, np.random.default_rng(seed))
        return reactions(crowd, user, shown, looks, NOW, f"people{seed}", [f"r{row}" for row in user])

    found = events(1)
    assert found.equals(events(1))
    assert not found.equals(events(2))
    counts = dict(found.group_by("event_type").len().iter_rows())
    assert counts["impression"] == 40 * 10 - 5
    assert counts["impression"] > counts["click"] > counts["purchase"] > 0
    assert found["event_id"].is_unique().all()
    assert found["occurred_at"].is_sorted()
    assert found["occurred_at"][0] == NOW
    of_first = found.filter(user_id=crowd.user_ids[0], event_type="impression")
    assert of_first["position"].to_list() == [1, 2, 3, 4, 5]
    assert set(of_first["recommendation_id"]) == {"r0"}
    assert (found["value"].is_not_null() == (found["event_type"] == "purchase")).all()


def test_the_views_of_a_walk_are_events_step_by_step(crowd: Crowd) -> None:
    found = views(crowd, np.array([1, 2]), np.array([[3, 4], [5, 6]]), NOW, 20.0, "visit")
    assert found["user_id"].to_list() == [crowd.user_ids[row] for row in (1, 2, 1, 2)]
    assert found["item_id"].to_list() == [crowd.item_ids[row] for row in (3, 5, 4, 6)]
    assert found["occurred_at"].to_list() == [NOW, NOW, NOW + timedelta(seconds=20), NOW + timedelta(seconds=20)]
    assert found["position"].null_count() == found.height


def test_after_the_end_of_the_truth_the_last_interests_hold(crowd: Crowd) -> None:
    shop = simulate(ShopConfig(n_users=60, n_items=80, n_days=10), seed=3)
    assert np.array_equal(crowd_at(shop.items, shop.truth, NOW + timedelta(days=40)).interest, crowd.interest)
    assert crowd.users(pl.Series(["nobody", crowd.user_ids[1]])).tolist() == [-1, 1]


def test_published_lists_become_rows_and_what_the_shop_does_not_know_becomes_a_gap(crowd: Crowd) -> None:
    (first, second), (one, two) = crowd.user_ids[:2], crowd.item_ids[:2]
    rows = [(first, 1, one), (first, 2, "other"), (second, 2, two), ("nobody", 1, one), ("*", 1, two), (first, 3, two)]
    lists = pl.DataFrame(rows, ["user_id", "rank", "item_id"], orient="row")
    assert published(crowd, lists, np.array([1, 0]), 2).tolist() == [[-1, 1], [0, -1]]
    assert published(crowd, lists, np.array([1, 0]), 2, everyone=True).tolist() == [[1, -1], [1, -1]]
