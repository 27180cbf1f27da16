"""An earlier version goes live from its past lists, without what may not be shown any more, and learning goes on from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.results import SeenItems
from tasks.config import PublishConfig
from tasks.experiments import changes, current
from tasks.experiments.experiment import newest
from tasks.lake import Lake, newest_snapshot, writing
from tasks.minute.feed import look_for_work
from tasks.privacy.opt_out import opt_out
from tasks.publish.past import before_champion, newest_promotion, past_publication, rollback_versions
from tasks.publish.publication import Files
from tasks.publish.restore import Restored, restore
from tasks.scenarios import DEFAULT, Scenario, ScenarioLists
from tasks.watermarks import Watermarks, read_watermarks
from tests.tasks.minute.test_feed import minute
from tests.tasks.publish.test_night import ANYONE, WEIGHTS, add_events, add_item, put, ranked, rows

SHOP = {**WEIGHTS, "purchase": 1.0}
PLAIN = {DEFAULT: Scenario(name=DEFAULT)}
CART = {**PLAIN, "cart": Scenario(name="cart", in_tables=True)}
SHOWS = SeenItems(are_hidden=False)


def go_back(lake: Lake, version: str = "1", scenarios: Mapping[str, Scenario] = PLAIN, cadence: str = "promote") -> Restored:
    found = past_publication(lake, version)
    assert found is not None
    found = found.with_files(Files(Path("/nowhere"), "digest"), -1)
    return restore(lake, found, cadence, scenarios, SHOP, datetime.now(UTC).replace(tzinfo=None))


def lists(lake: Lake) -> dict[str, list[str]]:
    return dict(rows(lake, "select user_id, list(item_id order by rank) from recs.recommendations group by user_id order by user_id"))


def in_cart(users: Mapping[str, list[int]]) -> tuple[ScenarioLists, ...]:
    return (ScenarioLists("cart", ranked(users), ANYONE),)


@pytest.fixture
def two_nights(lake: Lake) -> Lake:
    """Version 1, and with other lists version 2; four items, of which unknown users see a and b."""
    for item in "abcd":
        add_item(lake, item, item.upper())
    add_events(lake, ("u", "d", "view", 1), ("v", "d", "view", 2))
    put(lake, ranked({"u": [1, 2], "v": [2, 0]}), champion="1", seen_items=SeenItems(are_hidden=True))
    put(lake, ranked({"u": [2, 0], "v": [0, 1]}), "2", champion="2")
    return lake


def test_the_lists_the_pointer_and_the_watermark_are_those_of_the_version_and_rows_name_who_made_them(two_nights: Lake) -> None:
    learnt = rows(two_nights, "select learnt from recs.publications where model_version = '1'")[0][0]
    published = read_watermarks(two_nights)
    assert published is not None
    before = newest_snapshot(two_nights)
    done = go_back(two_nights)
    assert newest_snapshot(two_nights) == before + 1, "one transaction"
    assert lists(two_nights) == {"*": ["a", "b"], "u": ["b", "c"], "v": ["c", "a"]}
    assert (done.publication.n_users, done.publication.n_users_changed) == (2, 2)
    assert read_watermarks(two_nights) == done.marks == Watermarks(published.published, learnt)
    found = rows(two_nights, "select user_id, rank, score, probability, source, model_version, flow_run_id from recs.recommendations")
    assert [row for row in found if row[0] == "u"] == [
        ("u", 1, 1.0, 0.5, "model", "1", "flow-1"),
        ("u", 2, 0.0, pytest.approx(0.5 / np.e), "model", "1", "flow-1"),
    ]
    columns = "cadence, model_version, champion, checkpoint, hides_seen_items, learnt"
    newest = rows(two_nights, f"select {columns} from recs.publications order by published_at desc limit 1")
    assert newest == [("promote", "1", "1", "/nowhere", True, learnt)]
    past = rows(two_nights, "select user_id, item_ids, model_version from recs.list_history order by published_at desc, user_id limit 2")
    assert past == [("u", ["b", "c"], "1"), ("v", ["c", "a"], "1")], "the list for unknown users did not change"


def test_the_lists_are_those_that_the_minutes_of_the_version_left_and_name_the_versions_that_made_them(lake: Lake) -> None:
    add_events(lake, ("u", "d", "view", 1), ("v", "d", "view", 2))
    put(lake, ranked({"u": [3, 0], "v": [2, 0]}), champion="1", seen_items=SHOWS)
    add_events(lake, ("u", "a", "view", 3))
    minute(lake, "2", champion="1")
    put(lake, ranked({"u": [0, 1], "v": [0, 1]}), "3", champion="3", seen_items=SHOWS)
    assert before_champion(lake) == ("2", "1")
    assert rollback_versions(lake) == {"1", "2"}
    go_back(lake, "2", cadence="rollback")
    assert rows(
        lake,
        "select user_id, list(item_id order by rank), any_value(model_version) from recs.recommendations group by user_id order by all",
    ) == [
        ("*", ["a", "b"], "1"),
        ("u", ["b", "c"], "2"),
        ("v", ["c", "a"], "1"),
    ]
    go_back(lake, "3", cadence="rollback")
    assert lists(lake)["u"] == ["a", "b"], "going back can be undone"
    go_back(lake, "1")
    assert lists(lake)["u"] == ["d", "a"], "a version before its increments"


@pytest.mark.slow
def test_slots_of_new_items_and_their_propensities_come_back_with_the_lists(lake: Lake) -> None:
    for item in "abcd":
        add_item(lake, item, item.upper())
    add_events(lake, ("u", "d", "view", 1))
    drawn = replace(
        ranked({"u": [1, 2], "v": [3, 2]}), is_drawn=np.eye(2)[::-1] > 0, propensity=np.array([[1, 0.25], [0.5, 1]], np.float32)
    )
    put(lake, drawn, champion="1", seen_items=SHOWS)
    slots = "select user_id, item_id, slot, propensity from recs.recommendations order by user_id, rank"
    past = "select item_ids, slots, propensities from recs.list_history where user_id = 'u' order by published_at"
    before = rows(lake, slots)
    assert ("u", "c", "exploration", 0.25) in before
    put(lake, ranked({"u": [1, 2], "v": [3, 2]}), "2", champion="2")
    assert rows(lake, past) == [(["b", "c"], ["ranked", "exploration"], [1, 0.25]), (["b", "c"], ["ranked", "ranked"], [1, 1])]
    with writing(lake) as con:
        con.execute("update raw.items set is_available = false where item_id = 'b'")
    go_back(lake)
    gone = {("*", "b"), ("u", "b")}
    kept = [row for row in before if row[:2] not in gone]
    assert set(kept) <= set(rows(lake, slots))
    assert rows(lake, past)[-1] == (["c", "a"], ["exploration", "ranked"], [0.25, 1])


def test_withdrawn_bought_and_had_items_are_gone_and_lists_are_filled_up_from_the_list_for_unknown_users(two_nights: Lake) -> None:
    add_events(two_nights, ("v", "a", "purchase", 5))
    with writing(two_nights) as con:
        con.execute("update raw.items set is_available = false where item_id = 'c'")
    go_back(two_nights)
    assert lists(two_nights) == {"*": ["a", "b"], "u": ["b", "a"], "v": ["b"]}
    assert rows(two_nights, "select score, source, reason from recs.recommendations where user_id = 'u' order by rank") == [
        (1.0, "model", "because of A"),
        (1.0, "popular", "popular right now"),
    ]


@pytest.mark.slow
def test_a_model_that_shows_items_again_leaves_out_only_what_was_bought_since(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1), ("v", "a", "view", 2))
    put(lake, ranked({"u": [0, 2], "v": [0, 2]}), champion="1", seen_items=SHOWS)
    put(lake, ranked({"u": [1, 2], "v": [1, 2]}), "2", champion="2")
    add_events(lake, ("u", "c", "purchase", 5), ("v", "c", "view", 5))
    go_back(lake)
    assert lists(lake) == {"*": ["a", "b"], "u": ["a", "b"], "v": ["a", "c"]}


@pytest.mark.slow
@pytest.mark.parametrize("is_known", [True, False])
def test_what_was_bought_long_ago_stays_however_late_it_was_loaded(lake: Lake, is_known: bool) -> None:
    """is_known: whether the lake still has the snapshot of the list; the purchase came in minutes before the list was made."""
    add_events(lake, ("u", "a", "purchase", 1), ("v", "a", "view", 2))
    put(lake, ranked({"u": [0, 2], "v": [0, 2]}), champion="1", seen_items=SHOWS)
    put(lake, ranked({"u": [1, 2], "v": [1, 2]}), "2", champion="2")
    if not is_known:
        with writing(lake) as con:
            con.execute("update recs.list_history set data_snapshot = 999999")
    go_back(lake)
    assert lists(lake) == {"*": ["a", "b"], "u": ["a", "c"], "v": ["a", "c"]}


@pytest.mark.slow
def test_what_a_scenario_hides_or_no_longer_allows_is_gone_from_its_lists(lake: Lake) -> None:
    for item in "abcd":
        add_item(lake, item, item.upper())
    add_events(lake, ("u", "d", "view", 1), ("v", "d", "view", 2))
    placed = in_cart({"u": [0, 2], "v": [3, 2]})
    put(lake, ranked({"u": [0, 2], "v": [1, 2]}), champion="1", in_places=placed, seen_items=SHOWS)
    put(lake, ranked({"u": [1, 2], "v": [1, 2]}), "2", champion="2", in_places=in_cart({"u": [1], "v": [1]}))
    with writing(lake) as con:
        con.execute(
            "insert into raw.events by name select 'e' event_id, 'u' user_id, 'a' item_id, 'return' event_type,"
            " now()::timestamp occurred_at, now()::timestamp received_at"
        )
    cart = Scenario(name="cart", in_tables=True, hide={"return": 30.0}, where="title <> 'D'", max_per_category=5)
    go_back(lake, scenarios={**PLAIN, "cart": cart})
    assert lists(lake)["u"] == ["a", "c"], "the rule is that of the cart"
    found = (
        "select user_id, list(item_id order by rank) from recs.scenario_recommendations where scenario = 'cart' group by all order by all"
    )
    assert rows(lake, found) == [("*", ["a", "b"]), ("u", ["c"]), ("v", ["c"])], "where categories are capped, short lists stay short"


def test_a_scenario_that_the_version_had_no_lists_for_keeps_those_that_it_has(two_nights: Lake) -> None:
    put(two_nights, ranked({"u": [2, 0]}), "3", champion="3", in_places=in_cart({"u": [3]}))
    go_back(two_nights, scenarios=CART)
    assert rows(two_nights, "select user_id, item_id, model_version from recs.scenario_recommendations order by all") == [
        ("*", "a", "3"),
        ("*", "b", "3"),
        ("u", "d", "3"),
    ]
    assert lists(two_nights)["u"] == ["b", "c"]


def test_users_who_came_since_get_the_list_for_unknown_users_less_what_they_had(two_nights: Lake) -> None:
    add_events(two_nights, ("new", "a", "view", 5))
    minute(two_nights, "3", champion="2")
    go_back(two_nights)
    assert lists(two_nights)["new"] == ["b"]
    made = rows(two_nights, "select source, model_version from recs.recommendations where user_id = 'new'")
    assert made == [("popular", "1")]


def test_users_who_opted_out_or_were_merged_since_get_no_list_back(two_nights: Lake) -> None:
    opt_out(two_nights, ["u"])
    with writing(two_nights) as con:
        con.execute("insert into raw.user_aliases values ('v', 'w', now()::timestamp)")
    go_back(two_nights)
    assert list(lists(two_nights)) == ["*"]


@pytest.mark.slow
def test_the_next_minute_has_the_events_since_as_known_ones_to_learn_again_until_a_run_has_published(two_nights: Lake) -> None:
    add_events(two_nights, ("u", "a", "view", 5))
    minute(two_nights, "3", champion="2")
    now = datetime.now(UTC).replace(tzinfo=None)

    def look() -> Any:
        return look_for_work(two_nights, SHOP, 4, PublishConfig(refresh_users=0), now)

    assert look().is_empty
    go_back(two_nights, cadence="rollback")
    found = newest_promotion(two_nights)
    assert found is not None
    assert (found.cadence, found.version, found.is_behind) == ("rollback", "1", True)
    work = look()
    assert work.news.has_news
    assert work.news.events.select("user_id", "item_id", "is_new").rows() == [("u", "a", False)]
    minute(two_nights, "4", champion="1", news=replace(work.news, is_again=False))
    assert newest_promotion(two_nights) is None
    assert look().is_empty


def test_an_experiment_ends_with_the_publication_that_changes_its_control(two_nights: Lake) -> None:
    changes.start(two_nights, changes.new_experiment("", "ctr", 0.5, {}, ("2", "{}"), ("9", "{}"), "run-9", 3))
    go_back(two_nights, cadence="rollback")
    (ended,) = newest(two_nights)
    assert (current(two_nights), ended.state) == (None, "stopped")
    assert ended.verdict == "ended by rollback of version 1, because it changed the control"
    assert rows(two_nights, "select max(published_at) from recs.publications") == [(ended.stopped_at,)]


def test_a_restored_list_keeps_its_slots_and_propensities_and_filled_rows_are_ranked(two_nights: Lake) -> None:
    with writing(two_nights) as con:
        con.execute("""
            update recs.list_history set slots = ['ranked', 'exploration'], propensities = [1, 0.25]
            where user_id in ('u', 'v') and model_version = '1'
        """)
    add_events(two_nights, ("v", "c", "purchase", 5))
    go_back(two_nights)
    assert rows(
        two_nights, "select user_id, item_id, slot, propensity from recs.recommendations where user_id <> '*' order by user_id, rank"
    ) == [
        ("u", "b", "ranked", 1.0),
        ("u", "c", "exploration", 0.25),
        ("v", "a", "exploration", 0.25),
        ("v", "b", "ranked", 1.0),
    ]
    newest = "select user_id, slots from recs.list_history order by published_at desc, user_id limit 2"
    assert rows(two_nights, newest) == [("u", ["ranked", "exploration"]), ("v", ["exploration", "ranked"])]
