"""The live version: the one named by the newest row of recs.publications."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb

from tasks.lake import Lake, execute, reading, statement
from tasks.publish.publication import Files


def live_version(lake: Lake) -> str | None:
    """The model version of the newest publication; None before the first."""
    origin = live_origin(lake)
    return None if origin is None else origin[0]


def live_origin(lake: Lake) -> tuple[str, str] | None:
    """The live version and its MLflow run. Both identify it, as a new registry reuses the version numbers of a lost one."""
    with reading(lake) as con:
        row = con.execute(statement("publish/live_version")).fetchone()
    return None if row is None else (str(row[0]), str(row[1]))


def live_files(lake: Lake) -> tuple[str, Files | None] | None:
    """The live version, and its files if the publication recorded them; None before the first publication."""
    with reading(lake) as con:
        row = con.execute(statement("publish/live_checkpoint")).fetchone()
    if row is None:
        return None
    version, folder, digest = row
    return str(version), None if folder is None else Files(Path(folder), digest)


def is_published(lake: Lake, version: str) -> bool:
    """Whether a model version has ever published lists."""
    with reading(lake) as con:
        return con.execute(statement("publish/is_published"), {"version": version}).fetchone() == (True,)


def next_moment(con: duckdb.DuckDBPyConnection) -> datetime:
    """The time of the publication that this transaction writes, later than those of all others, as the newest names the live model."""
    now = _now()
    (moment,) = execute(con, "publish/next_moment", {"now": now}).fetchone() or (now,)
    return moment


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
