"""Watermarks: the last lake snapshots whose events are published and learnt."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from tasks.lake import Lake, reading, statement


@dataclass(frozen=True)
class Watermarks:
    """Two lake snapshots. Histories and lists contain the events up to `published`.

    The live weights have learnt the events up to `learnt`. Events are published before they are learnt: learnt <= published.
    """

    published: int
    learnt: int


def read_watermarks(lake: Lake) -> Watermarks | None:
    """The watermarks of a lake; None before the first publish."""
    with reading(lake) as con:
        return watermarks_of(con)


def watermarks_of(con: duckdb.DuckDBPyConnection) -> Watermarks | None:
    """The watermarks as a connection sees them; None before the first publish."""
    marks = {str(consumer): int(snapshot) for consumer, snapshot in con.execute(statement("minute/watermarks")).fetchall()}
    return Watermarks(**marks) if marks else None
