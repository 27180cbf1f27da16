"""Upkeep changes no content, keeps every needed snapshot, and does not touch foreign files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tasks.config import RetentionConfig
from tasks.lake import Lake, reading
from tasks.upkeep import maintain
from tests.tasks.minute.test_feed import minute, news_of
from tests.tasks.publish.test_night import add_events, content, content_of, files, put, ranked, rows, snapshot_of


def busy_lake(lake: Lake) -> tuple[int, int]:
    """Two publications between many small writes; returns the snapshots that they name."""
    named = []
    for night in range(2):
        for part in range(2):
            add_events(lake, *[(f"u{number}", "a", "view", 100 * night + part) for number in range(12)])
            add_events(lake, ("u0", "b", "view", 100 * night + 50 + part))
        named.append(snapshot_of(lake))
        put(lake, ranked({"u0": [night, 2]}), str(night))
    add_events(lake, ("u1", "c", "view", 999))
    return named[0], named[1]


def events_at(lake: Lake, snapshot: int) -> list[tuple[Any, ...]]:
    with reading(lake) as con:
        return con.execute("select rowid, * from raw.events at (version => $n) order by rowid", {"n": snapshot}).fetchall()


def test_upkeep_changes_no_content_and_no_order_and_spares_what_the_kept_publications_name(lake: Lake) -> None:
    dropped, spared = busy_lake(lake)
    before, then = content(lake), events_at(lake, spared)
    done = maintain(lake, keep_publications=1, keep_hours=0)
    assert done.rows_flushed > 0
    assert done.snapshots_expired > 4
    assert done.files_merged > 1
    assert content(lake) == before
    assert events_at(lake, spared) == then
    with pytest.raises(duckdb.Error):
        events_at(lake, dropped)


@pytest.mark.slow
def test_upkeep_keeps_recent_snapshots_and_those_in_spare(lake: Lake) -> None:
    dropped, _ = busy_lake(lake)
    assert maintain(lake, keep_publications=1).snapshots_expired == 0
    maintain(lake, keep_publications=1, keep_hours=0, spare=[dropped])
    assert len(events_at(lake, dropped)) == 26


@pytest.mark.slow
def test_open_readers_continue_during_upkeep_and_the_files_are_deleted_a_day_later(lake: Lake) -> None:
    busy_lake(lake)
    events = "select rowid, * from raw.events order by rowid"
    with reading(lake) as newest, reading(lake, snapshot_of(lake)) as pinned:
        before = newest.execute(events).fetchall()
        assert pinned.execute(events).fetchall() == before
        done = maintain(lake, keep_publications=1)
        assert (done.files_deleted, done.files_merged > 1) == (0, True)
        assert newest.execute(events).fetchall() == before
        assert pinned.execute(events).fetchall() == before
    n_files, now = len(files(lake)), content(lake)
    later = maintain(lake, keep_publications=1, now=datetime.now(UTC) + timedelta(days=2))
    assert later.files_deleted > 0
    assert len(files(lake)) < n_files
    assert content(lake) == now


@pytest.mark.slow
def test_a_read_transaction_sees_one_state_during_publishes_and_merges(lake: Lake) -> None:
    """Without the setting in tasks.lake.connect, a query during a publish would return old and new rows together."""
    busy_lake(lake)
    with reading(lake) as con:
        con.execute("set threads = 2")
        con.execute("begin")
        before = content_of(con)
        for night in range(2, 4):
            put(lake, ranked({"u0": [night % 2, 2], f"new-{night}": [1, 2]}), str(night))
            add_events(lake, (f"new-{night}", "a", "view", 100 * night))
            assert content_of(con) == before
        assert maintain(lake, keep_publications=1).files_merged > 1
        assert content_of(con) == before
        con.execute("commit")
        assert content_of(con) == content(lake) != before


@pytest.mark.slow
def test_upkeep_of_a_tidy_lake_finds_nothing_to_do(lake: Lake) -> None:
    busy_lake(lake)
    for days in (2, 4):
        done = maintain(lake, now=datetime.now(UTC) + timedelta(days=days))
    assert (done.rows_flushed, done.files_rewritten, done.files_merged, done.files_deleted, done.orphans_deleted) == (0, 0, 0, 0, 0)


@pytest.mark.slow
def test_upkeep_deletes_orphans_but_never_a_foreign_file(lake: Lake) -> None:
    put(lake, ranked({"u": [0, 1]}))
    folder = Path(lake.data_path) / "recs" / "recommendations"
    orphan = folder / "ducklake-019a0000-0000-7000-8000-000000000000.parquet"
    foreign = Path(lake.data_path) / "mine.parquet"
    for path in (orphan, foreign):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    later = datetime.now(UTC) + timedelta(days=2)
    assert maintain(lake, now=later).orphans_deleted == 0
    assert (orphan.exists(), foreign.exists()) == (True, True)
    foreign.unlink()
    assert maintain(lake).orphans_deleted == 0, "it may belong to a writer at work"
    assert maintain(lake, now=later).orphans_deleted == 1
    assert not orphan.exists()


@pytest.mark.slow
def test_after_many_minutes_each_table_is_one_file_again(lake: Lake) -> None:
    users = [f"u{number}" for number in range(30)]
    add_events(lake, *[(user, "a", "view", 1) for user in users])
    put(lake, ranked(dict.fromkeys(users, (0, 1))))
    for second in range(2, 6):
        add_events(lake, *[(user, "b", "view", second) for user in users[second::3]])
        minute(lake)
    before = content(lake)
    maintain(lake, retention=RetentionConfig(freshness_days=0))
    assert content(lake) == before
    for schema, table in (("raw", "events"), ("features", "user_histories"), ("recs", "recommendations"), ("ops", "freshness")):
        found = rows(lake, f"select count(*), count(delete_file) from ducklake_list_files('lake', '{table}', schema => '{schema}')")
        assert found == [(1, 0)], table


@pytest.mark.slow
def test_upkeep_keeps_every_snapshot_from_the_oldest_watermark_on(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    put(lake, ranked({"u": [0]}))
    for second in (2, 3, 4):
        add_events(lake, ("u", "b", "view", second))
        minute(lake, learns=False)
    learnt = rows(lake, "select min(snapshot) from ops.watermarks")[0][0]
    maintain(lake, keep_publications=0, keep_hours=0)
    assert rows(lake, "select min(snapshot_id) from lake.snapshots()") == [(learnt,)]
    assert len(news_of(lake, max_events=9).events) == 3


@pytest.mark.slow
def test_upkeep_keeps_every_snapshot_that_an_unpublished_champion_has_to_learn_from(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    its_own = snapshot_of(lake)
    for second in (2, 3, 4):
        add_events(lake, ("u", "b", "view", second))
    put(lake, ranked({"u": [0]}))
    maintain(lake, keep_publications=0, keep_hours=0, keep_from=its_own)
    assert rows(lake, "select min(snapshot_id) from lake.snapshots()") == [(its_own,)]
    maintain(lake, keep_publications=0, keep_hours=0)
    assert rows(lake, "select min(snapshot_id) from lake.snapshots()") > [(its_own,)]
