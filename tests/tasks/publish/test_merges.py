"""The minute after a merge gives the user one history, of all their ids, and removes what was published for the merged id."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.lake import Lake, writing
from tasks.minute.feed import make_step, read_histories
from tests.tasks.minute.test_feed import KINDS, ROWS, add_searches, minute, news_of
from tests.tasks.publish.test_night import WEIGHTS, add_events, put, ranked, rows

HISTORIES = "select user_id, item_ids, event_types, occurred_at, earlier_item_ids, n_events from features.user_histories order by user_id"


def merge(lake: Lake, alias: str, user_id: str) -> None:
    with writing(lake) as con:
        con.execute("insert into raw.user_aliases values ($alias, $user_id, now()::timestamp)", {"alias": alias, "user_id": user_id})


def everywhere(lake: Lake, user_id: str) -> list[Any]:
    """What the published tables hold of an id."""
    tables = ("features.user_histories", "recs.recommendations", "features.user_searches", "recs.user_interests")
    found: list[Any] = [rows(lake, f"select * from {table} where user_id = '{user_id}'") for table in tables]
    found.append(rows(lake, f"select node from graph.nodes where node = 'user:{user_id}'"))
    found.append(rows(lake, f"select target from graph.edges where 'user:{user_id}' in (source, target)"))
    return [each for each in found if each]


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), (("s", "c", "view", 60),), (("u", "d", "view", 60), ("s", "b", "view", 3))])
def test_the_minute_after_a_merge_has_the_histories_of_a_night_and_nothing_of_the_merged_id(lake: Lake, more: Any) -> None:
    add_events(lake, *[("u", item, "view", 10 * n) for n, item in enumerate("abcd")])
    add_events(lake, *[("s", item, "view", 10 * n + 5) for n, item in enumerate("dca")])
    add_events(lake, ("v", "a", "view", 1))
    put(lake, ranked({"u": [1, 0], "v": [1, 2], "s": [1, 2]}), max_events=4)
    assert everywhere(lake, "s")
    merge(lake, "s", "u")
    if more:
        add_events(lake, *more)
    news = news_of(lake)
    assert news.merged.rows() == [("s", "u")]
    assert not news.is_empty
    assert news.has_news == bool(more)
    assert set(news.events["user_id"]) == ({"u"} if more else set())
    step = make_step(news, ROWS, KINDS, 4, as_of=100)
    assert step.is_due.sum() == len(more), "what was learnt under the old id is not learnt again"
    minute(lake, extra=[] if more else ["u"])
    found = rows(lake, HISTORIES)
    assert everywhere(lake, "s") == []
    assert news_of(lake).is_empty
    put(lake, ranked({"u": [1, 0], "v": [1, 2]}), max_events=4)
    assert found == rows(lake, HISTORIES)


def test_before_the_minute_the_history_of_a_user_is_read_with_that_of_the_merged_ids(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1), ("s", "b", "view", 2), ("t", "c", "view", 0), ("v", "a", "view", 1))
    put(lake, ranked({"u": [1, 0]}))
    merge(lake, "s", "u")
    merge(lake, "t", "u")
    merge(lake, "v", "w")
    found = read_histories(lake, ["u", "w", "x"], WEIGHTS, 2)
    columns = ["user_id", "item_ids", "earlier_item_ids", "n_events"]
    assert found.select(columns).rows() == [("u", ["a", "b"], ["c"], 3), ("w", ["a"], [], 1), ("x", [], [], 0)]


def test_the_last_search_of_all_ids_is_that_of_the_user(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1, 0]}))
    with writing(lake) as con:
        for user_id, query, second in (("u", "pans", 1), ("s", "pots", 2)):
            con.execute(
                "insert into features.user_searches values "
                "($user_id, $query, make_timestamp($second * 1000000), [1.0], 'e', now()::timestamp)",
                {"user_id": user_id, "query": query, "second": second},
            )
    merge(lake, "s", "u")
    add_searches(lake, ("s", "tent", 5))
    assert news_of(lake).searches.select("user_id", "query").rows() == [("u", "tent")]
    minute(lake, extra=["u"])
    assert rows(lake, "select user_id, query from features.user_searches") == [("u", "pots")]
