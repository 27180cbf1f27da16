"""The simulated shop: the same under a seed, whole, readable, and with the structure that it promises."""

from __future__ import annotations

import re
from math import gcd

import numpy as np
import polars as pl
import pytest

from models.simulation.shop import Shop, ShopConfig, simulate
from models.simulation.shop_catalog import leaves

CONFIG = ShopConfig(n_users=300, n_items=600, n_days=40)


def test_makes_and_sizes_of_every_leaf_share_no_divisor() -> None:
    assert [leaf.name for leaf in leaves() if gcd(len(leaf.makes), len(leaf.sizes)) > 1] == []


@pytest.fixture(scope="module")
def shop() -> Shop:
    return simulate(CONFIG, seed=3)


def visits(shop: Shop) -> pl.DataFrame:
    """Views and clicks with their session, leaf and the visit before in the session."""
    previous = {name: pl.col(name).shift().over("session") for name in ("item_id", "leaf", "next_item_id")}
    return (
        shop.events.filter(pl.col("event_type").is_in(["view", "click"]))
        .with_columns(pl.col("context").str.json_path_match("$.session").alias("session"))
        .join(shop.truth.items, on="item_id", how="left", maintain_order="left")
        .with_columns(expression.alias(f"previous_{name}") for name, expression in previous.items())
    )


def test_the_same_seed_gives_the_same_shop_and_another_seed_another(shop: Shop) -> None:
    again = simulate(CONFIG, seed=3)
    assert again.items.equals(shop.items)
    assert again.events.equals(shop.events)
    assert again.truth.interests.equals(shop.truth.interests)
    assert not simulate(CONFIG, seed=4).events.equals(shop.events)


def test_more_users_do_not_change_the_catalogue(shop: Shop) -> None:
    assert simulate(CONFIG.model_copy(update={"n_users": 10}), seed=3).items.equals(shop.items)


@pytest.mark.parametrize(("n_users", "n_items", "n_days"), [(1, 1, 1), (2, 3, 1), (40, 7, 3), (20, 4000, 5)])
def test_any_size_is_a_whole_shop(n_users: int, n_items: int, n_days: int) -> None:
    config = ShopConfig(n_users=n_users, n_items=n_items, n_days=n_days)
    shop = simulate(config, seed=0)
    assert shop.items.height == shop.items["item_id"].n_unique() == shop.items["title"].n_unique() == n_items
    assert shop.events["item_id"].drop_nulls().is_in(shop.items["item_id"].to_list()).all()


def test_every_event_is_complete_and_in_time(shop: Shop) -> None:
    events = shop.events
    assert events["event_id"].n_unique() == events.height
    assert events["occurred_at"].is_sorted()
    assert events["occurred_at"].max() < CONFIG.end  # type: ignore[operator]
    assert (events["item_id"].is_null() == (events["event_type"] == "search")).all()
    assert (events["query"].is_not_null() == (events["event_type"] == "search")).all()
    assert (events["value"].is_not_null() == (events["event_type"] == "purchase")).all()
    assert set(events["event_type"].unique()) == {"view", "click", "cart", "purchase", "search"}


def test_nobody_sees_an_item_before_its_launch(shop: Shop) -> None:
    joined = shop.events.join(shop.items, on="item_id")
    assert (joined["occurred_at"].dt.offset_by("1m") >= joined["first_seen_at"]).all()


def test_titles_are_readable_and_no_two_are_the_same(shop: Shop) -> None:
    titles = shop.items["title"]
    assert titles.n_unique() == titles.len()
    readable = re.compile(r"[A-Z][A-Za-z0-9 ,\-]{8,80}")
    assert [title for title in titles if not readable.fullmatch(title)] == []
    assert shop.items["description"].str.count_matches(r"\.").eq(2).all()
    assert shop.items["categories"].list.len().eq(3).all()


def test_some_items_are_cold_and_some_are_unavailable(shop: Shop) -> None:
    late = shop.items.filter(pl.col("first_seen_at") > CONFIG.end - pl.duration(days=3))
    assert 0.02 < late.height / shop.items.height < 0.15
    assert 0 < (~shop.items["is_available"]).sum() < shop.items.height * 0.05


def test_new_users_come_until_the_end(shop: Shop) -> None:
    first = shop.events.group_by("user_id").agg(pl.col("occurred_at").min())
    assert first.filter(pl.col("occurred_at") > CONFIG.end - pl.duration(days=8)).height > 0.03 * CONFIG.n_users


def test_no_few_items_dominate_popularity(shop: Shop) -> None:
    counts = shop.events["item_id"].drop_nulls().value_counts()["count"].sort(descending=True).to_numpy()
    assert counts[:10].sum() < 0.10 * counts.sum()


def test_activity_has_a_heavy_tail(shop: Shop) -> None:
    counts = shop.events["user_id"].value_counts()["count"].sort(descending=True).to_numpy()
    assert counts[: CONFIG.n_users // 10].sum() > 0.3 * counts.sum()


def test_browsing_goes_on_to_the_next_item_of_the_leaf_far_more_often_than_back(shop: Shop) -> None:
    steps = visits(shop).drop_nulls("previous_item_id")
    forward = (steps["item_id"] == steps["previous_next_item_id"]).mean()
    backward = (steps["next_item_id"] == steps["previous_item_id"]).mean()
    assert isinstance(forward, float)
    assert isinstance(backward, float)
    assert forward > 0.4
    assert forward > 3 * backward


def test_users_go_on_to_the_neighbouring_leaf_after_a_purchase(shop: Shop) -> None:
    names = list(dict.fromkeys(shop.truth.items["leaf"]))
    after = dict(zip(names, names[1:] + names[:1], strict=True))
    bought = shop.events.filter(pl.col("event_type") == "purchase").select(
        "item_id", pl.col("context").str.json_path_match("$.session").alias("session"), bought=pl.lit(True)
    )
    steps = visits(shop).drop_nulls("previous_leaf").with_columns(is_neighbour=pl.col("leaf") == pl.col("previous_leaf").replace(after))
    marked = steps.join(bought.unique(), left_on=["session", "previous_item_id"], right_on=["session", "item_id"], how="left")
    share = dict(marked.group_by(pl.col("bought").is_not_null()).agg(pl.col("is_neighbour").mean()).iter_rows())
    assert share[True] > 0.35, "some return to the leaf of their purchase and continue there"
    assert share[False] < 0.15


def test_the_truth_is_a_distribution_in_every_window_of_every_user(shop: Shop) -> None:
    windows = shop.truth.interests.group_by("user_id", "since", "until").agg(pl.col("probability").sum()).sort("user_id", "since")
    assert np.allclose(windows["probability"], 1)
    gaps = windows.filter(pl.col("since") != pl.col("until").shift().over("user_id"))
    assert gaps.height == 0, "one window ends where the next begins"
    assert windows["until"].max() == CONFIG.end


def test_sessions_start_in_current_interests_and_interests_drift(shop: Shop) -> None:
    starts = visits(shop).filter(pl.col("previous_item_id").is_null()).select("user_id", "occurred_at", "leaf")
    interests = shop.truth.interests.group_by("user_id", "since", "until", "leaf").agg(pl.col("probability").sum())
    window = pl.col("occurred_at").is_between(pl.col("since"), pl.col("until"), closed="left")
    now = starts.join(interests, on=["user_id", "leaf"]).filter(window).height / starts.height
    later = starts.with_columns(pl.col("occurred_at").dt.offset_by("-18d")).join(interests, on=["user_id", "leaf"]).filter(window).height
    could_be = starts.filter(pl.col("occurred_at") > CONFIG.end - pl.duration(days=CONFIG.n_days - 18)).height
    assert now > 0.85
    assert 0.2 < later / could_be < 0.7
