"""The graph of a night and of minutes: the same nodes and edges, finite weights, bounded numbers, readable by any DuckDB."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tasks import graph
from tasks.graph import candidates, shortest_path
from tasks.lake import Lake, extension_path, reading, writing
from tests.tasks.minute.test_feed import minute
from tests.tasks.publish.test_night import add_events, put, ranked, rows

DAY = 86_400
START = 1_767_225_600
"""2026-01-01 in unix seconds: the date that weights are relative to."""
Item = tuple[str, str | None, list[str], list[str]]


def describe(lake: Lake, *items: Item) -> None:
    """Add or replace items: id, title, categories, tags."""
    with writing(lake) as con:
        con.register("fresh", pa.table({"item_id": [item for item, *_ in items]}))
        con.execute("delete from raw.items where item_id in (select item_id from fresh)")
        for item_id, title, categories, tags in items:
            con.execute(
                "insert into raw.items values ($id, $title, null, $categories, $tags, null, true, now()::timestamp, now()::timestamp)",
                {"id": item_id, "title": title, "categories": categories, "tags": tags},
            )


def night(lake: Lake) -> None:
    put(lake, ranked({"u": [0, 1]}))


def edges(lake: Lake, source: str = "%") -> list[tuple[Any, ...]]:
    with reading(lake) as con:
        return con.execute(
            "select source, relation, target, weight, share from graph.edges where source like $source"
            " order by source, relation, weight desc, target",
            {"source": source},
        ).fetchall()


def named(found: Sequence[tuple[Any, ...]]) -> list[str]:
    return [f"{relation} {target}" for _, relation, target, *_ in found]


def test_a_night_connects_users_items_categories_and_tags_in_both_directions(lake: Lake) -> None:
    describe(lake, ("a", "Alpha", ["Kitchen > Pans"], ["iron|black"]), ("b", None, ["Kitchen"], []))
    add_events(lake, ("u", "a", "view", START), ("u", "b", "view", START + 30 * DAY), ("v", "b", "view", START - 30 * DAY))
    night(lake)
    assert edges(lake, "user:u") == [
        ("user:u", "acted_on", "item:b", 2.0, pytest.approx(2 / 3)),
        ("user:u", "acted_on", "item:a", 1.0, pytest.approx(1 / 3)),
    ]
    assert edges(lake, "item:a") == [
        ("item:a", "acted_on_by", "user:u", 1.0, 1.0),
        ("item:a", "has_tag", "tag:black", 1.0, 0.5),
        ("item:a", "has_tag", "tag:iron", 1.0, 0.5),
        ("item:a", "in_category", "category:Kitchen > Pans", 1.0, pytest.approx(2 / 3)),
        ("item:a", "in_category", "category:Kitchen", 0.5, pytest.approx(1 / 3)),
        ("item:a", "seen_together", "item:b", 1.0, 1.0),
    ]
    assert edges(lake, "category:%") == [
        ("category:Kitchen", "child", "category:Kitchen > Pans", 1.0, 1.0),
        ("category:Kitchen", "has_item", "item:b", 2.5, pytest.approx(2.5 / 3.5)),
        ("category:Kitchen", "has_item", "item:a", 1.0, pytest.approx(1 / 3.5)),
        ("category:Kitchen > Pans", "has_item", "item:a", 1.0, 1.0),
        ("category:Kitchen > Pans", "parent", "category:Kitchen", 1.0, 1.0),
    ]
    assert rows(lake, "select node, kind, id, name, weight, degree from graph.nodes order by node") == [
        ("category:Kitchen", "category", "Kitchen", "Kitchen", 3.5, 2),
        ("category:Kitchen > Pans", "category", "Kitchen > Pans", "Pans", 1.0, 1),
        ("item:a", "item", "a", "Alpha", 1.0, 1),
        ("item:b", "item", "b", "b", 2.5, 2),
        ("tag:black", "tag", "black", "black", 1.0, 1),
        ("tag:iron", "tag", "iron", "iron", 1.0, 1),
        ("user:u", "user", "u", "u", 3.0, 2),
        ("user:v", "user", "v", "v", 0.5, 1),
    ]
    (published,) = rows(lake, "select model_version, data_snapshot from recs.publications")
    for table in ("graph.nodes", "graph.edges"):
        assert rows(lake, f"select distinct model_version, data_snapshot from {table}") == [published]


@pytest.mark.slow
@pytest.mark.parametrize("year", [1, 1900, 1969, 2600])
def test_no_time_of_an_event_makes_a_weight_that_is_not_a_positive_number(lake: Lake, year: int) -> None:
    add_events(lake, ("u", "a", "view", START), ("u", "b", "view", START))
    with writing(lake) as con:
        moment = datetime(year, 1, 1)
        con.execute("update raw.events set occurred_at = $at, received_at = $at where item_id = 'a'", {"at": moment})
    night(lake)
    assert rows(lake, "select bool_and(isfinite(weight) and weight > 0 and share >= 0 and share <= 1) from graph.edges") == [(True,)]
    assert rows(lake, "select bool_and(isfinite(weight) and weight >= 0) from graph.current_edges") == [(True,)]


def test_the_view_decays_weights_to_now_and_any_duckdb_can_read_it(lake: Lake) -> None:
    describe(lake, ("a", "Alpha", ["Pans"], []))
    add_events(lake, ("u", "a", "view", START))
    with writing(lake) as con:
        con.execute("update raw.events set occurred_at = now()::timestamp - interval 60 day, received_at = now()::timestamp")
    night(lake)
    plain = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for name in ("sqlite_scanner" if lake.is_sqlite else "postgres_scanner", "ducklake"):
        plain.load_extension(str(extension_path(name)))
    plain.execute(f"attach 'ducklake:{lake.catalog}' as shop (data_path '{lake.data_path}', read_only)")
    found = plain.execute("select relation, weight from shop.graph.current_edges where source in ('user:u', 'item:a')").fetchall()
    assert dict(found) == {"acted_on": pytest.approx(0.25, rel=1e-3), "acted_on_by": pytest.approx(0.25, rel=1e-3), "in_category": 1.0}
    plain.close()


def test_only_the_strongest_edges_of_a_node_are_kept_and_ties_go_by_id(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "N_EDGES", 2)
    add_events(lake, *[(user, item, "view", START) for user in "uvw" for item in "abcd"], ("x", "d", "view", START + DAY))
    night(lake)
    assert named(edges(lake, "user:u")) == ["acted_on item:a", "acted_on item:b"]
    assert named(edges(lake, "item:a")) == ["acted_on_by user:u", "acted_on_by user:v", "seen_together item:b"]
    assert named(edges(lake, "item:d")) == ["acted_on_by user:x"]
    assert rows(lake, "select max(n) from (select count(*) as n from graph.edges group by source, relation)") == [(2,)]


@pytest.mark.slow
def test_pairs_of_items_that_are_counted_in_parts_are_all_there(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    add_events(lake, *((user, item, "view", START + place) for place, user in enumerate("uvw") for item in "abcdefg"[place : place + 5]))
    night(lake)
    at_once = edges(lake)
    monkeypatch.setattr(graph, "PART_ROWS", 2)
    night(lake)
    assert edges(lake) == at_once
    assert len([edge for edge in at_once if edge[1] == "seen_together"]) == 36


def test_a_changed_description_moves_an_item_and_empty_categories_disappear(lake: Lake) -> None:
    describe(lake, ("a", "Alpha", ["Kitchen > Pans"], ["iron"]), ("b", "Beta", ["Garden"], []))
    add_events(lake, ("u", "a", "view", START))
    night(lake)
    describe(lake, ("a", "New", ["Garden > Tools"], []))
    minute(lake)
    assert rows(lake, "select node, name from graph.nodes where kind not in ('user') order by node") == [
        ("category:Garden", "Garden"),
        ("category:Garden > Tools", "Tools"),
        ("item:a", "New"),
        ("item:b", "Beta"),
    ]
    assert named(edges(lake, "category:Garden")) == ["child category:Garden > Tools", "has_item item:a", "has_item item:b"]
    assert edges(lake, "category:Kitchen%") == []


Batch = tuple[list[tuple[str, str, str, int]], list[Item]]
ACTS = st.tuples(st.sampled_from("uvwx"), st.sampled_from("abcd"), st.sampled_from(["view", "odd", "search"]), st.integers(0, 5))
PATHS = st.sampled_from(["A", "A > B", "A > C", "A > B > C", "D|A"])
ITEMS = st.tuples(
    st.sampled_from("abcde"),
    st.sampled_from([None, "One", "Two"]),
    st.lists(PATHS, max_size=2),
    st.lists(st.sampled_from(["s", "t"]), max_size=2),
)
BATCHES = st.lists(
    st.tuples(st.lists(ACTS, min_size=1, max_size=6), st.lists(ITEMS, max_size=2, unique_by=lambda item: item[0])), min_size=2, max_size=4
)


def minutes_equal_a_night(lake: Lake, batches: Sequence[Batch]) -> None:
    """Checks that after minutes all edges are those of a night, except what is seen together with items that the last one did not touch."""
    with writing(lake) as con:
        for table in ("raw.events", "raw.items", "features.user_histories", "ops.watermarks", "graph.edges", "graph.nodes"):
            con.execute(f"delete from {table}")
    (first, items), *later = batches
    describe(lake, *items)
    add_events(lake, *[(user, item, kind, START + DAY * second) for user, item, kind, second in first])
    put(lake, ranked({"u": [1]}), max_events=3)
    for events, changed in later:
        describe(lake, *changed)
        add_events(lake, *[(user, item, kind, START + DAY * second) for user, item, kind, second in events])
        minute(lake, max_events=3)
        touched = {f"item:{item}" for item, *_ in changed} | {f"item:{item}" for _, item, kind, _ in events if kind != "search"}
    by_minutes, nodes_by_minutes = edges(lake), rows(lake, NODES)
    put(lake, ranked({"u": [1]}), max_events=3)
    by_night = edges(lake)
    assert nodes_by_minutes == approximately(rows(lake, NODES))
    for by in (by_minutes, by_night):
        by[:] = [edge for edge in by if edge[1] != "seen_together" or edge[0] in touched]
    assert by_minutes == approximately(by_night)


NODES = "select node, kind, id, name, degree, weight from graph.nodes order by node"


def approximately(found: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [tuple(pytest.approx(value) if isinstance(value, float) else value for value in row) for row in found]


FULL: list[tuple[str, str, str, int]] = [("u", "a", "view", 1), ("u", "b", "view", 2), ("u", "c", "view", 3), ("v", "a", "view", 1)]
"""As many events of u as a history keeps in these tests."""


AGAIN: Batch = ([("u", "d", "view", 0), ("u", "c", "odd", 0)], [])
"""The item c stays in the history with the same weight, but in other company."""


@settings(max_examples=1, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=BATCHES)
@example(
    batches=[
        (FULL, [("a", "One", ["A > B"], ["s"])]),
        ([("u", "d", "view", 4), ("w", "b", "odd", 0)], [("a", "Two", ["A > C"], []), ("d", None, ["D"], ["s"])]),
    ]
)
@example(batches=[([("u", "a", "view", 3), ("u", "c", "view", 0)], []), AGAIN])
def test_minutes_make_the_same_graph_as_a_night(lake: Lake, batches: Sequence[Batch]) -> None:
    minutes_equal_a_night(lake, batches)


@pytest.mark.slow
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=BATCHES)
def test_many_minutes_make_the_same_graph_as_a_night(lake: Lake, batches: Sequence[Batch]) -> None:
    minutes_equal_a_night(lake, batches)


INTERESTED = [
    ("u", "short", "label:a > b", 0.5, ["a"]),
    ("u", "long", "label:a > b", 0.25, ["a"]),
    ("v", "long", "label:a > b", 0.5, ["a"]),
    ("v", "long", "decade:1970", 0.5, []),
    ("*", "long", "decade:1970", 0.5, []),
]


def be_interested(lake: Lake, found: Sequence[tuple[str, str, str, float, list[str]]], *users: str) -> None:
    """Replace the interests of users, past the publish."""
    made = "'1' as model_version, 'm' as mlflow_run_id, 'f' as flow_run_id, 1 as data_snapshot, now()::timestamp as generated_at"
    with writing(lake) as con:
        con.execute("delete from recs.user_interests where list_contains($users, user_id)", {"users": list(users)})
        for user, horizon, interest, probability, evidence in found:
            con.execute(
                "insert into recs.user_interests by name select $user as user_id, $horizon as horizon, $interest as interest_id,"
                f" 'label' as kind, 'Name' as name, $probability as probability, $evidence::varchar[] as evidence, {made}",
                {"user": user, "horizon": horizon, "interest": interest, "probability": probability, "evidence": evidence},
            )


def know_interests(lake: Lake) -> None:
    made = "'1' as model_version, 'm' as mlflow_run_id, 'f' as flow_run_id, 1 as data_snapshot, now()::timestamp as generated_at"
    with writing(lake) as con:
        for interest, parent, name in (("label:a", None, "A"), ("label:a > b", "label:a", "B"), ("decade:1970", None, "1970s")):
            con.execute(
                "insert into recs.interests by name select $interest as interest_id, 'label' as kind, 'topic' as dimension,"
                f" $parent as parent_id, $name as name, [] as terms, 1 as n_items, {made}",
                {"interest": interest, "parent": parent, "name": name},
            )
        con.execute(f"insert into recs.item_interests by name select 'a' as item_id, 'label:a > b' as interest_id, 1 as share, {made}")


@pytest.mark.slow
def test_interests_with_evidence_connect_users_and_items_in_a_night_and_in_minutes(lake: Lake) -> None:
    describe(lake, ("a", "Alpha", [], []))
    add_events(lake, ("u", "a", "view", START), ("v", "a", "view", START))
    know_interests(lake)
    be_interested(lake, INTERESTED)
    night(lake)
    assert named(edges(lake, "user:v")) == ["acted_on item:a", "interested_in interest:label:a > b"]
    assert named(edges(lake, "item:a")) == ["about interest:label:a > b", "acted_on_by user:u", "acted_on_by user:v"]
    assert named(edges(lake, "interest:label:a > b")) == [
        "has_item item:a",
        "interest_of user:u",
        "interest_of user:v",
        "parent interest:label:a",
    ]
    assert named(edges(lake, "interest:label:a")) == ["child interest:label:a > b"]
    assert rows(lake, "select node, name, weight, degree from graph.nodes where kind = 'interest' order by node") == [
        ("interest:decade:1970", "1970s", 0.0, 0),
        ("interest:label:a", "A", 0.0, 0),
        ("interest:label:a > b", "B", 1.0, 2),
    ]
    be_interested(lake, [("u", "long", "decade:1970", 0.75, ["a"]), ("w", "long", "label:a > b", 0.25, ["a"])], "u")
    add_events(lake, ("u", "b", "view", START), ("w", "a", "view", START))
    minute(lake)
    by_minute, nodes = edges(lake), rows(lake, NODES)
    assert named(edges(lake, "interest:label:a > b"))[1:3] == ["interest_of user:v", "interest_of user:w"]
    assert named(edges(lake, "interest:decade:1970")) == ["interest_of user:u"]
    night(lake)
    assert by_minute == approximately(edges(lake))
    assert nodes == approximately(rows(lake, NODES))


@pytest.mark.slow
def test_a_minute_builds_the_whole_graph_of_a_lake_that_has_none(lake: Lake) -> None:
    describe(lake, ("a", "Alpha", ["Pans"], []))
    add_events(lake, ("u", "a", "view", START), ("v", "b", "view", START))
    night(lake)
    with writing(lake) as con:  # as a lake of a version without the graph
        for table in ("graph.edges", "graph.nodes"):
            con.execute(f"delete from {table}")
    add_events(lake, ("w", "b", "view", START + DAY))
    minute(lake)
    by_minute = edges(lake)
    night(lake)
    assert by_minute == edges(lake)
    assert {source for source, *_ in by_minute} == {"user:u", "user:v", "user:w", "item:a", "item:b", "category:Pans"}


@pytest.mark.slow
def test_the_edges_of_nodes_without_news_are_not_written_again(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", START), ("v", "b", "view", START))
    night(lake)
    add_events(lake, ("w", "b", "view", START))
    minute(lake)
    versions = "select source, model_version from graph.edges where relation like 'acted_on%' order by source, target"
    assert rows(lake, versions) == [("item:a", "1"), ("item:b", "2"), ("item:b", "2"), ("user:u", "1"), ("user:v", "1"), ("user:w", "2")]


def test_the_shortest_path_prefers_likely_steps_and_leads_through_no_other_user(lake: Lake) -> None:
    describe(lake, ("a", "Alpha", ["Pans"], []), ("d", "Delta", ["Pans"], []))
    late = START + 90 * DAY
    add_events(lake, ("u", "a", "view", START), ("u", "b", "view", late), ("v", "b", "view", late), ("v", "c", "view", late))
    night(lake)
    assert [(step.relation, step.target) for step in shortest_path(lake, "user:u", "item:c")] == [
        ("acted_on", "item:b"),
        ("seen_together", "item:c"),
    ]
    with reading(lake) as con:
        path = shortest_path(con, "user:u", "item:d")
        assert [(step.source_name, step.relation, step.target_name) for step in path] == [
            ("u", "acted_on", "Alpha"),
            ("Alpha", "in_category", "Pans"),
            ("Pans", "has_item", "Delta"),
        ]
        assert shortest_path(con, "user:u", "item:d", max_length=2) == []
        assert shortest_path(con, "user:u", "item:nowhere") == shortest_path(con, "user:nobody", "item:d") == []
        assert not any(step.target.startswith("user:") for step in shortest_path(con, "item:a", "item:c"))


def test_candidates_are_items_seen_together_with_those_of_a_user_without_what_the_user_had(lake: Lake) -> None:
    add_events(
        lake, *[(user, item, "view", START) for user in "vw" for item in "abc"], ("w", "d", "view", START), ("u", "a", "view", START)
    )
    night(lake)
    found = candidates(lake, ["u", "w", "nobody"], 2).to_pylist()
    assert [(row["user_id"], row["item_id"], row["via"]) for row in found] == [("u", "b", "a"), ("u", "c", "a")]
    assert sum(row["score"] for row in found) == pytest.approx(4 / 5)
    with writing(lake) as con:
        con.execute("insert into raw.items values ('b', null, null, [], [], null, false, now()::timestamp, now()::timestamp)")
    assert [row["item_id"] for row in candidates(lake, ["u"], 9).to_pylist()] == ["c", "d"]
