"""Nightly publish: all or nothing, in order, with provenance in every row; maintenance changes no content."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from models.results import MetricRow, Neighbours, RankedLists
from tasks.lake import Lake, current_snapshot, reading, writing
from tasks.minute.feed import read_news
from tasks.publish.night import publish_night, write_offline_metrics
from tasks.publish.publication import Content, Provenance, Publication
from tasks.upkeep import maintain
from tasks.watermarks import Watermarks

CATALOG = ("a", "b", "c", "d")
WEIGHTS = {"view": 1.0, "search": 0.0, "return": 0.0}


def add_item(lake: Lake, item_id: str, title: str | None) -> None:
    with writing(lake) as con:
        con.execute(
            "insert into raw.items values ($id, $title, null, [], [], null, true, now()::timestamp, now()::timestamp)",
            {"id": item_id, "title": title},
        )


def add_events(lake: Lake, *events: tuple[str, str | None, str, int]) -> None:
    """Events as (user, item, type, seconds)."""
    with writing(lake) as con:
        con.register("fresh", pa.table(dict(zip(("user_id", "item_id", "event_type", "second"), zip(*events, strict=True), strict=True))))
        con.execute(
            "insert into raw.events by name select uuid()::varchar as event_id, user_id, item_id::varchar as item_id, event_type,"
            " make_timestamp(second * 1000000) as occurred_at, now()::timestamp as received_at from fresh"
        )


def snapshot_of(lake: Lake) -> int:
    with reading(lake) as con:
        return current_snapshot(con)


def provenance(lake: Lake, version: str = "1", snapshot: int | None = None) -> Provenance:
    return Provenance(version, f"mlflow-{version}", f"flow-{version}", snapshot or snapshot_of(lake), datetime(2026, 1, 2, 3, 4, 5))


def ranked(users: Mapping[str, Sequence[int]], because: int = 0) -> RankedLists:
    item = np.array(list(users.values()), dtype=np.int64)
    score = np.ascontiguousarray(np.broadcast_to(np.linspace(1, 0, item.shape[1]), item.shape), dtype=np.float32)
    return RankedLists(tuple(users), item, score, score * np.float32(0.5), np.full_like(item, because))


ANYONE = ranked({"*": [0, 1]})
NEIGHBOURS = Neighbours(np.array([[1, 2], [0, -1], [0, 1], [-1, -1]]), np.array([[0.9, 0.5], [0.9, 0], [0.5, 0.1], [0, 0]], np.float32))


def shown(lists: RankedLists, made: Provenance, *, max_events: int = 10, **more: Any) -> Content:
    """The content of a nightly publish in these tests."""
    return Content(CATALOG, lists, ANYONE, NEIGHBOURS, max_events, made, **more)


def put(lake: Lake, lists: RankedLists, version: str = "1", *, trends: pa.Table | None = None, **more: Any) -> Publication:
    return publish_night(lake, shown(lists, provenance(lake, version), **more), WEIGHTS, trends)


def rows(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    with reading(lake) as con:
        return con.execute(sql).fetchall()


def test_all_lists_and_the_fallback_list_are_in_order_with_reasons_and_provenance(lake: Lake) -> None:
    add_item(lake, "a", "Alpha")
    add_item(lake, "b", None)
    snapshot = snapshot_of(lake)
    done = put(lake, ranked({"u2": [1, 0], "u1": [2, -1]}, because=0))
    assert (done.n_users, done.n_users_changed, done.n_items) == (2, 2, 4)
    assert rows(lake, "select user_id, rank, item_id, source, reason from recs.recommendations order by rowid") == [
        ("*", 1, "a", "popular", "popular right now"),
        ("*", 2, "b", "popular", "popular right now"),
        ("u1", 1, "c", "model", "because of Alpha"),
        ("u2", 1, "b", "model", "because of Alpha"),
        ("u2", 2, "a", "model", "because it is in your history"),
    ]
    assert rows(
        lake, "select distinct model_version, mlflow_run_id, flow_run_id, data_snapshot, generated_at from recs.recommendations"
    ) == [("1", "mlflow-1", "flow-1", snapshot, datetime(2026, 1, 2, 3, 4, 5))]
    assert rows(lake, "select score, probability from recs.recommendations where user_id = 'u2' order by rank") == [(1.0, 0.5), (0.0, 0.0)]


@pytest.mark.parametrize(("because", "reason"), [(1, "because of b"), (-1, "popular right now")])
def test_a_reason_without_a_title_has_the_item_id_and_without_an_item_it_is_popularity(lake: Lake, because: int, reason: str) -> None:
    put(lake, ranked({"u": [2]}, because=because))
    assert rows(lake, "select reason from recs.recommendations where user_id = 'u'") == [(reason,)]


def test_an_item_may_have_fewer_neighbours_than_others(lake: Lake) -> None:
    put(lake, ranked({"u": [0]}))
    found = rows(lake, "select item_id, rank, similar_item_id from recs.similar_items order by item_id, rank")
    assert found == [("a", 1, "b"), ("a", 2, "c"), ("b", 1, "a"), ("c", 1, "a"), ("c", 2, "b")]


def test_histories_have_the_last_weighted_events_of_the_pinned_snapshot_oldest_first(lake: Lake) -> None:
    add_events(
        lake,
        ("u", "a", "view", 3),
        ("u", "b", "view", 1),
        ("u", "c", "view", 3),
        ("u", "d", "return", 4),
        ("v", None, "search", 5),
        ("w", "a", "odd", 1),
    )
    pinned = provenance(lake)
    add_events(lake, ("u", "d", "view", 9), ("x", "d", "view", 9))
    publish_night(lake, shown(ranked({"u": [0]}), pinned, max_events=2), WEIGHTS)
    assert rows(lake, "select user_id, item_ids, event_types, n_events from features.user_histories order by user_id") == [
        ("u", ["a", "c"], ["view", "view"], 3),
        ("w", ["a"], ["odd"], 1),
    ]


def test_the_items_of_events_before_a_history_are_kept_once_each(lake: Lake) -> None:
    add_events(lake, *[("u", item, "view", second) for second, item in enumerate("dbabcb")], ("u", "e", "return", 0), ("v", "a", "view", 1))
    put(lake, ranked({"u": [0]}), max_events=2)
    assert rows(lake, "select user_id, item_ids, earlier_item_ids, n_events from features.user_histories order by user_id") == [
        ("u", ["c", "b"], ["a", "b", "d"], 6),
        ("v", ["a"], [], 1),
    ]


def test_a_user_counts_as_changed_if_the_top_ten_items_differ(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"same": [0, 1], "swapped": [0, 1], "gone": [0, 1]}), "1")
    done = put(lake, ranked({"same": [0, 1], "swapped": [1, 0], "new": [0, 1]}), "2")
    assert (done.n_users, done.n_users_changed) == (3, 2)
    assert rows(lake, "select count(*) from recs.recommendations where user_id = 'gone'") == [(0,)]
    published = rows(lake, "select model_version, cadence, n_users, n_users_changed, n_items from recs.publications order by model_version")
    assert published == [("1", "nightly", 3, 3, 4), ("2", "nightly", 3, 2, 4)]


def test_a_repeated_nightly_publish_is_idempotent(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    snapshot, origin = snapshot_of(lake), provenance(lake)
    news = read_news(lake, Watermarks(snapshot - 1, snapshot - 1), snapshot, WEIGHTS, 10)
    for _ in range(2):
        again = shown(ranked({"u": [0, 1]}), origin, news=news, prequential=[MetricRow("live", "all", "mrr", 0.3, 7)])
        publish_night(lake, again, WEIGHTS)
    assert rows(lake, "select (select count(*) from ops.freshness), (select count(*) from eval.prequential)") == [(1, 1)]
    assert rows(lake, "select count(*) from recs.publications") == [(1,)]
    assert rows(lake, "select count(*) from recs.recommendations") == [(4,)]


def test_a_lake_without_users_still_gets_the_fallback_list(lake: Lake) -> None:
    nobody = RankedLists((), *(np.empty((0, 5), dtype=kind) for kind in (np.int64, np.float32, np.float32, np.int64)))
    done = put(lake, nobody)
    assert (done.n_users, done.n_users_changed) == (0, 0)
    assert rows(lake, "select user_id, count(*) from recs.recommendations group by all") == [("*", 2)]


def test_a_user_called_star_does_not_mix_with_the_fallback_list(lake: Lake) -> None:
    put(lake, ranked({"*": [3, 2], "u": [0, 1]}))
    assert rows(lake, "select item_id from recs.recommendations where user_id = '*' order by rank") == [("a",), ("b",)]


@pytest.mark.slow
@pytest.mark.parametrize("score", [np.nan, np.inf])
def test_lists_with_scores_that_are_not_finite_are_refused_and_the_old_ones_stay(lake: Lake, score: float) -> None:
    put(lake, ranked({"u": [0, 1]}), "1")
    good = ranked({"u": [1, 0]})
    bad = RankedLists(good.user_ids, good.item, np.full_like(good.score, score), good.probability, good.because)
    with pytest.raises(ValueError, match="not finite"):
        put(lake, bad, "2")
    assert rows(lake, "select distinct model_version from recs.recommendations") == [("1",)]


def test_lists_are_ordered_by_user_and_rank_across_blocks(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.publish.rows.BLOCK_USERS", 7)
    users = {f"u{number}": [number % 4, (number + 1) % 4] for number in range(40)}
    put(lake, ranked(users))
    found = rows(lake, "select user_id, rank, item_id from recs.recommendations order by rowid")
    assert found == sorted(found)
    assert {(user, item) for user, rank, item in found if rank == 1 and user != "*"} == {
        (user, CATALOG[items[0]]) for user, items in users.items()
    }


def test_offline_metrics_have_the_version_and_a_second_write_of_a_run_replaces_the_first(lake: Lake) -> None:
    measured = [
        MetricRow("minutehand", "all", "ndcg_at_10", 0.2, 50, 0.1, 0.3),
        MetricRow("champion", "all", "ndcg_at_10", 0.19, 50),
        MetricRow("item_knn", "cold user x cold item", "ndcg_at_10", None, 0),
        MetricRow("most_popular", "all", "mrr", float("nan"), 0),
    ]
    origin = provenance(lake, "7")
    for _ in range(2):
        write_offline_metrics(lake, measured, origin, {"champion": "6"})
    columns = "model, model_version, segment, metric, value, low, high, n_events"
    assert rows(lake, f"select {columns} from eval.offline order by n_events desc, value desc, model") == [
        ("minutehand", "7", "all", "ndcg_at_10", 0.2, 0.1, 0.3, 50),
        ("champion", "6", "all", "ndcg_at_10", 0.19, None, None, 50),
        ("item_knn", None, "cold user x cold item", "ndcg_at_10", None, None, None, 0),
        ("most_popular", None, "all", "mrr", None, None, None, 0),
    ]
    second = replace(origin, model_version="8", mlflow_run_id="mlflow-8")
    write_offline_metrics(lake, measured, second)
    found = rows(lake, "select model_version, count(*) from eval.offline where model = 'minutehand' group by all order by all")
    assert found == [("7", 1), ("8", 1)], "a second training of the same flow run, such as that of an experiment, replaces nothing"


N_MANY, K_MANY = 400, 20
CONSISTENT = """
    select
        count(distinct model_version),
        any_value(model_version),
        count(*),
        (select count(distinct model_version) from recs.similar_items),
        (select any_value(model_version) from recs.similar_items),
        (select list_sort(list(distinct model_version)) from graph.nodes),
        (select list_sort(list(distinct model_version)) from graph.edges),
        (select arg_max(model_version, published_at) from recs.publications)
    from recs.recommendations
"""


def publish_many(lake: Lake, version: int) -> Publication:
    """Publish lists that differ by version, for enough users that the publish takes some time."""
    catalog = tuple(f"i{number:03d}" for number in range(200))
    item = (np.arange(N_MANY)[:, None] + np.arange(K_MANY) + version) % len(catalog)
    figures = np.ones(item.shape, np.float32)
    lists = RankedLists(tuple(f"u{number}" for number in range(N_MANY)), item, figures, figures, np.full_like(item, -1))
    near = (np.arange(len(catalog))[:, None] + np.arange(1, 11)) % len(catalog)
    neighbours = Neighbours(near, np.ones(near.shape, np.float32))
    origin = Provenance(str(version), "m", "f", snapshot_of(lake), datetime(2026, 1, 1) + timedelta(seconds=version))
    return publish_night(lake, Content(catalog, lists, ranked({"*": [0, 1]}), neighbours, 10, origin), WEIGHTS)


def publish_until_killed(catalog: str, data_path: str, lock_path: str, first: str) -> None:
    """Runs in a separate process."""
    lake = Lake(catalog, data_path, Path(lock_path), 5000, 60)
    print("ready", flush=True)
    for version in range(int(first), 10**9):
        publish_many(lake, version)


def start_publishing(lake: Lake, first: int) -> subprocess.Popen[str]:
    script = "import sys; from tests.tasks.publish.test_night import publish_until_killed; publish_until_killed(*sys.argv[1:])"
    words = [sys.executable, "-c", script, lake.catalog, lake.data_path, str(lake.lock_path), str(first)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_a_killed_publish_leaves_the_old_tables_intact_and_readers_never_see_a_mixed_state(lake: Lake) -> None:
    add_events(lake, *[(f"u{number}", f"i{item:03d}", "view", number) for number in range(N_MANY) for item in range(5)])
    publish_many(lake, 1)
    seen = {reading_of(lake)}
    with reading(lake) as reader:
        for first, n_publishes, then_s in ((100, 0, 0.1), (200, 1, 0.02), (300, 1, 0.15), (400, 2, 0.3)):
            n_before, deadline, killed_at = len(seen), time.monotonic() + 60, 0.0
            child = start_publishing(lake, first)
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            while not killed_at or time.monotonic() < killed_at:
                seen.add(state_of(reader))
                if not killed_at and (len(seen) >= n_before + n_publishes or time.monotonic() > deadline):
                    killed_at = time.monotonic() + then_s
            child.send_signal(signal.SIGKILL)
            child.wait()
            child.stdout.close()
            seen.add(state_of(reader))
    assert len(seen) >= 5, "too few publishes finished"
    for n_versions, version, n_rows, n_near, near_version, of_nodes, of_edges, published in seen:
        assert (n_versions, n_rows, n_near) == (1, N_MANY * K_MANY + 2, 1)
        assert version == near_version == published
        assert of_nodes == of_edges == (version,)
    publish_many(lake, 1000)
    before = content(lake)
    maintain(lake, now=datetime.now(UTC) + timedelta(days=3))
    assert content(lake) == before
    assert [path for path in files(lake) if path.name.startswith("ducklake-")] != []
    assert unknown_files(lake) == []


def reading_of(lake: Lake) -> tuple[Any, ...]:
    with reading(lake) as con:
        return state_of(con)


def state_of(con: duckdb.DuckDBPyConnection) -> tuple[Any, ...]:
    (found,) = con.execute(CONSISTENT).fetchall()
    return tuple(tuple(value) if isinstance(value, list) else value for value in found)


def files(lake: Lake) -> list[Path]:
    return sorted(Path(lake.data_path).rglob("*.parquet"))


def unknown_files(lake: Lake) -> list[str]:
    with writing(lake) as con:
        found = con.execute("call ducklake_delete_orphaned_files('lake', dry_run => true, cleanup_all => true)").fetchall()
    return [path for (path,) in found]


def content(lake: Lake) -> dict[str, list[tuple[Any, ...]]]:
    with reading(lake) as con:
        return content_of(con)


def content_of(con: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[Any, ...]]]:
    tables = ["raw.events", "raw.items", "features.user_histories", "recs.recommendations", "recs.similar_items", "recs.publications"]
    tables += ["graph.nodes", "graph.edges"]
    return {table: con.execute(f"select rowid, * from {table} order by rowid").fetchall() for table in tables}
