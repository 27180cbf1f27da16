"""The live version: the one named by the newest row of recs.publications."""

from __future__ import annotations

from tasks.lake import Lake, reading, statement


def live_version(lake: Lake) -> str | None:
    """The model version of the newest publication; None before the first."""
    origin = live_origin(lake)
    return None if origin is None else origin[0]


def live_origin(lake: Lake) -> tuple[str, str] | None:
    """The live version and its MLflow run. Both identify it, as a new registry reuses the version numbers of a lost one."""
    with reading(lake) as con:
        row = con.execute(statement("publish/live_version")).fetchone()
    return None if row is None else (str(row[0]), str(row[1]))


def is_published(lake: Lake, version: str) -> bool:
    """Whether a model version has ever published lists."""
    with reading(lake) as con:
        return con.execute(statement("publish/is_published"), {"version": version}).fetchone() == (True,)
