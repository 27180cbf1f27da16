"""The news of a minute run: each event once, unchanged by maintenance, with the histories of its users."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from models.errors import UserError
from models.online.step import Step
from models.results import Neighbours, RankedLists
from tasks import lake as lakes
from tasks.config import PublishConfig
from tasks.lake import Lake, writing
from tasks.minute.feed import News, histories_events, look_for_work, make_step, read_histories, read_news
from tasks.minute.pacing import ALL_SETTLED, Refresh, pace, users_to_refresh
from tasks.publish.minute import publish_minute
from tasks.publish.night import publish_night
from tasks.publish.publication import Content, Provenance, Publication, Searched
from tasks.upkeep import maintain
from tasks.watermarks import Watermarks, read_watermarks
from tests.tasks.publish.test_night import ANYONE, CATALOG, WEIGHTS, add_events, add_item, provenance, put, ranked, rows, snapshot_of

MADE = datetime(2026, 1, 2, 3, 4, 5)
"""Time at which `put` makes lists."""
KINDS = ("other", "view")
ROWS = {item: row for row, item in enumerate(CATALOG)}
NO_NEIGHBOURS = (np.empty(0, np.int64), Neighbours(np.empty((0, 1), np.int64), np.empty((0, 1), np.float32)))


def news_of(lake: Lake, marks: Watermarks | None = None, snapshot: int | None = None, max_events: int = 4) -> News:
    marks = marks or read_watermarks(lake)
    assert marks is not None
    return read_news(lake, marks, snapshot or snapshot_of(lake), WEIGHTS, max_events)


def minute(
    lake: Lake, version: str = "2", *, learns: bool = True, max_events: int = 4, extra: Sequence[str] = (), because: int = 0, **options: Any
) -> Publication:
    """One minute run without a model: users with new events get the list b, c."""
    before = read_watermarks(lake)
    assert before is not None
    news = options.pop("news", None) or news_of(lake, before, max_events=max_events)
    users = news.events.filter("is_new")["user_id"].unique().sort().to_list()
    lists = ranked({user: [1, 2] for user in [*users, *extra]}, because) if users or extra else nobody()
    after = Watermarks(news.snapshot, news.snapshot if learns else before.learnt)
    made = Provenance(version, f"mlflow-{version}", f"flow-{version}", news.snapshot, datetime(2026, 1, 2, 4, 5, 6))
    (near_rows, near), to_refresh = options.pop("near", NO_NEIGHBOURS), options.pop("to_refresh", ALL_SETTLED)
    about = Content(CATALOG, lists, ANYONE, near, max_events, made, near_rows, watermarks=after, news=news, **options)
    return publish_minute(lake, about, before, to_refresh)


def add_searches(lake: Lake, *searches: tuple[str, str, int]) -> None:
    """Searches as (user, text, seconds)."""
    with writing(lake) as con:
        for user, text, second in searches:
            con.execute(
                "insert into raw.events values (uuid()::varchar, $user, null, 'search', null, $text,"
                " make_timestamp($second * 1000000), now()::timestamp, null, null, null)",
                {"user": user, "text": text, "second": second},
            )


def nobody() -> RankedLists:
    return RankedLists((), *(np.empty((0, 2), dtype=kind) for kind in (np.int64, np.float32, np.float32, np.int64)))


def event_rows(news: News) -> list[tuple[Any, ...]]:
    return news.events.select("user_id", "item_id", "event_type", "time_s", "is_new").rows()


def of_step(step: Step) -> list[tuple[Any, ...]]:
    events = step.events
    columns = (
        [step.user_ids[row] for row in events.user],
        [CATALOG[row] for row in events.item],
        events.time.tolist(),
        step.is_due.tolist(),
    )
    return list(zip(*columns, strict=True))


def test_there_is_no_watermark_before_the_first_publish_and_a_night_sets_both_to_its_snapshot(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    assert read_watermarks(lake) is None
    pinned = provenance(lake)
    add_events(lake, ("u", "b", "view", 2))
    without_neighbours = Neighbours(np.empty((4, 0), np.int64), np.empty((4, 0), np.float32))
    publish_night(lake, Content(CATALOG, ranked({"u": [0]}), ANYONE, without_neighbours, 4, pinned), WEIGHTS)
    assert read_watermarks(lake) == Watermarks(pinned.data_snapshot, pinned.data_snapshot)
    assert event_rows(news_of(lake)) == [("u", "b", "view", 2, True)]


def test_news_has_weighted_events_by_time_the_histories_of_their_users_and_the_newest_state_of_items(lake: Lake) -> None:
    add_item(lake, "a", "Alpha")
    add_events(lake, ("u", "a", "view", 5), ("v", "a", "view", 6))
    put(lake, ranked({"u": [1]}))
    add_events(lake, ("u", "b", "view", 9), ("u", "c", "odd", 7), ("u", None, "search", 8), ("w", "d", "return", 8))
    add_item(lake, "b", None)
    add_item(lake, "c", "Gamma")
    with writing(lake) as con:
        con.execute("update raw.items set title = 'Gamma ray', is_available = false where item_id = 'c'")
    pinned = snapshot_of(lake)
    add_events(lake, ("v", "b", "view", 10))
    add_item(lake, "d", "Delta")
    news = news_of(lake, snapshot=pinned)
    assert event_rows(news) == [("u", "c", "odd", 7, True), ("u", "b", "view", 9, True)]
    assert news.items.rows() == [("b", "b", True, True), ("c", "Gamma ray", False, True)]
    assert news.histories.select("user_id", "item_ids", "event_types", "times_s", "weights", "n_events").rows() == [
        ("u", ["a"], ["view"], [5], [1.0], 1)
    ]
    assert (news.snapshot, news.is_empty, news.item_ids) == (pinned, False, ["b", "c", "a"])


@pytest.mark.slow
def test_changed_items_are_news_but_searches_and_weightless_types_are_not(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1]}))
    assert news_of(lake).is_empty
    add_events(lake, ("u", None, "search", 2), ("v", "a", "return", 3))
    assert news_of(lake).is_empty
    add_item(lake, "b", "Beta")
    assert not news_of(lake).is_empty


@pytest.mark.slow
def test_the_last_new_search_of_each_user_is_news_once(lake: Lake) -> None:
    add_searches(lake, ("u", "before", 1))
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1]}))
    add_searches(lake, ("u", "tea", 9), ("u", "late arrival", 3), ("w", "red tent", 4))
    news = news_of(lake)
    assert news.searches.select("user_id", "query", "time_s").rows() == [("u", "tea", 9), ("w", "red tent", 4)]
    assert (news.is_empty, news.has_news, len(news.events)) == (False, False, 0)
    minute(lake)
    assert news_of(lake).is_empty


@pytest.mark.slow
def test_a_minute_stores_the_last_search_of_its_users_and_a_night_replaces_all(lake: Lake) -> None:
    def stored() -> list[tuple[Any, ...]]:
        return rows(lake, "select user_id, query, vector, encoder from features.user_searches order by user_id")

    def searched(*found: tuple[str, str]) -> Searched:
        users, texts = zip(*found, strict=True)
        return Searched(
            pl.DataFrame({"user_id": users, "query": texts, "occurred_at": [MADE] * len(found), "vector": [[0.5]] * len(found)}), "e"
        )

    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1]}), searches=searched(("u", "tea"), ("v", "tent")))
    minute(lake, searches=searched(("u", "coffee")))
    assert stored() == [("u", "coffee", [0.5], "e"), ("v", "tent", [0.5], "e")]
    minute(lake)
    assert len(stored()) == 2
    put(lake, ranked({"u": [1]}))
    assert stored() == []


@pytest.mark.slow
def test_searches_change_nothing_but_the_watermark_moves_past_them(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1]}))
    add_events(lake, ("u", None, "search", 2), ("v", "a", "return", 3), ("w", "b", "view", 4))
    passed = snapshot_of(lake)
    assert minute(lake).n_users == 1
    assert read_watermarks(lake) == Watermarks(passed, passed)
    assert rows(lake, "select user_id, item_ids, n_events from features.user_histories order by user_id") == [
        ("u", ["a"], 1),
        ("w", ["b"], 1),
    ]
    assert rows(lake, "select user_id from ops.freshness") == [("w",)]


def test_one_connection_finds_the_same_work_as_separate_reads(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    add_events(lake, ("u", "a", "view", 1))
    assert look_for_work(lake, WEIGHTS, 4, PublishConfig(), MADE) is None
    put(lake, ranked({"u": [1]}))
    add_events(lake, ("u", "b", "view", 2), ("w", "b", "view", 3))
    add_item(lake, "b", "Beta")
    bit_by_bit = news_of(lake)
    opened = []
    connect = lakes.connect

    def counted(at: Lake, **options: Any) -> Any:
        opened.append(at)
        return connect(at, **options)

    monkeypatch.setattr("tasks.lake.transactions.connect", counted)
    work = look_for_work(lake, WEIGHTS, 4, PublishConfig(), MADE)
    assert work is not None
    assert len(opened) == 1
    assert (work.marks, work.news.snapshot) == (read_watermarks(lake), bit_by_bit.snapshot)
    for name in ("events", "histories", "items"):
        assert getattr(work.news, name).equals(getattr(bit_by_bit, name)), name


@pytest.mark.slow
def test_the_news_is_the_same_after_flush_expiry_merge_and_clean_up(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1]}))
    for part in range(3):
        add_events(lake, *[(f"u{n}", "a", "view", 20 * part + n) for n in range(12)])
        add_events(lake, ("u", "b", "view", 20 * part + 15))
        add_item(lake, f"new{part}", None)
    marks = read_watermarks(lake)
    before = news_of(lake)
    assert len(before.events) == 39
    done = maintain(lake, keep_publications=0, keep_hours=0, now=datetime.now(UTC) + timedelta(days=3))
    assert done.rows_flushed > 0
    assert done.files_merged > 1
    assert read_watermarks(lake) == marks
    after = news_of(lake, snapshot=before.snapshot)
    assert after.events.equals(before.events)
    assert after.items.equals(before.items)
    assert minute(lake).n_users == 13
    maintain(lake, keep_publications=0, keep_hours=0, now=datetime.now(UTC) + timedelta(days=6))
    assert news_of(lake).is_empty


@pytest.mark.slow
def test_news_from_an_expired_snapshot_raises_an_error_with_a_remedy(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    gone = snapshot_of(lake)
    for second in (2, 3):
        add_events(lake, ("u", "a", "view", second))
    maintain(lake, keep_publications=0, keep_hours=0)
    with pytest.raises(UserError, match=rf"snapshot {gone + 1}, .* has expired.*minutehand nightly"):
        news_of(lake, Watermarks(gone, gone))


def test_a_step_merges_known_and_new_events_of_each_user_by_time(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 10), ("u", "b", "view", 20), ("v", "a", "view", 10))
    put(lake, ranked({"u": [1]}))
    add_events(lake, ("u", "c", "odd", 15), ("u", "d", "view", 20), ("new", "a", "view", 1))
    step = make_step(news_of(lake), ROWS, KINDS, 4, as_of=21)
    assert of_step(step) == [
        ("new", "a", 1, True),
        ("u", "a", 10, False),
        ("u", "c", 15, True),
        ("u", "b", 20, False),
        ("u", "d", 20, True),
    ]
    assert step.events.kind.tolist() == [1, 1, 0, 1, 1]
    assert (step.is_new == step.is_due).all()
    assert (step.user_ids, step.events.n_users, step.events.n_items, step.events.n_kinds, step.as_of) == (("new", "u"), 2, 4, 2, 21)
    with pytest.raises(ValueError, match=r"no row for item_id 'd': grow the catalog"):
        make_step(news_of(lake), {item: row for item, row in ROWS.items() if item != "d"}, KINDS, 4, as_of=21)


@pytest.mark.slow
def test_events_that_wait_to_be_learnt_are_due_once(lake: Lake) -> None:
    """The last three events of u are equal; two of them arrived with the discarded update."""
    add_events(lake, ("u", "a", "view", 10), ("u", "b", "view", 20))
    put(lake, ranked({"u": [1]}))
    add_events(lake, ("u", "b", "view", 20), ("u", "b", "view", 20), ("w", "d", "view", 12))
    minute(lake, learns=False)
    assert news_of(lake).is_empty, "due events wait for the next new ones"
    add_events(lake, ("u", "c", "view", 15))
    news = news_of(lake)
    assert event_rows(news) == [
        ("w", "d", "view", 12, False),
        ("u", "c", "view", 15, True),
        ("u", "b", "view", 20, False),
        ("u", "b", "view", 20, False),
    ]
    step = make_step(news, ROWS, KINDS, 4, as_of=21)
    assert of_step(step) == [
        ("u", "a", 10, False),
        ("u", "c", 15, True),
        ("u", "b", 20, False),
        ("u", "b", 20, True),
        ("u", "b", 20, True),
        ("w", "d", 12, True),
    ]
    assert step.is_new.tolist() == [False, True, False, False, False, False]
    minute(lake, "3")
    assert news_of(lake).events.is_empty()
    assert rows(lake, "select item_ids, n_events from features.user_histories where user_id = 'u'") == [(["c", "b", "b", "b"], 5)]


def test_a_step_of_no_events_is_empty(lake: Lake) -> None:
    put(lake, ranked({"u": [1]}))
    add_item(lake, "b", None)
    step = make_step(news_of(lake), ROWS, KINDS, 4, as_of=1)
    assert (len(step.events), step.user_ids, step.events.n_users) == (0, (), 0)


def test_histories_to_rank_keep_the_order_of_the_frame_and_skip_unknown_items(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1), ("u", "z", "view", 2), ("v", "b", "odd", 3), ("w", "z", "view", 3))
    put(lake, ranked({"u": [1]}))
    frame = read_histories(lake, ["v", "u", "w", "nobody"], WEIGHTS, 4)
    assert frame.select("user_id", "n_events").rows() == [("nobody", 0), ("u", 2), ("v", 1), ("w", 1)]
    events, _, earlier = histories_events(frame.reverse(), ROWS, KINDS, 4)
    assert (events.user.tolist(), events.item.tolist(), events.kind.tolist()) == ([1, 2], [1, 0], [0, 1])
    assert len(earlier.n_events) == 4


@pytest.mark.slow
def test_histories_come_with_their_earlier_items_except_unknown_ones(lake: Lake) -> None:
    add_events(lake, *[("u", item, "view", second) for second, item in enumerate("bzbadc")], ("v", "c", "view", 1))
    put(lake, ranked({"u": [1]}), max_events=2)
    add_events(lake, ("u", "b", "view", 9), ("new", "a", "view", 9))
    step = make_step(news_of(lake, max_events=2), ROWS, KINDS, 4, as_of=10)
    events, _, earlier = histories_events(read_histories(lake, ["u", "v"], WEIGHTS, 2).reverse(), ROWS, KINDS, 4)
    assert (step.user_ids, len(step.events), events.user.tolist()) == (("new", "u"), 4, [0, 1, 1])
    for found in (step.earlier, earlier):
        assert (found.n_events.tolist(), found.item.tolist()) == ([0, 4], [0, 1])
        assert (found.start.tolist(), found.stop.tolist()) == ([0, 0], [0, 2])


@pytest.mark.slow
def test_old_lists_are_refreshed_first_and_then_lists_with_moved_items(lake: Lake) -> None:
    add_events(lake, *[(f"u{n}", "d", "view", n) for n in range(1, 5)])
    put(lake, ranked({"u1": [0, 1], "u2": [1, 2], "u3": [2, 0], "u4": [1, 0], "nobody": [0, 3]}))
    minute(lake, extra=["u2"])  # the only newer list; it shows b and c
    later = MADE + timedelta(seconds=1)
    assert users_to_refresh(lake, [], Refresh(MADE, 9, 9, is_due=False)).user_ids == []
    assert users_to_refresh(lake, [], Refresh(later, 2, 9, is_due=True)).user_ids == ["u1", "u3"]
    assert users_to_refresh(lake, ["b"], Refresh(MADE, 9, 9, is_due=False)).user_ids == ["u1", "u4", "u2"]
    assert users_to_refresh(lake, ["c"], Refresh(MADE, 9, 9, is_due=False), exclude=["u2"]).user_ids == ["u3"]
    assert users_to_refresh(lake, ["c"], Refresh(later, 9, 4, is_due=True)).user_ids == ["u1", "u3", "u4", "u2"]


@pytest.mark.slow
def test_only_old_lists_may_exceed_the_usual_number_of_refreshed_lists(lake: Lake) -> None:
    add_events(lake, *[(f"u{n}", "d", "view", n) for n in range(1, 4)])
    put(lake, ranked({"u1": [0], "u2": [0], "u3": [0]}))
    later = MADE + timedelta(seconds=1)
    assert users_to_refresh(lake, ["a"], Refresh(MADE, 3, 1, is_due=False)).user_ids == ["u1"]
    assert users_to_refresh(lake, ["a"], Refresh(later, 3, 1, is_due=True)).user_ids == ["u1", "u2", "u3"]
    assert users_to_refresh(lake, ["a"], Refresh(later, 1, 2, is_due=True)).user_ids == ["u1", "u2"]


@pytest.mark.slow
def test_an_unavailable_item_is_found_at_any_rank_but_a_moved_one_only_near_the_top(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.minute.pacing.LOOKED_AT", 1)
    add_events(lake, *[(f"u{n}", "d", "view", n) for n in range(1, 4)])
    put(lake, ranked({"u1": [0, 1], "u2": [1, 2], "u3": [2, 0]}))
    for item in "ab":
        add_item(lake, item, None)
    refresh = Refresh(MADE, 9, 9, is_due=False)
    assert users_to_refresh(lake, ["a", "b"], refresh).user_ids == ["u1", "u2"]
    with writing(lake) as con:
        con.execute("update raw.items set is_available = false where item_id = 'a'")
    assert users_to_refresh(lake, ["a", "b"], refresh).user_ids == ["u1", "u2", "u3"]


@pytest.mark.slow
def test_lists_with_a_moved_item_over_the_limit_wait_for_a_later_run(lake: Lake) -> None:
    add_events(lake, *[(f"u{n}", "d", "view", n) for n in range(1, 4)])
    put(lake, ranked({"u1": [1, 2], "u2": [1, 2], "u3": [1, 2], "nobody": [1, 3]}))

    def spend(item_ids: Sequence[str], n_most: int) -> list[str]:
        work = look_for_work(lake, WEIGHTS, 4, PublishConfig(refresh_users=n_most), MADE)
        assert work is not None
        found = users_to_refresh(lake, item_ids, work.refresh)
        minute(lake, extra=found.user_ids, to_refresh=found)
        return found.user_ids

    def is_waiting() -> bool:
        work = look_for_work(lake, WEIGHTS, 4, PublishConfig(), MADE)
        assert work is not None
        assert work.is_empty is not work.refresh.is_waiting
        return work.refresh.is_waiting

    assert not is_waiting()
    assert spend(["b"], 1) == ["u1"]
    assert is_waiting()
    assert spend([], 1) == ["u2"], "the list of u1 shows b as well, but is newer than the move"
    assert spend(["b", "c"], 2) == ["u3", "u1"], "b has moved again; the oldest list is first"
    assert rows(lake, "select item_id from ops.moved_items order by all") == [("b",), ("c",)]
    assert spend([], 9) == ["u2"]
    assert not is_waiting()
    assert rows(lake, "from ops.moved_items") == []


@pytest.mark.slow
def test_no_list_waits_if_refreshing_is_off_or_all_lists_are_refreshed(lake: Lake) -> None:
    add_events(lake, ("u1", "d", "view", 1), ("u2", "d", "view", 1))
    put(lake, ranked({"u1": [1], "u2": [1]}))
    assert users_to_refresh(lake, ["b"], Refresh(MADE, 0, 0, is_due=False)).is_settled
    to_refresh = users_to_refresh(lake, ["b"], Refresh(MADE, 1, 1, is_due=False))
    minute(lake, to_refresh=to_refresh)
    assert rows(lake, "select item_id from ops.moved_items") == [("b",)]
    put(lake, ranked({"u1": [1], "u2": [1]}))
    assert rows(lake, "from ops.moved_items") == [], "a night refreshes all lists"


@pytest.mark.slow
def test_lists_with_an_unavailable_item_over_the_limit_wait_for_a_later_run(lake: Lake) -> None:
    add_events(lake, *[(f"u{n}", "d", "view", n) for n in range(1, 4)])
    put(lake, ranked({"u1": [0, 1], "u2": [1, 2], "u3": [2, 0], "nobody": [0, 3]}))
    assert users_to_refresh(lake, ["a"], Refresh(MADE, 9, 1, is_due=False)).user_ids == ["u1"]
    add_item(lake, "a", None)
    with writing(lake) as con:
        con.execute("update raw.items set is_available = false where item_id = 'a'")
    assert users_to_refresh(lake, [], Refresh(MADE, 9, 1, is_due=False)).user_ids == ["u1"]
    with writing(lake) as con:
        con.execute("update recs.recommendations set item_id = 'b' where user_id = 'u1' and item_id = 'a'")
    assert users_to_refresh(lake, [], Refresh(MADE, 9, 9, is_due=False)).user_ids == ["u3"]
    long_gone = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1)
    assert users_to_refresh(lake, [], Refresh(long_gone, 9, 9, is_due=False)).user_ids == [], "lists from before the withdrawal are old"


@pytest.mark.parametrize(
    ("n_users", "refresh_users", "hours"), [(3, 500, 24), (100_000, 500, 24), (100_000, 500, 1.51), (40_001, 7, 3), (99, 1, 1)]
)
def test_lists_made_at_the_same_time_are_all_refreshed_before_one_is_too_old(n_users: int, refresh_users: int, hours: float) -> None:
    age, n_old = pace(n_users, PublishConfig(refresh_users=refresh_users, refresh_after_hours=hours))
    started = 0.999  # one run per minute; the first may come almost a minute after lists become old
    with_missed = 1.2 * -(-n_users // n_old)  # one run in six is skipped
    last_minute = age / timedelta(minutes=1) + started + with_missed - 1
    assert age >= timedelta(hours=hours / 2)
    assert n_old >= refresh_users
    assert last_minute < hours * 60


@pytest.mark.slow
def test_old_lists_are_work_but_not_news_and_a_list_without_a_history_is_neither(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1], "nobody": [1]}))

    def is_due(age: timedelta, **options: Any) -> bool:
        work = look_for_work(lake, WEIGHTS, 4, PublishConfig(**options), MADE + age)
        assert work is not None
        assert work.news.is_empty
        assert work.is_empty is not work.refresh.is_due
        return work.refresh.is_due

    assert not is_due(timedelta(hours=23, minutes=57))
    assert is_due(timedelta(hours=23, minutes=58, seconds=1))
    assert not is_due(timedelta(days=9), refresh_users=0)
    assert is_due(timedelta(minutes=62, seconds=1), refresh_after_hours=1.05)
    minute(lake, extra=["u"])
    assert not is_due(timedelta(hours=23, minutes=59, seconds=1))


def test_reading_the_news_loads_neither_torch_nor_mlflow() -> None:
    script = "import sys, tasks.minute.feed; print([name for name in ('torch', 'mlflow', 'prefect') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


@pytest.mark.slow
def test_the_trend_of_an_event_stays_with_it_and_may_be_unknown(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1), ("u", "b", "view", 2), ("v", "a", "view", 3))
    trends = pa.table({"user_id": ["u", "v"], "trends": pa.array([[0.5, 1.5], [9.0, 9.0]], pa.list_(pa.float32()))})
    put(lake, ranked({"u": [1]}), trends=trends)
    assert rows(lake, "select user_id, trends from features.user_histories order by user_id") == [("u", [0.5, 1.5]), ("v", [None])]
    add_events(lake, ("u", "c", "view", 5), ("w", "c", "view", 4))
    news = news_of(lake)
    news = replace(news, events=news.events.with_columns(trend=pl.Series([2.5, 3.5], dtype=pl.Float32)))
    step = make_step(news, ROWS, KINDS, 4, as_of=9)
    assert [step.user_ids[row] for row in step.events.user] == ["u", "u", "u", "w"]
    assert step.trend.tolist() == [0.5, 1.5, 3.5, 2.5]
    minute(lake, news=news)
    frame = read_histories(lake, ["u", "v", "w"], WEIGHTS, 4)
    events, trend, _ = histories_events(frame.reverse(), ROWS, KINDS, 4)
    assert events.user.tolist() == [0, 1, 2, 2, 2]
    assert (trend[0], np.isnan(trend[1]), trend[2:].tolist()) == (2.5, True, [0.5, 1.5, 3.5])


@pytest.mark.slow
def test_items_of_a_discarded_update_are_read_again_but_are_not_news(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [1]}))
    add_events(lake, ("u", "b", "view", 2))
    add_item(lake, "d", "Delta")
    minute(lake, learns=False)
    news = news_of(lake)
    assert news.items.rows() == [("d", "Delta", True, False)]
    assert news.is_empty
