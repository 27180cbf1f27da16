"""Interests are published with the lists: a night replaces them all, a minute those of the users and items in the news."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import duckdb
import numpy as np
import pytest

from models.errors import UserError
from models.interests.users import UserInterests
from models.interests.vocabulary import Descriptions, Interests
from tasks.interests.descriptions import descriptions
from tasks.interests.rows import FoundInterests
from tasks.lake import Lake, extension_path, writing
from tasks.reading import interests_of
from tests.models.interests.test_vocabulary import found as vocabulary_of
from tests.tasks.minute.test_feed import minute
from tests.tasks.publish.test_night import add_events, add_item, provenance, put, ranked, rows

LABELS = (("Fruit > Soft",), ("Fruit > Soft",), ("Fruit",), ("Nuts",), ("Nuts",), ("Herbs",), ("Herbs",))
ITEMS = Descriptions([f"thing {n}" for n in range(7)], LABELS, [()] * 7, np.full(7, np.nan, np.float32))


def vocabulary(n_items: int = 4) -> Interests:
    """Interests of the first items of LABELS."""
    known = Descriptions(ITEMS.titles[:n_items], LABELS[:n_items], [()] * n_items, ITEMS.prices[:n_items])
    return vocabulary_of(ITEMS).of(known, None)


def held(users: Sequence[str], items: Sequence[int] | None = None, probability: float = 0.5) -> FoundInterests:
    """Each user, and everybody, is interested in soft fruit; the users because of items a and b."""
    n, interests = len(users), vocabulary()
    row = interests.interest_ids.index("label:fruit > soft")
    evidence = np.array([[0, 1, -1]] * n + [[-1, -1, -1]])
    found = UserInterests(np.arange(n + 1), np.arange(n + 1) % 2, np.full(n + 1, row), np.full(n + 1, probability, np.float32), evidence)
    return FoundInterests(interests, users, found, None if items is None else np.array(items, np.int64))


HELD = "select user_id, horizon, interest_id, name, probability, evidence, model_version from recs.user_interests order by all"


@pytest.mark.slow
def test_a_night_writes_all_interests_of_the_catalogue_of_items_and_of_users(lake: Lake) -> None:
    put(lake, ranked({"u": [1], "v": [2]}), interests=held(["v", "u"]))
    assert rows(lake, "select interest_id, kind, dimension, parent_id, name, n_items from recs.interests order by all") == [
        ("label:fruit", "label", "topic", None, "Fruit", 3),
        ("label:fruit > soft", "label", "topic", "label:fruit", "Soft", 2),
        ("label:herbs", "label", "topic", None, "Herbs", 0),
        ("label:nuts", "label", "topic", None, "Nuts", 1),
    ]
    assert rows(lake, "select item_id, interest_id, share from recs.item_interests order by all") == [
        *(("a", "label:fruit > soft", 1.0), ("b", "label:fruit > soft", 1.0)),
        *(("c", "label:fruit", 1.0), ("d", "label:nuts", 1.0)),
    ]
    assert rows(lake, HELD) == [
        ("*", "short", "label:fruit > soft", "Soft", 0.5, [], "1"),
        ("u", "long", "label:fruit > soft", "Soft", 0.5, ["a", "b"], "1"),
        ("v", "short", "label:fruit > soft", "Soft", 0.5, ["a", "b"], "1"),
    ]
    made = provenance(lake, snapshot=1)
    origin = rows(lake, "select distinct mlflow_run_id, flow_run_id, generated_at from recs.user_interests")
    assert origin == [(made.mlflow_run_id, made.flow_run_id, made.generated_at)]
    put(lake, ranked({"v": [2]}), "2", interests=held(["v"]))
    assert [row[0] for row in rows(lake, HELD)] == ["*", "v"]


@pytest.mark.slow
def test_a_minute_replaces_the_interests_of_its_users_and_of_everybody_and_leaves_all_others(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1], "v": [2]}), interests=held(["u", "v"]))
    add_events(lake, ("u", "b", "view", 2), ("new", "a", "view", 3))
    minute(lake, interests=held(["new", "u"], items=[], probability=0.25))
    assert [(user, p, version) for user, _, _, _, p, _, version in rows(lake, HELD)] == [
        *(("*", 0.25, "2"), ("new", 0.25, "2")),
        *(("u", 0.25, "2"), ("v", 0.5, "1")),
    ]
    assert rows(lake, "select distinct model_version from recs.item_interests") == [("1",)]
    assert rows(lake, "select distinct model_version from recs.interests") == [("1",)]


@pytest.mark.slow
def test_a_minute_replaces_the_interests_of_the_items_in_the_news(lake: Lake) -> None:
    put(lake, ranked({"u": [1]}), interests=held(["u"]))
    add_events(lake, ("u", "b", "view", 2))
    minute(lake, interests=held(["u"], items=[1, 3]))
    found = rows(lake, "select item_id, model_version from recs.item_interests order by all")
    assert found == [("a", "1"), ("b", "2"), ("c", "1"), ("d", "2")]
    assert rows(lake, "select distinct model_version from recs.interests") == [("2",)]


def test_trends_show_what_rises_against_the_day_before_and_any_duckdb_can_read_them(lake: Lake) -> None:
    put(lake, ranked({"u": [1]}), interests=held(["u"]))
    hour = 3600
    add_events(lake, *[("u", "d", "view", hour * n) for n in range(1, 20)], *[("u", "a", "view", hour * 20)] * 8)
    if lake.catalog.startswith("postgres"):
        pytest.skip("the address of the catalog in ATTACH is that of SQLite")
    con = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    for name in ("sqlite_scanner", "ducklake"):
        con.execute(f"load '{extension_path(name)}'")
    con.execute(f"attach 'ducklake:{lake.catalog}' as lake (read_only)")
    found = con.execute(
        "select interest_id, n_events, share, round(change, 3) from lake.recs.interest_trends where hour = $hour order by all",
        {"hour": datetime(1970, 1, 1, 20)},
    ).fetchall()
    assert found == [("label:fruit > soft", 8.0, 1.0, 0.444), ("label:nuts", 0.0, 0.0, -0.444)]


def test_the_interests_of_an_unknown_user_are_those_of_everybody_with_a_note(lake: Lake) -> None:
    add_item(lake, "a", "Alpha")
    add_events(lake, ("u", "a", "view", 1))
    with pytest.raises(UserError, match="nothing has been published"):
        interests_of(lake, "u")
    put(lake, ranked({"u": [1]}))
    with pytest.raises(UserError, match=r"the live model knows no interests: .* run minutehand nightly"):
        interests_of(lake, "u")
    put(lake, ranked({"u": [1]}), interests=held(["u"]))
    own, other = interests_of(lake, "u"), interests_of(lake, "nobody")
    assert (own.note, [row["evidence_titles"] for row in own.rows]) == (None, [["Alpha", "b"]])
    assert [row["probability"] for row in other.rows] == [0.5]
    assert other.note == "nobody called nobody has history; this is what everybody is interested in"


def test_descriptions_come_in_the_order_asked_for_and_items_without_one_are_empty(lake: Lake) -> None:
    with writing(lake) as con:
        con.execute(
            "insert into raw.items values ('a', 'Alpha', null, ['X > Y', null], ['t'], 2.5, true, now()::timestamp, now()::timestamp)"
        )
    found = descriptions(lake, ["zz", "a"])
    assert (found.titles, found.categories, found.tags) == (["", "Alpha"], [[], ["X > Y"]], [[], ["t"]])
    assert found.prices.tolist()[1] == 2.5
    assert np.isnan(found.prices[0])
