"""Upkeep of the lake: few and large files, and no snapshot that nobody needs."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tasks.lake import Lake, statement, writing
from tasks.retention import FRESHNESS_DAYS, ORPHAN_GRACE_HOURS, PUBLICATIONS_WITH_SNAPSHOT, SNAPSHOT_HOURS

logger = logging.getLogger("minutehand.upkeep")

OWN_FILE = re.compile(r"ducklake-[0-9a-f-]+(-delete)?\.parquet")


@dataclass(frozen=True)
class MaintenanceSummary:
    """What upkeep did to the files of the lake."""

    waits_forgotten: int
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
    keep_freshness_days: float = FRESHNESS_DAYS,
    now: datetime | None = None,
) -> MaintenanceSummary:
    """Keep files few and large, and let go of snapshots that nobody needs: forget, flush, expire, rewrite, merge, clean up.

    Forgotten are the waits in ops.freshness for lists that were made over keep_freshness_days ago.

    Kept are the newest snapshot, those from the oldest watermark on (the news of the next minute begin there), those of the last
    keep_hours (a run may be pinned to one), those that the newest publications of each cadence name, those in spare, and those
    from keep_from on. Files that a reader may still have open are deleted a day later. Each step is a transaction of its own;
    what a killed one left is done by the next run. A reader's transaction, of one statement or several, goes on seeing what it saw.
    """
    started = time.perf_counter()
    clock = (now or datetime.now(UTC)).replace(tzinfo=None)
    forgotten = _run(lake, "prune_freshness", {"older_than": clock - timedelta(days=keep_freshness_days)})
    flushed = _run(lake, "flush")
    expired = _expire(lake, keep_publications, clock - timedelta(hours=keep_hours), spare, keep_from)
    rewritten = _run(lake, "rewrite")
    merged = _run(lake, "merge")
    deleted = _run(lake, "clean_up", {"older_than": _before_midnight(clock - timedelta(hours=grace_hours))})
    orphans = _delete_orphans(lake, clock - timedelta(hours=grace_hours))
    summary = MaintenanceSummary(
        waits_forgotten=sum(row["Count"] for row in forgotten),
        rows_flushed=sum(row["rows_flushed"] for row in flushed),
        snapshots_expired=expired,
        files_rewritten=sum(row["files_processed"] for row in rewritten),
        files_merged=sum(row["files_processed"] for row in merged),
        files_deleted=len(deleted),
        orphans_deleted=orphans,
        seconds=round(time.perf_counter() - started, 2),
    )
    logger.info("upkeep of the lake: %s", asdict(summary))
    return summary


def _expire(lake: Lake, keep_publications: int, keep_since: datetime, spare: Collection[int], keep_from: int | None) -> int:
    with writing(lake) as con:
        found = con.execute(
            statement("maintain/find_expired"),
            {"keep_publications": keep_publications, "keep_since": keep_since, "spared": list(spare), "keep_from": keep_from},
        ).fetchall()
        if found:  # DuckLake refuses an empty list
            con.execute(statement("maintain/expire"), {"versions": [snapshot for (snapshot,) in found]}).fetchall()
    return len(found)


def _before_midnight(moment: datetime) -> datetime:
    """The last microsecond of the day before.

    A SQLite catalog compares these times as texts of unlike form, whose order is right by the day only: a file given up
    today would go at once, whatever the hour.
    """
    return moment.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(microseconds=1)


def _delete_orphans(lake: Lake, older_than: datetime) -> int:
    """Delete what killed writers left, unless somebody else's files lie under the data path: DuckLake would take those too."""
    paths = [row["path"] for row in _run(lake, "find_orphans", {"older_than": older_than})]
    foreign = [path for path in paths if not OWN_FILE.fullmatch(re.split(r"[/\\]", path)[-1])]
    if foreign:
        logger.warning("%d files under %s are not the lake's, such as %s; no orphan was deleted", len(foreign), lake.data_path, foreign[0])
        return 0
    return len(_run(lake, "delete_orphans", {"older_than": older_than})) if paths else 0


def _run(lake: Lake, name: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """The rows of one statement of sql/maintain, in a transaction of its own."""
    with writing(lake) as con:
        cursor = con.execute(statement(f"maintain/{name}"), parameters or {})
        names = [column[0] for column in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
