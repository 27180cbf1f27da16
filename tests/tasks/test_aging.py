"""Retention by age: what is too old goes, from tables, files and snapshots, and nothing else does."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks.advisory import address
from tasks.aging import overview, prune_files
from tasks.config import RetentionConfig
from tasks.erasure.aged import empty_free_pages, rewrite_aged_events
from tasks.lake import Lake, reading, writing
from tasks.upkeep import maintain
from tests.tasks.minute.test_feed import minute, news_of
from tests.tasks.publish.test_night import add_events, files, put, ranked, rows, snapshot_of

DAY = timedelta(days=1)
OLD = datetime(2026, 1, 10, 15)
INSERTS = {
    "rejected": "insert into raw.rejected (kind, source, line, reason, row_json, rejected_at) values ('events', 's', 1, 'r', '{}', $at)",
    "served": "insert into ops.served by name select 'r' as recommendation_id, 'u' as user_id, 'default' as scenario, "
    "'1' as model_version, ['a'] as item_ids, ['popular'] as sources, $at as served_at",
    "freshness": "insert into ops.freshness by name select 'p' as publication_id, 'u' as user_id, $at as received_at, $at as generated_at, "
    "$at as occurred_at",
    "figures": "insert into eval.prequential by name select 'f' as flow_run_id, 'm' as mlflow_run_id, 1 as data_snapshot, 'live' as model, "
    "'all' as segment, 'mrr' as metric, 1 as n_events, $at as minute, $at as evaluated_at",
}
TABLES = {"rejected": "raw.rejected", "served": "ops.served", "freshness": "ops.freshness", "figures": "eval.prequential"}
NEVER = RetentionConfig(
    rejected_days=0,
    served_days=0,
    lists_days=0,
    freshness_days=0,
    figures_days=0,
    landing_days=0,
    reports_days=0,
    logs_days=0,
    snapshots_days=0,
)


def keeping(**days: int) -> RetentionConfig:
    return NEVER.model_copy(update={f"{name}_days": value for name, value in days.items()})


def count(lake: Lake, table: str) -> int:
    return int(rows(lake, f"select count(*) from {table}")[0][0])


def execute(lake: Lake, sql: str, **parameters: Any) -> None:
    with writing(lake) as con:
        con.execute(sql, parameters)


@pytest.mark.slow
@pytest.mark.parametrize("setting", INSERTS)
def test_rows_go_on_the_day_after_they_have_reached_the_age_and_never_with_0(lake: Lake, setting: str) -> None:
    execute(lake, INSERTS[setting], at=OLD)
    maintain(lake, retention=keeping(**{setting: 0}), now=OLD + 9000 * DAY)
    before = snapshot_of(lake)
    assert maintain(lake, retention=keeping(**{setting: 5}), now=datetime(2026, 1, 15, 23, 59)).rows_aged == 0
    assert snapshot_of(lake) == before, "nothing to delete leaves no snapshot"
    (row,) = [kept for kept in overview_at(lake, keeping(**{setting: 5}), datetime(2026, 1, 16)) if kept.setting == setting]
    assert (row.n_rows, row.n_due, row.oldest, row.days) == (1, 1, OLD, 5)
    assert maintain(lake, retention=keeping(**{setting: 5}), now=datetime(2026, 1, 16)).rows_aged == 1
    assert count(lake, TABLES[setting]) == 0


def overview_at(lake: Lake, retention: RetentionConfig, clock: datetime) -> list[Any]:
    home = lake.lock_path.parent.parent
    return overview(lake, home, home / "landing", retention, clock)


@pytest.mark.slow
def test_all_events_are_kept_by_default(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    maintain(lake)
    assert count(lake, "raw.events") == 1


@pytest.mark.slow
def test_of_the_past_lists_those_that_somebody_had_in_the_days_that_are_kept_stay(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    for version, lists in enumerate(({"u": [0, 1], "gone": [0, 1]}, {"u": [1, 0]}, {"u": [2, 0]})):
        put(lake, ranked(lists), str(version))
        execute(
            lake,
            "update recs.list_history set published_at = $at where model_version = $version",
            at=OLD + version * DAY,
            version=str(version),
        )
    clock = OLD + 31.5 * DAY
    (row,) = [kept for kept in overview_at(lake, keeping(lists=30), clock) if kept.setting == "lists"]
    assert maintain(lake, retention=keeping(lists=30), now=clock).rows_aged == row.n_due == 3
    left = rows(lake, "select user_id, model_version from recs.list_history order by user_id, published_at")
    assert left == [("*", "0"), ("u", "1"), ("u", "2")], "the list of u on the first day that is kept is that of version 1"
    maintain(lake, retention=keeping(lists=30), now=OLD + 99 * DAY)
    assert rows(lake, "select user_id, model_version from recs.list_history order by user_id") == [("*", "0"), ("u", "2")]


@pytest.mark.slow
def test_events_that_are_too_old_leave_tables_and_files_and_the_minute_learns_the_others_once(lake: Lake, home: Path) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    recent = int(now.timestamp()) - 86_400
    add_events(lake, *[(f"ancient-{number:04}", "a", "view", number) for number in range(12)])
    add_events(lake, *[(f"u{number}", "a", "view", recent + number) for number in range(12)])
    maintain(lake, retention=NEVER, keep_hours=0)  # one file with both
    put(lake, ranked({"u1": [0]}))
    add_events(lake, *[(f"u{number}", "b", "view", recent + 100 + number) for number in range(12)])
    assert maintain(lake, 0, retention=keeping(events=30), keep_hours=0).rows_aged == 12
    assert count(lake, "raw.events") == 24
    assert rewrite_aged_events(lake) is None, "events wait to be learnt"
    assert len(news_of(lake).events.filter("is_new")) == 12
    minute(lake)
    assert rewrite_aged_events(lake) > 0  # type: ignore[operator]
    assert rewrite_aged_events(lake) == 0
    assert news_of(lake).is_empty, "rewritten events are not learnt again"
    add_events(lake, ("u1", "c", "view", recent + 200))
    assert len(news_of(lake).events.filter("is_new")) == 1
    put(lake, ranked({"u1": [0]}), "3")
    minute(lake, "4")  # the snapshot of the newest publication of each cadence is kept
    maintain(lake, 0, retention=keeping(events=30, snapshots=1), keep_hours=0)
    maintain(lake, 0, retention=keeping(events=30, snapshots=1), keep_hours=0, now=datetime.now(UTC) + 2 * DAY)
    maintain(lake, 0, retention=keeping(events=30, snapshots=1), keep_hours=0, now=datetime.now(UTC) + 4 * DAY)
    with reading(lake) as con:
        for file in files(lake):
            columns = con.execute(f"select * from parquet_schema('{file}')").fetchall()
            assert columns
            assert "ancient-" not in str(con.execute(f"from '{file}'").fetchall()), file


def analyze(lake: Lake) -> None:
    """Let PostgreSQL take its statistics, as it does by itself now and then."""
    if not lake.is_sqlite:
        import psycopg

        with psycopg.connect(address(lake.catalog), autocommit=True) as con:
            con.execute("analyze")


def files_of_catalog(lake: Lake) -> list[Path]:
    """The files of a catalog: on PostgreSQL those of its database, as of now, without the write-ahead log."""
    if lake.is_sqlite:
        catalog = Path(lake.catalog_file)
        return list(catalog.parent.glob(f"{catalog.name}*"))
    import psycopg

    with psycopg.connect(address(lake.catalog), autocommit=True) as con:
        con.execute("checkpoint")
        row = con.execute("select current_setting('data_directory') || '/base/' || oid from pg_database where datname = current_database()")
        (folder,) = row.fetchone() or ("",)
    return [file for file in Path(folder).iterdir() if file.is_file()]


@pytest.mark.slow
def test_a_catalog_loses_the_rows_that_have_aged(lake: Lake) -> None:
    """On PostgreSQL also from the statistics of columns: there are some, as five rows have the same reason."""
    execute(
        lake,
        "insert into raw.rejected (kind, source, line, reason, row_json, rejected_at) "
        "select 'events', 's', range, 'ancient-0001', '{}', $at from range(5)",
        at=OLD,
    )
    analyze(lake)

    def held() -> bytes:
        return b"".join(file.read_bytes() for file in files_of_catalog(lake))

    assert b"ancient-0001" in held()
    maintain(lake, 0, retention=keeping(rejected=30), keep_hours=0)
    maintain(lake, 0, retention=keeping(rejected=30), keep_hours=0)  # the snapshots that still had the row have expired now
    assert empty_free_pages(lake)
    assert b"ancient-0001" not in held()


@pytest.mark.slow
def test_a_snapshot_that_only_an_old_version_needs_is_kept_until_it_is_too_old(lake: Lake) -> None:
    add_events(lake, ("u", "a", "view", 1))
    first = snapshot_of(lake)
    add_events(lake, ("u", "b", "view", 2))
    put(lake, ranked({"u": [0]}))
    needed = {"spare": [first], "keep_hours": 0}
    maintain(lake, 0, retention=keeping(snapshots=0), now=datetime.now(UTC) + 400 * DAY, **needed)  # type: ignore[arg-type]
    maintain(lake, 0, retention=keeping(snapshots=30), now=datetime.now(UTC) + 29 * DAY, **needed)  # type: ignore[arg-type]
    assert (first,) in rows(lake, "select snapshot_id from lake.snapshots()")
    maintain(lake, 0, retention=keeping(snapshots=30), now=datetime.now(UTC) + 31 * DAY, **needed)  # type: ignore[arg-type]
    assert (first,) not in rows(lake, "select snapshot_id from lake.snapshots()")


def aged(file: Path, moment: datetime) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("some words\n")
    os.utime(file, (moment.replace(tzinfo=UTC).timestamp(),) * 2)
    return file


def test_landed_files_go_by_the_day_on_which_they_were_taken_in_and_files_of_others_stay(home: Path) -> None:
    landing = home / "landing"
    old, newer = (aged(landing / "done" / day / "events" / "e.csv", OLD) for day in ("2026-01-09", "2026-01-10"))
    others = [aged(landing / name, OLD) for name in ("done/mine/e.csv", "failed/2026-01-01/events/e.csv", "events/e.csv")]
    assert prune_files(home, landing, keeping(landing=5), datetime(2026, 1, 15, 12))["landing"] == 1
    assert (old.exists(), newer.exists()) == (False, True)
    assert all(path.exists() for path in others)
    prune_files(home, landing, NEVER, datetime(2036, 1, 1))
    assert newer.exists()


def test_reports_of_old_nights_go_and_never_with_0(home: Path) -> None:
    old, newer = home / "reports" / "2026-01-09.html", home / "reports" / "2026-01-10.html"
    for file, moment in ((old, OLD - DAY), (newer, OLD)):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        os.utime(file, (moment.replace(tzinfo=UTC).timestamp(),) * 2)
    assert prune_files(home, home / "landing", NEVER, datetime(2036, 1, 1))["reports"] == 0
    assert prune_files(home, home / "landing", keeping(reports=5), datetime(2026, 1, 15, 12))["reports"] == 1
    assert (old.exists(), newer.exists()) == (False, True)


def test_a_log_that_is_written_for_ever_is_divided_by_days_and_old_parts_go(home: Path) -> None:
    logs = home / "logs"
    logs.mkdir(parents=True)
    silent = aged(logs / "mlflow.log", OLD)
    with (logs / "api.log").open("ab") as sink:
        for day in range(9):
            clock = OLD + day * DAY
            sink.write(f"day {day}\n".encode())
            sink.flush()
            os.utime(logs / "api.log", (clock.replace(tzinfo=UTC).timestamp(),) * 2)
            for hour in range(3):
                prune_files(home, home / "landing", keeping(logs=3), clock + timedelta(hours=hour))
    kept = {file.name: file.read_text() for file in sorted(logs.glob("api*.log"))}
    assert list(kept) == ["api.2026-01-14.log", "api.2026-01-15.log", "api.2026-01-16.log", "api.2026-01-17.log", "api.log"]
    assert kept["api.2026-01-17.log"] == "day 8\n"
    assert silent.exists(), "its writer may have it open"


def test_the_overview_names_bytes_of_all_files_and_of_a_day(lake: Lake, home: Path) -> None:
    add_events(lake, *[(f"u{number}", "a", "view", number) for number in range(12)])
    aged(home / "landing" / "done" / "2026-01-09" / "events" / "e.csv", OLD)
    found = {kept.setting: kept for kept in overview_at(lake, keeping(landing=5), datetime(1970, 1, 5))}
    assert list(found) == ["events", "rejected", "served", "lists", "freshness", "figures", "landing", "reports", "logs", "snapshots"]
    on_disk = sum(file.stat().st_size for file in files(lake) if "events" in str(file))
    events = found["events"]
    assert (events.n_rows, events.n_bytes, events.oldest, events.n_due) == (12, on_disk, datetime(1970, 1, 1), 0)
    assert events.bytes_per_day == round(on_disk / 4)
    assert (found["landing"].n_rows, found["landing"].n_bytes, found["landing"].n_due) == (1, 11, 0)
    (landing,) = [kept for kept in overview_at(lake, keeping(landing=5), datetime(2026, 1, 15)) if kept.setting == "landing"]
    assert landing.n_due == 1
