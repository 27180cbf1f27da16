"""Upkeep of the lake: merges small files and expires unused snapshots."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from tasks.aging import prune
from tasks.config import RetentionConfig
from tasks.data_folder import read_mark
from tasks.lake import Lake, reading, statement, writing
from tasks.retention import MOST_DAYS, ORPHAN_GRACE_HOURS, PUBLICATIONS_WITH_SNAPSHOT, SNAPSHOT_HOURS
from tasks.store import Bucket, abort_unfinished, delete, entries

logger = logging.getLogger("minutehand.upkeep")

AS_SET = RetentionConfig()
FEED = ("raw", "events")
"""The table whose change feed minutes read. Its rewritten rows look like new ones there, so only an erasure rewrites it."""
REWRITE_BYTES = 32 * 2**20
"""One transaction rewrites this many bytes of a table, or one larger file, so that no writer waits long."""
BREATH_S = 0.2
"""Those who wait for a lock ask for it several times in this time, so one of them gets it before the next files are rewritten."""
OWN_FILE = re.compile(r"ducklake-[0-9a-f-]+(-delete)?\.parquet")


@dataclass(frozen=True)
class MaintenanceSummary:
    """Counts of the changes that one upkeep made to the lake."""

    rows_aged: int
    rows_flushed: int
    snapshots_expired: int
    files_rewritten: int
    files_merged: int
    files_deleted: int
    orphans_deleted: int
    seconds: float


def maintain(
    lake: Lake,
    keep_publications: int = PUBLICATIONS_WITH_SNAPSHOT,
    *,
    spare: Collection[int] = (),
    keep_from: int | None = None,
    keep_hours: float = SNAPSHOT_HOURS,
    grace_hours: float = ORPHAN_GRACE_HOURS,
    retention: RetentionConfig = AS_SET,
    now: datetime | None = None,
) -> MaintenanceSummary:
    """Keep files few and large, and delete unused snapshots, in these steps: prune, flush, expire, rewrite, merge, clean up.

    The first step deletes the rows that are older than retention allows.

    Upkeep keeps these snapshots: the newest; all from the oldest watermark on, where the next minute starts reading; those of the last
    keep_hours, because a run may be pinned to one; that of the newest publication of each cadence; all from keep_from on; and, up to the
    age that retention allows, those of the newest publications of each cadence and those in spare. Files that a reader may still have
    open are deleted a day later. Each step is its own transaction, and the next run completes the steps of a killed one. An open read
    transaction keeps its view of the data.
    """
    started = time.perf_counter()
    clock = (now or datetime.now(UTC)).replace(tzinfo=None)
    aged = prune(lake, retention, clock)
    flushed = _run(lake, "flush")
    named_since = clock - timedelta(days=retention.snapshots_days or MOST_DAYS)
    expired = _expire(lake, keep_publications, clock - timedelta(hours=keep_hours), spare, keep_from, named_since)
    rewritten = sum(rewrite_table(lake, schema, table) for schema, table in tables_to_rewrite(lake))
    merged = _run(lake, "merge")
    deleted = _run(lake, "clean_up", {"older_than": _before_midnight(clock - timedelta(hours=grace_hours))})
    orphans = delete_orphans(lake, clock - timedelta(hours=grace_hours))
    summary = MaintenanceSummary(
        rows_aged=sum(aged.values()),
        rows_flushed=sum(row["rows_flushed"] for row in flushed),
        snapshots_expired=expired,
        files_rewritten=rewritten,
        files_merged=sum(row["files_processed"] for row in merged),
        files_deleted=len(deleted),
        orphans_deleted=orphans,
        seconds=round(time.perf_counter() - started, 2),
    )
    logger.info("upkeep of the lake: %s", asdict(summary))
    return summary


def tables_to_rewrite(lake: Lake) -> list[tuple[str, str]]:
    """Schema and name of the tables that have files with deleted rows, except FEED."""
    with reading(lake) as con:
        return [(schema, table) for schema, table in con.execute(statement("maintain/find_deletes")).fetchall() if (schema, table) != FEED]


def rewrite_table(lake: Lake, schema: str, table: str) -> int:
    """Write the files of a table with deleted rows again, some in each transaction; returns their number."""
    n_files, is_over = 0, False
    while not is_over:
        with writing(lake) as con:
            n_rewritten, is_over = rewrite_some(con, schema, table)
        n_files += n_rewritten
        if not is_over:
            time.sleep(BREATH_S)
    return n_files


def has_deletes(con: duckdb.DuckDBPyConnection, schema: str, table: str) -> bool:
    """Whether a table has files with deleted rows."""
    return (schema, table) in con.execute(statement("maintain/find_deletes")).fetchall()


def rewrite_some(con: duckdb.DuckDBPyConnection, schema: str, table: str) -> tuple[int, bool]:
    """Write REWRITE_BYTES of a table's files with deleted rows again, or one larger file; their number, and whether these were all.

    DuckLake takes no list of files, only a least share of deleted rows; so the files with the largest shares come first.
    """
    which = {"schema": schema, "table": table}
    row = con.execute(statement("maintain/next_rewrite"), which | {"n_bytes": REWRITE_BYTES}).fetchone()
    if row is None:
        return 0, True
    (threshold,) = row
    found = con.execute(statement("maintain/rewrite"), which | {"threshold": threshold}).fetchall()
    return sum(n_files for _, _, n_files, _ in found), threshold == 0 or not found


def _expire(
    lake: Lake, keep_publications: int, keep_since: datetime, spare: Collection[int], keep_from: int | None, named_since: datetime
) -> int:
    with writing(lake) as con:
        found = con.execute(
            statement("maintain/find_expired"),
            {
                "keep_publications": keep_publications,
                "keep_since": keep_since,
                "spared": list(spare),
                "keep_from": keep_from,
                "named_since": named_since,
            },
        ).fetchall()
        if found:  # DuckLake refuses an empty list
            con.execute(statement("maintain/expire"), {"versions": [snapshot for (snapshot,) in found]}).fetchall()
    return len(found)


def _before_midnight(moment: datetime) -> datetime:
    """The last microsecond of the previous day.

    A SQLite catalog compares these times as texts in different formats, which sort correctly only by day: a file that was released
    today would be deleted at once, whatever the hour.
    """
    return moment.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(microseconds=1)


def delete_orphans(lake: Lake, older_than: datetime) -> int:
    """Delete orphans of killed writers: unknown Parquet files, written since this catalog has claimed the data folder.

    If the folder contains foreign files, nothing is deleted, because then the folder is not this catalog's alone.
    """
    with writing(lake) as con:
        paths = [row["path"] for row in _rows(con, "find_orphans", {"older_than": older_than})]
        foreign = [path for path in paths if not OWN_FILE.fullmatch(Path(path).name)]
        if foreign:
            logger.warning(
                "%d files under %s do not belong to the lake, such as %s; no orphan was deleted", len(foreign), lake.data_path, foreign[0]
            )
            return 0
        mark = read_mark(lake.place)
        since = datetime.fromisoformat(mark.since).timestamp() if mark else float("inf")
        written = _written(lake, paths)
        orphans = [path for path in paths if written.get(path, 0.0) >= since]
        if len(orphans) < len(paths):
            logger.warning(
                "%d Parquet files under %s are unknown to this catalog and older than its claim to the folder; they were kept",
                len(paths) - len(orphans),
                lake.data_path,
            )
        delete(lake.place, orphans)
        if isinstance(lake.place, Bucket):
            abort_unfinished(lake.place, older_than.replace(tzinfo=UTC))
    return len(orphans)


def _written(lake: Lake, paths: Sequence[str]) -> dict[str, float]:
    """When each of some files was last written, in seconds; those of an object store by one listing."""
    place = lake.place
    if isinstance(place, Path):
        return {path: Path(path).stat().st_mtime for path in paths}
    return {f"{place}{entry.name}": entry.written for entry in entries(place)} if paths else {}


def _run(lake: Lake, name: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """The rows of one statement of sql/maintain, run in its own transaction."""
    with writing(lake) as con:
        return _rows(con, name, parameters or {})


def _rows(con: duckdb.DuckDBPyConnection, name: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    cursor = con.execute(statement(f"maintain/{name}"), parameters)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
