"""Opting out: events and histories stay, and lists, interests and graph are those of everybody until the person opts in again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

import pytest

from models.errors import UserError
from tasks.ingest import api_log
from tasks.lake import Lake, writing
from tasks.minute.pacing import Refresh, users_to_refresh
from tasks.privacy.opt_out import opt_in, opt_out, opted_out
from tasks.reading import demand_known, interests_of, lists_of
from tasks.scenarios import ScenarioLists
from tests.tasks.interests.test_rows import held
from tests.tasks.minute.test_feed import minute
from tests.tasks.publish.test_night import ANYONE, add_events, add_item, put, ranked, rows

NAMED = """
    select user_id from recs.recommendations union select user_id from recs.scenario_recommendations union
    select user_id from recs.user_interests union select user_id from ops.served where user_id is not null union
    select id from graph.nodes where kind = 'user' union select substr(source, 6) from graph.edges where starts_with(source, 'user:')
    order by all
"""
"""Everybody whom a table names that is made of events."""


def named(lake: Lake) -> list[str]:
    return [user for (user,) in rows(lake, NAMED)]


def publish(lake: Lake, users: Collection[str] = ("u", "v")) -> None:
    """A night with lists in a scenario, interests and a graph, and served lists."""
    lists = ranked({user: [1, 0] for user in sorted(users)})
    placed = [ScenarioLists("basket", replace(lists), ANYONE)]
    put(lake, lists, interests=held(sorted(users)), in_places=placed)
    with writing(lake) as con:
        row = {"scenario": "default", "model_version": "1", "item_ids": ["a"], "sources": ["new"], "served_at": "2026-01-01T00:00:00"}
        served = [{"recommendation_id": user, "user_id": user, **row} for user in users]
        api_log._write_served(con, served)


def test_who_opts_out_is_in_no_table_but_their_events_and_histories_stay(lake: Lake) -> None:
    add_item(lake, "a", "Alpha")
    add_events(lake, ("u", "a", "view", 1), ("v", "a", "view", 2))
    publish(lake)
    assert named(lake) == ["*", "u", "v"]
    assert opt_out(lake, ["u"]) == 1
    assert opt_out(lake, ["u"]) == 0
    assert named(lake) == ["*", "v"]
    assert rows(lake, "select user_id from raw.events order by all") == [("u",), ("v",)]
    assert rows(lake, "select user_id from features.user_histories order by all") == [("u",), ("v",)]
    (found,) = lists_of(lake, ["u"], 2)
    assert [row["item_id"] for row in found.rows] == ["a", "b"]
    assert found.note == "user u has opted out; this is the list for anyone"
    assert interests_of(lake, "u").note == "user u has opted out; this is what everybody is interested in"
    with pytest.raises(UserError, match="to undo it: minutehand opt-in 'u'"):
        demand_known(lake, "u", "a")


@pytest.mark.slow
def test_no_minute_and_no_night_brings_anything_back_and_new_events_still_count(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1), ("v", "a", "view", 2))
    publish(lake)
    opt_out(lake, ["u"])
    past = rows(lake, "select count(*) from recs.list_history where user_id = 'u'")
    add_events(lake, ("u", "b", "view", 3))
    placed = [ScenarioLists("basket", ranked({"u": [1]}), ANYONE)]
    minute(lake, interests=held(["u"], []), in_places=placed)
    assert named(lake) == ["*", "v"]
    assert rows(lake, "select item_ids from features.user_histories where user_id = 'u'") == [(["a", "b"],)]
    publish(lake)
    assert [user for user in named(lake) if user != "u"] == ["*", "v"]
    assert rows(lake, "select distinct user_id from recs.recommendations order by all") == [("*",), ("v",)]
    assert rows(lake, "select id from graph.nodes where kind = 'user'") == [("v",)]
    assert rows(lake, "select count(*) from recs.list_history where user_id = 'u'") == past


@pytest.mark.slow
def test_who_opts_in_again_gets_a_list_with_the_next_minute(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1), ("v", "a", "view", 2))
    publish(lake)
    opt_out(lake, ["u"])
    due = Refresh(datetime(2020, 1, 1), 9, 9, is_due=True)
    assert users_to_refresh(lake, [], due).user_ids == []
    assert opt_in(lake, ["u", "v"]) == 1
    assert users_to_refresh(lake, [], due).user_ids == ["u"]
    minute(lake, extra=["u"], interests=held(["u"], []))
    assert named(lake) == ["*", "u", "v"]
    assert users_to_refresh(lake, [], due).user_ids == []


def test_an_opt_out_counts_for_all_ids_of_a_person_also_after_a_later_merge(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1), ("session", "a", "view", 2))
    merged = {"alias": "session", "user_id": "u", "merged_at": "2026-01-01T00:00:00"}
    with writing(lake) as con:
        api_log._write_aliases(con, [merged])
    publish(lake, ["u", "session"])
    opt_out(lake, ["session"])
    assert named(lake) == ["*"]
    with writing(lake) as con:
        api_log._write_aliases(con, [{**merged, "alias": "u", "user_id": "customer"}])
        assert opted_out(con) == {"customer"}


@pytest.mark.parametrize("user_id", ["", " ", "*"])
def test_an_id_that_stands_for_nobody_cannot_opt_out(lake: Lake, user_id: str) -> None:
    with pytest.raises(UserError, match="stands for nobody"):
        opt_out(lake, [user_id])
