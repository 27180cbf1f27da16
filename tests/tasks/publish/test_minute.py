"""A minute run publishes the changed rows: all or nothing, exactly once, and all other rows stay."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from models.results import MetricRow, Neighbours
from tasks import graph
from tasks.interests import rows as interest_rows
from tasks.lake import Lake, reading, writing
from tasks.minute.feed import make_step, read_histories
from tasks.minute.pacing import ALL_SETTLED
from tasks.publish import inserts, list_history, notes, pointer, transaction
from tasks.publish import minute as publishing
from tasks.publish.minute import StaleError, publish_minute
from tasks.publish.pointer import live_version
from tasks.publish.publication import Content
from tasks.scenarios import ScenarioLists, changes
from tasks.scenarios.changes import Rule, Rules
from tasks.watermarks import Watermarks, read_watermarks
from tests import lakes as shop
from tests.conftest import ROOT
from tests.tasks.interests.test_rows import held
from tests.tasks.minute.test_feed import KINDS, NO_NEIGHBOURS, ROWS, minute, news_of
from tests.tasks.publish.test_night import ANYONE, CATALOG, WEIGHTS, add_events, add_item, provenance, put, ranked, rows

WRITTEN = (
    "features.user_histories",
    "recs.recommendations",
    "recs.scenario_recommendations",
    "recs.list_history",
    "recs.similar_items",
    "recs.interests",
    "recs.item_interests",
    "recs.user_interests",
    "recs.publications",
    "ops.watermarks",
    "ops.freshness",
    "ops.moved_items",
    "ops.scenarios",
    "eval.prequential",
    "graph.nodes",
    "graph.edges",
)
NOT_OF_ONE_STATE = """
    select lists.user_id
    from (select distinct user_id, model_version, data_snapshot from recs.recommendations where user_id <> '*') as lists
    full join (select distinct source, model_version, data_snapshot from graph.edges where starts_with(source, 'user:')) as edges
        on edges.source = 'user:' || lists.user_id
    full join (select node, model_version, data_snapshot from graph.nodes where kind = 'user') as nodes
        on nodes.node = edges.source
    full join (select distinct user_id, model_version, data_snapshot from recs.scenario_recommendations where user_id <> '*') as placed
        on placed.user_id = lists.user_id
    where (lists.model_version, lists.data_snapshot) is distinct from (placed.model_version, placed.data_snapshot)
        or (lists.model_version, lists.data_snapshot) is distinct from (edges.model_version, edges.data_snapshot)
        or (lists.model_version, lists.data_snapshot) is distinct from (nodes.model_version, nodes.data_snapshot)
"""
"""Users whose lists and graph are of different publications; all of them have news in each minute of the test."""
MEASURED = [MetricRow("live", "all", "ndcg_at_10", 0.3, 7), MetricRow("recent_popular", "new items", "ndcg_at_10", None, 0)]


def written(lake: Lake) -> dict[str, list[tuple[Any, ...]]]:
    with reading(lake) as con:
        return {table: con.execute(f"select * from {table} order by all").fetchall() for table in WRITTEN}


def test_users_with_new_events_get_a_new_list_and_the_rows_of_all_others_stay(lake: Lake) -> None:
    add_item(lake, "a", "Alpha")
    add_events(lake, ("u", "a", "view", 1), ("v", "a", "view", 2))
    put(lake, ranked({"u": [1, 0], "v": [1, 2], "w": [1, 2]}))
    old = rows(lake, "select * from recs.recommendations where user_id in ('v', 'w') order by all")
    add_events(lake, ("u", "d", "view", 4), ("new", "a", "view", 3))
    done = minute(lake, extra=["w"])
    assert (done.n_users, done.n_users_changed, done.n_items) == (3, 2, 4), "the list of w is refreshed, but is the same"
    assert rows(
        lake, "select user_id, rank, item_id, reason, model_version from recs.recommendations where model_version = '2' order by all"
    ) == [
        ("*", 1, "a", "popular right now", "2"),
        ("*", 2, "b", "popular right now", "2"),
        *[(user, rank, item, "because of Alpha", "2") for user in ("new", "u", "w") for rank, item in ((1, "b"), (2, "c"))],
    ]
    assert rows(lake, "select * from recs.recommendations where model_version = '1' order by all") == [row for row in old if row[0] == "v"]
    assert rows(lake, "select user_id, item_ids, epoch(list_last(occurred_at)), n_events from features.user_histories order by all") == [
        ("new", ["a"], 3, 1),
        ("u", ["a", "d"], 4, 2),
        ("v", ["a"], 2, 1),
    ]
    published = rows(lake, "select cadence, model_version, n_users, n_users_changed from recs.publications order by published_at")
    assert published == [("nightly", "1", 3, 3), ("minute", "2", 3, 2)]


def test_new_items_get_neighbours_and_the_others_keep_theirs(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1]}))
    add_events(lake, ("u", "d", "view", 2))
    near = np.array([3, 1]), Neighbours(np.array([[0, 2], [3, -1]]), np.array([[0.9, 0.8], [0.7, 0]], np.float32))
    minute(lake, near=near)
    found = rows(lake, "select item_id, rank, similar_item_id, model_version from recs.similar_items order by item_id, rank")
    assert found == [
        ("a", 1, "b", "1"),
        ("a", 2, "c", "1"),
        ("b", 1, "d", "2"),
        ("c", 1, "a", "1"),
        ("c", 2, "b", "1"),
        ("d", 1, "a", "2"),
        ("d", 2, "c", "2"),
    ]


@pytest.mark.slow
def test_a_late_event_is_inserted_by_time_and_the_oldest_is_dropped(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 10), ("u", "b", "view", 20))
    put(lake, ranked({"u": [1]}), max_events=3)
    add_events(lake, ("u", "c", "view", 15))
    minute(lake, max_events=3)
    assert rows(lake, "select item_ids, n_events from features.user_histories") == [(["a", "c", "b"], 3)]
    add_events(lake, ("u", "d", "view", 5), ("u", "d", "view", 20))
    minute(lake, max_events=3)
    assert rows(lake, "select item_ids, n_events from features.user_histories") == [(["c", "b", "d"], 5)]
    assert rows(lake, "select earlier_item_ids from features.user_histories") == [(["a", "d"],)]


def test_unknown_earlier_items_are_collected_from_then_on_as_events_are_dropped(lake: Lake) -> None:
    add_events(lake, *[("u", item, "view", second) for second, item in enumerate("abcd")])
    put(lake, ranked({"u": [1]}), max_events=3)
    with writing(lake) as con:
        con.execute("update features.user_histories set earlier_item_ids = null")
    assert read_histories(lake, ["u"], WEIGHTS, 3)["earlier_item_ids"].to_list() == [[]]
    assert read_histories(lake, ["u"], WEIGHTS, 1)["earlier_item_ids"].to_list() == [["b", "c"]]
    add_events(lake, ("u", "a", "view", 9))
    minute(lake, max_events=3)
    assert rows(lake, "select item_ids, earlier_item_ids, n_events from features.user_histories") == [(["c", "d", "a"], ["b"], 5)]


def test_the_metrics_of_a_minute_run_and_the_freshness_of_its_lists_are_recorded(lake: Lake) -> None:
    put(lake, ranked({"u": [1]}))
    received_h = 28 + 4 / 60  # at 04:04 of the second day
    shop.put(lake, [("u", "a", 1), ("u", "a", received_h + 20 / 3600), ("v", "a", received_h)])
    done = minute(lake, prequential=MEASURED, versions={"live": "1"})
    columns = "flow_run_id, mlflow_run_id, model_version, model, segment, metric, value, n_events, minute, evaluated_at"
    at = datetime(2026, 1, 2, 4, 5), datetime(2026, 1, 2, 4, 5, 6)
    assert rows(lake, f"select {columns} from eval.prequential order by model") == [
        ("flow-2", "mlflow-2", "1", "live", "all", "ndcg_at_10", 0.3, 7, *at),
        ("flow-2", "mlflow-2", None, "recent_popular", "new items", "ndcg_at_10", None, 0, *at),
    ]
    waits = rows(lake, "select publication_id, user_id, epoch(generated_at - received_at) from ops.freshness order by user_id")
    assert waits == [(done.publication_id, "u", 46.0), (done.publication_id, "v", 66.0)]
    assert rows(lake, "from ops.freshness_by_hour") == [
        (datetime(2026, 1, 2, 4), 2, 56.0, pytest.approx(65.0), 66.0, 2, 56.0, pytest.approx(65.0), 66.0)
    ]


def test_the_newest_publish_names_the_live_model_even_if_the_clock_runs_backwards(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1]}))
    monkeypatch.setattr("tasks.publish.pointer._now", lambda: datetime(2020, 1, 1))
    add_events(lake, ("u", "b", "view", 2))
    minute(lake, "2")
    assert live_version(lake) == "2"


@pytest.mark.slow
def test_a_repeated_minute_publish_is_refused_and_writes_nothing(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1]}))
    before = read_watermarks(lake)
    assert before is not None
    add_events(lake, ("u", "b", "view", 2))
    news, made = news_of(lake, before), provenance(lake, "2")
    (near_rows, near), after = NO_NEIGHBOURS, Watermarks(news.snapshot, news.snapshot)
    about = Content(CATALOG, ranked({"u": [2]}), ANYONE, near, 4, made, near_rows, watermarks=after, news=news)

    def publish_it() -> None:
        publish_minute(lake, about, before, ALL_SETTLED)

    publish_it()
    then = written(lake)
    with pytest.raises(StaleError, match=r"another run has published .* nothing was written"):
        publish_it()
    assert written(lake) == then


def test_a_minute_publish_does_not_scan_the_records_of_earlier_ones(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1]}))
    add_events(lake, ("u", "b", "view", 2))
    executed, statement = [], notes.statement

    def noted(name: str) -> str:
        executed.append(name)
        return statement(name)

    for module in ("minute", "inserts", "notes"):
        monkeypatch.setattr(f"tasks.publish.{module}.statement", noted)
    minute(lake, prequential=MEASURED)
    assert {"publish/insert_freshness", "publish/insert_prequential", "publish/insert_publication"} <= set(executed)
    assert not {"publish/delete_freshness", "publish/delete_prequential", "publish/delete_publication"} & set(executed)


def in_cart(*users: str, barred: Sequence[int] = (), changed_at: datetime | None = None) -> dict[str, Any]:
    """Lists of a scenario besides the default one, as options of a publish. barred: catalog rows that no list may have."""
    is_barred = np.isin(np.arange(len(CATALOG)), barred)
    rule = Rule("{}", "", changed_at)
    return {
        "in_places": [ScenarioLists("cart", ranked({user: [2, 3] for user in users}), ANYONE)],
        "rules": Rules({"default": rule, "cart": rule}, is_changed=True),
        "barred": {"default": is_barred, "cart": is_barred},
    }


def strike(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def armed(place: str, nth: int) -> None:
    """Have this process killed at the nth statement of its publish, n milliseconds into the commit, or right after it."""
    statement, move, calls = notes.statement, transaction.move_watermarks, itertools.count()

    def strike_at_statement(name: str) -> str:
        if next(calls) == nth:
            strike()
        return statement(name)

    def strike_in_commit(*words: Any) -> None:
        move(*words)
        signal.setitimer(signal.ITIMER_REAL, nth / 1000)  # the signal kills the process immediately

    if place == "statement":
        for module in (publishing, inserts, list_history, notes, pointer, interest_rows, graph, changes):
            module.statement = strike_at_statement  # type: ignore[attr-defined]
    elif place == "commit":
        transaction.move_watermarks = strike_in_commit  # type: ignore[assignment]
    else:
        transaction.log_publication = strike  # type: ignore[assignment]


def killing(catalog: str, data_path: str, lock_path: str) -> None:
    """Runs in a separate process: for each input line, one minute run that is killed at the given place."""
    lake = Lake(catalog, data_path, Path(lock_path), 5000, 60)
    for line in sys.stdin:
        if os.fork():  # safe: this process has no open connection and no thread
            _, status = os.wait()
            print("killed" if os.WIFSIGNALED(status) else "lived", flush=True)
            continue
        place, nth = line.split()
        armed(place, int(nth))
        minute(lake, prequential=MEASURED, interests=held(["u", "v"], items=[0]), **in_cart("u", "v", changed_at=datetime.now()))
        os._exit(0)


EVERYWHERE = [*[("statement", nth) for nth in range(90)], *[("commit", nth) for nth in (1, 2, 4, 8, 16, 32)], ("after", 0)]
SOMEWHERE = [("statement", 5), ("statement", 20), ("statement", 30), ("commit", 4), ("after", 0)]


@pytest.mark.parametrize("places", [SOMEWHERE, pytest.param(EVERYWHERE, marks=pytest.mark.slow)], ids=["somewhere", "everywhere"])
def test_a_publish_killed_at_a_statement_in_the_commit_or_after_it_is_all_or_nothing(lake: Lake, places: list[tuple[str, int]]) -> None:
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [3]}), interests=held(["u"]), in_places=in_cart("u")["in_places"])
    script = "import sys; from tests.tasks.publish.test_minute import killing; killing(*sys.argv[1:])"
    words = [sys.executable, "-c", script, lake.catalog, lake.data_path, str(lake.lock_path)]
    n_rounds, has_news = 0, False
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for place, nth in places:
            if not has_news:
                n_rounds, has_news = n_rounds + 1, True
                add_events(lake, ("u", "b", "view", n_rounds), ("v", "c", "view", n_rounds))
                before = written(lake)
            print(place, nth, file=child.stdin, flush=True)
            fate, now = child.stdout.readline().strip(), written(lake)
            if now != before:
                has_news = False
                assert (place, fate) != ("statement", "killed")
                assert len(now["recs.publications"]) == len(before["recs.publications"]) + 1
                assert [(user, n_events) for user, *_, n_events, _, _, _ in now["features.user_histories"]] == [
                    ("u", n_rounds + 1),
                    ("v", n_rounds),
                ]
                assert [row[:2] for row in now["recs.user_interests"]] == [("*", "short"), ("u", "short"), ("v", "long")]
                assert {row[-3] for row in now["recs.user_interests"]} == {row[-5] for row in now["recs.recommendations"]}
                assert rows(lake, NOT_OF_ONE_STATE) == []
                assert [row[:2] for row in now["recs.recommendations"]] == [(user, rank) for user in "*uv" for rank in (1, 2)]
                in_places = [("cart", user, rank) for user in "*uv" for rank in (1, 2)]
                assert [row[:3] for row in now["recs.scenario_recommendations"]] == in_places
            assert (place, has_news) != ("after", True)
        child.stdin.close()
    if has_news:
        minute(lake)
    assert rows(lake, "select user_id, n_events from features.user_histories order by all") == [("u", n_rounds + 1), ("v", n_rounds)]


@pytest.mark.slow
def test_barred_items_leave_the_lists_of_all_users_and_a_scenario_that_is_gone_loses_its_lists(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1, 2], "v": [3, 1], "w": [3, 3]}), in_places=in_cart("u", "v")["in_places"])
    add_events(lake, ("u", "b", "view", 2))
    minute(lake, **in_cart("u", barred=[3]))
    lists = "select user_id, rank, item_id, model_version from recs.recommendations where user_id <> '*' order by all"
    assert rows(lake, lists) == [("u", 1, "b", "2"), ("u", 2, "c", "2"), ("v", 1, "b", "1")], "w has no list until the next run"
    assert rows(lake, "select user_id, rank, item_id from recs.scenario_recommendations where user_id = 'v'") == [("v", 1, "c")]
    add_events(lake, ("u", "c", "view", 3))
    gone = in_cart("u")
    minute(lake, "3", rules=gone["rules"], barred={"default": gone["barred"]["default"]})
    assert rows(lake, "select * from recs.scenario_recommendations") == []


AHEAD = 4_000_000_000
"""A time in the future, in unix seconds."""
Batch = list[tuple[str, str, str, int]]
BATCHES = st.lists(
    st.tuples(
        st.lists(
            st.tuples(st.sampled_from("uvw"), st.sampled_from("abcd"), st.sampled_from(["view", "odd", "search"]), st.integers(0, 5)),
            min_size=1,
            max_size=5,
        ),
        st.booleans(),
    ),
    min_size=2,
    max_size=4,
)
FULL: Batch = [("u", "b", "view", second) for second in (1, 2, 3)]
"""As many events as a history keeps in these tests."""
HISTORIES = "select user_id, item_ids, event_types, occurred_at, earlier_item_ids, n_events from features.user_histories order by user_id"


def minutes_keep_the_books(lake: Lake, batches: Sequence[tuple[Batch, bool]]) -> None:
    """Checks that after any minute runs the histories equal those of a night, and each event was new once and learnt once."""
    with writing(lake) as con:
        for table in ("raw.events", *WRITTEN):
            con.execute(f"delete from {table}")
    (first, _), *later = batches
    add_events(lake, *first)
    put(lake, ranked({"u": [1]}), max_events=3)
    new, learnt = 0, 0
    for batch, learns in [*later, ([("u", "a", "view", 3)], True)]:
        add_events(lake, *batch)
        step = make_step(news_of(lake, max_events=3), ROWS, KINDS, 4, as_of=9)
        assert (step.is_due | ~step.is_new).all()
        assert all((np.diff(step.events.time[step.events.user == user]) >= 0).all() for user in range(step.events.n_users))
        new += int(step.is_new.sum())
        if step.is_new.any():
            learnt += int(step.is_due.sum()) if learns else 0
            minute(lake, learns=learns, max_events=3)
    n_taught = rows(lake, "select count(*) from raw.events where event_type <> 'search'")[0][0]
    assert (new, learnt) == (n_taught - sum(kind != "search" for _, _, kind, _ in first), new)
    by_minutes = rows(lake, HISTORIES)
    put(lake, ranked({"u": [1]}), max_events=3)
    assert by_minutes == rows(lake, HISTORIES)


@pytest.mark.slow
def test_events_with_a_time_in_the_future_are_sorted_by_their_arrival(lake: Lake) -> None:
    first, second, third = [("u", "a", "view", 1), ("u", "b", "view", AHEAD + 9)], [("u", "c", "view", AHEAD)], [("u", "d", "view", 3)]
    minutes_keep_the_books(lake, [(first, True), (second, False), (third, True)])
    assert rows(lake, "select item_ids from features.user_histories") == [(["a", "b", "c"],)], "the last run adds a late event on item a"
    assert rows(lake, "select list_last(occurred_at) <= now()::timestamp from features.user_histories") == [(True,)]


@settings(max_examples=1, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=BATCHES)
@example(batches=[(FULL, True), ([("u", "c", "view", 4)], True), ([("u", "a", "view", 0)], False)])
def test_minute_runs_make_the_same_histories_as_a_night(lake: Lake, batches: Sequence[tuple[Batch, bool]]) -> None:
    minutes_keep_the_books(lake, batches)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=BATCHES)
def test_many_minute_runs_make_the_same_histories_as_a_night(lake: Lake, batches: Sequence[tuple[Batch, bool]]) -> None:
    minutes_keep_the_books(lake, batches)
