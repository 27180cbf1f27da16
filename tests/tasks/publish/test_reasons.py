"""Every stored reason cites something that is really the user's, in the language of the catalogue."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl
import pytest

from models.results import RankedLists
from models.text.sentences import ENGLISH
from tasks.lake import Lake, writing
from tasks.publish.night import publish_night
from tasks.publish.publication import Searched
from tests.tasks.interests.test_rows import held
from tests.tasks.minute.test_feed import minute
from tests.tasks.publish.test_night import WEIGHTS, add_events, add_item, provenance, put, ranked, rows, shown

SHELVES = {"a": ["Films > Horror"], "b": ["Films > Horror", "Old"], "c": ["Films > Comedy"], "d": ["Films > Comedy", "Old"]}


def describe(lake: Lake, shelves: dict[str, list[str]]) -> None:
    for item_id in shelves:
        add_item(lake, item_id, f"Film {item_id}")
    with writing(lake) as con:
        for item_id, labels in shelves.items():
            con.execute("update raw.items set categories = $labels where item_id = $item_id", {"item_id": item_id, "labels": labels})


def reasons_of(lake: Lake, user: str) -> list[str]:
    return [str(text) for (text,) in rows(lake, f"select reason from recs.recommendations where user_id = '{user}' order by rank")]


def cited(users: dict[str, list[int]], because: list[list[int]], kind: list[list[int]]) -> RankedLists:
    return replace(ranked(users), because=np.array(because), kind=np.array(kind), kind_names=("other", "purchase", "view"))


def test_a_reason_says_what_the_user_did(lake: Lake) -> None:
    describe(lake, SHELVES)
    add_events(lake, ("u", "a", "purchase", 1), ("u", "b", "view", 2), ("u", "c", "odd", 3))
    put(lake, cited({"u": [3, 3, 3, 0]}, [[0, 1, 2, 0]], [[1, 2, 0, 1]]))
    assert reasons_of(lake, "u") == [
        "because you bought Film a",
        "because you viewed Film b",
        "because of Film c",
        "because you bought it before",
    ]


def test_without_an_event_a_reason_cites_the_label_that_item_and_history_share(lake: Lake) -> None:
    describe(lake, SHELVES)
    add_events(lake, ("u", "a", "view", 1), ("v", "c", "view", 1))
    put(lake, ranked({"u": [1, 2], "v": [1, 3], "w": [1, 2]}, because=-1))
    assert reasons_of(lake, "u") == ["because of your interest in Horror", "popular right now"]
    assert reasons_of(lake, "v") == ["popular right now", "because of your interest in Comedy"]
    assert reasons_of(lake, "w") == ["popular right now"] * 2, "nobody's interests are somebody else's"


def test_without_labels_a_reason_cites_an_interest_of_the_user_to_which_item_and_history_belong(lake: Lake) -> None:
    """The soft fruit, a and b, are a cluster; u is interested in it."""
    for item_id in "abcd":
        add_item(lake, item_id, f"Film {item_id}")
    add_events(lake, ("u", "a", "view", 1), ("v", "a", "view", 1))
    found = held(["u"])
    found = replace(found, interests=replace(found.interests, kinds=("cluster",) * len(found.interests.kinds)))
    put(lake, ranked({"u": [1, 3], "v": [1, 3]}, because=-1), interests=found)
    assert reasons_of(lake, "u") == ["because of your interest in Soft", "popular right now"]
    assert reasons_of(lake, "v") == ["popular right now"] * 2, "v is not interested in it"


@pytest.mark.slow
def test_a_label_of_few_events_or_of_most_items_is_no_interest(lake: Lake) -> None:
    describe(lake, {**SHELVES, **{f"e{n}": ["Films > Western", "Everything"] for n in range(9)}})
    add_events(lake, ("u", "a", "view", 1), *[("u", f"e{n}", "view", 2 + n) for n in range(9)])
    put(lake, ranked({"u": [1, 3]}, because=-1))
    assert reasons_of(lake, "u") == ["popular right now"] * 2


@pytest.mark.slow
def test_the_minute_cites_the_new_events_and_the_interests_that_they_show(lake: Lake) -> None:
    describe(lake, SHELVES)
    add_events(lake, ("u", "d", "view", 1))
    put(lake, ranked({"u": [1, 0]}, because=-1))
    assert reasons_of(lake, "u") == ["because of your interest in Old", "popular right now"]
    add_events(lake, *[("u", "a", "view", 5 + n) for n in range(2)])
    minute(lake, because=-1)
    assert reasons_of(lake, "u") == ["because of your interest in Horror", "because of your interest in Comedy"]


def test_a_list_that_follows_a_search_cites_it(lake: Lake) -> None:
    describe(lake, SHELVES)
    lists = replace(ranked({"u": [1, 2], "v": [1, 2]}, because=-1), by_search=np.array([[True, False], [True, True]]))
    asked = pl.DataFrame(
        {"user_id": ["u"], "query": ["scary  films"], "occurred_at": [datetime(2026, 1, 1)], "vector": [[1.0, 0.0]]},
        schema_overrides={"vector": pl.List(pl.Float32)},
    )
    publish_night(lake, replace(shown(lists, provenance(lake)), searches=Searched(asked, "key")), WEIGHTS)
    assert reasons_of(lake, "u") == ["because you searched for “scary films”", "popular right now"]
    assert reasons_of(lake, "v") == ["popular right now"] * 2, "without a search in the table, none is cited"


def test_a_chinese_catalogue_has_chinese_reasons(lake: Lake) -> None:
    for item_id, title in {"a": "双立人煎锅", "b": "苏泊尔电饭煲", "c": "小米手机壳", "d": "陶瓷碗"}.items():
        add_item(lake, item_id, title)
    with writing(lake) as con:
        con.execute("update raw.items set tags = ['厨具'] where item_id in ('b', 'd')")
    add_events(lake, ("u", "b", "purchase", 1))
    put(lake, cited({"u": [0, 3, 2]}, [[1, -1, -1]], [[1, -1, -1]]))
    assert reasons_of(lake, "u") == ["因为你买过「苏泊尔电饭煲」", "因为你对「厨具」感兴趣", "近期热门"]


def test_a_long_title_is_clipped_in_a_reason(lake: Lake) -> None:
    add_item(lake, "a", "tent " * 100)
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1]}))
    (reason,) = reasons_of(lake, "u")
    assert reason == ENGLISH.because(None, "tent " * 100)
    assert len(reason) < 80


@pytest.mark.slow
@pytest.mark.parametrize("block", [3, 10_000])
def test_a_user_gets_the_same_reasons_alone_and_among_others(lake: Lake, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr("tasks.publish.reasons.BLOCK_ROWS", block)
    describe(lake, SHELVES)
    add_events(lake, *[(f"u{n}", "abcd"[n % 4], "view", n) for n in range(4)])
    users = {f"u{n}": [(n + 1) % 4, (n + 2) % 4] for n in range(4)}
    put(lake, ranked(users, because=-1))
    together = {user: reasons_of(lake, user) for user in users}
    for user, items in users.items():
        put(lake, ranked({user: items}, because=-1))
        assert reasons_of(lake, user) == together[user]
    assert any("interest" in text for texts in together.values() for text in texts)
