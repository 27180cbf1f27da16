"""Takes erased people out of the files of the lake: Parquet files, snapshots, and what a catalog keeps of deleted rows.

After a delete, DuckLake keeps the rows in the files, in earlier snapshots and in its catalog. Here every file with deleted rows is written
again, and everything before the result expires.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from duckdb import DuckDBPyConnection as Connection

from tasks.lake import Lake, current_snapshot, statement, writing
from tasks.locks import demand_held, publishing_paused, writing_turn
from tasks.upkeep import BREATH_S, FEED, delete_orphans, has_deletes, rewrite_some, rewrite_table, tables_to_rewrite

logger = logging.getLogger("minutehand.erasure")
READERS_S = 5.0
"""A reader that began before the snapshots expired has this long to finish with their files."""
BUSY_S = 60.0
"""How long the clean-up of a SQLite catalog waits for readers."""
TABLE_S = 2.0
"""The same for each table of a catalog on PostgreSQL; new readers wait meanwhile."""


def rewrite_tables(lake: Lake) -> dict[str, int]:
    """Write every file with deleted rows again, some in each transaction, so that no writer waits long; not those of raw.events."""
    with writing(lake) as con:
        n_flushed = sum(row[2] for row in con.execute(statement("maintain/flush")).fetchall())
    return {"rows_flushed": n_flushed, "files_rewritten": sum(rewrite_table(lake, *table) for table in tables_to_rewrite(lake))}


def renew_bounds(lake: Lake, attempts: int = 5) -> None:
    """Take the least and the greatest text of each column from the files that are left: either may be the id of an erased person.

    The bounds of a table must cover rows that are not in files yet, so this waits for a moment without such rows.
    """
    for _ in range(attempts):
        with writing(lake) as con:
            if not sum(row[2] for row in con.execute(statement("maintain/flush")).fetchall()):
                con.execute(statement("privacy/renew_bounds"))
                return
    logger.warning("rows came in all the time, so the bounds of columns were not renewed; the next run tries again")


def rewrite_feed(
    lake: Lake, is_settled: Callable[[Connection], bool], move_on: Callable[[Connection], None], patience_s: float
) -> int | None:
    """Rewrite the files of raw.events with deleted rows, some in each transaction; their number, or None if events wait to be learnt.

    is_settled: whether nothing waits to be learnt. move_on: moves what points to earlier snapshots to that of its transaction. DuckLake
    rewrites in a transaction of its own. After a kill between the two, feeds leave out the rewritten rows, as they were deleted there too.
    The caller holds the nightly lock. This takes the lock of publishing, so that no run is pinned to a snapshot, and gives it and the
    writer's lock back after each transaction. patience_s: how long it waits for a publish in flight.
    """
    n_files, is_over = 0, False
    while not is_over:
        with publishing_paused(lake, patience_s), writing(lake) as con:
            if not is_settled(con):
                return None
            n_rewritten, is_over = rewrite_some(con, *FEED)
            demand_held(lake)
            con.commit()
            con.begin()
            move_on(con)
        n_files += n_rewritten
        if not is_over:
            time.sleep(BREATH_S)
    return n_files


def expire_all(lake: Lake, is_settled: Callable[[Connection], bool], patience_s: float) -> int | None:
    """Expire every snapshot but the newest; returns their number, or None if something needs an earlier one. As rewrite_feed."""
    with publishing_paused(lake, patience_s), writing(lake) as con:
        if not is_settled(con) or has_deletes(con, *FEED):
            return None
        kept = current_snapshot(con)
        old = [snapshot for (snapshot,) in con.execute(statement("privacy/snapshots_before"), {"snapshot": kept}).fetchall()]
        if old:
            con.execute(statement("maintain/expire"), {"versions": old}).fetchall()
    return len(old)


def clean_up(lake: Lake, pause: Callable[[float], None] = time.sleep) -> int:
    """Delete the files that only expired snapshots had, once their readers are done, and those of killed writers; returns their number."""
    pause(READERS_S)
    with writing(lake) as con:
        n_files = len(con.execute(statement("privacy/clean_up_all")).fetchall())
    return n_files + delete_orphans(lake, datetime.now(UTC).replace(tzinfo=None))


def vacuum(lake: Lake) -> int:
    """Rewrite a catalog on SQLite or PostgreSQL without what it keeps of deleted rows; returns the bytes saved."""
    with writing_turn(lake):
        if lake.is_sqlite:
            return vacuum_file(Path(lake.catalog_file))
        from tasks.privacy.postgres import vacuum_catalog

        return vacuum_catalog(lake.catalog, TABLE_S)


def vacuum_file(file: Path, busy_s: float = BUSY_S) -> int:
    """Rewrite a SQLite database without its free pages, and empty its write-ahead log; returns the bytes saved."""
    before = _size(file)
    with closing(sqlite3.connect(file, timeout=busy_s, isolation_level=None)) as con:
        con.execute("pragma wal_checkpoint(truncate)")
        con.execute("vacuum")
        is_busy = con.execute("pragma wal_checkpoint(truncate)").fetchone()[0]
    if is_busy:
        logger.warning("readers of %s keep its log from being emptied; the next run tries again", file)
    return before - _size(file)


def _size(file: Path) -> int:
    return sum(path.stat().st_size for path in (file, file.with_name(f"{file.name}-wal")) if path.exists())
