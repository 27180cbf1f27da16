"""How far the lake's events are published and learnt."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from tasks.lake import Lake, reading, statement


@dataclass(frozen=True)
class Watermarks:
    """Snapshots of the lake: events up to `published` are in histories and lists, those up to `learnt` in the live weights.

    Nothing is learnt before it is published: learnt <= published.
    """

    published: int
    learnt: int


def read_watermarks(lake: Lake) -> Watermarks | None:
    """How far the work is; None before the first publish."""
    with reading(lake) as con:
        return watermarks_of(con)


def watermarks_of(con: duckdb.DuckDBPyConnection) -> Watermarks | None:
    """How far the work is, as a connection sees it."""
    marks = {str(consumer): int(snapshot) for consumer, snapshot in con.execute(statement("minute/watermarks")).fetchall()}
    return Watermarks(**marks) if marks else None
