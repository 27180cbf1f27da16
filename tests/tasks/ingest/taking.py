"""Shortcuts for tests: one-line ingests, and the resulting rows of the lake."""

from __future__ import annotations

from typing import Any

from tasks.config import IngestConfig
from tasks.ingest.ingestion import Summary, ingest
from tasks.ingest.sources import ColumnMapping
from tasks.lake import Lake, reading


def take(lake: Lake, *paths: str, kind: Any = "events", config: IngestConfig | None = None, **mapping: Any) -> Summary:
    return ingest(lake, kind, paths, ColumnMapping(**mapping), config or IngestConfig())


def rows(lake: Lake, query: str) -> list[tuple[Any, ...]]:
    with reading(lake) as con:
        return con.execute(query).fetchall()


def events(lake: Lake, columns: str) -> list[tuple[Any, ...]]:
    return rows(lake, f"select {columns} from raw.events order by rowid")


def standing(lake: Lake) -> list[tuple[int, str]]:
    """The refused lines, each with its offending value."""
    return rows(lake, "select line, value from raw.rejected order by line")


def reasons(lake: Lake) -> list[tuple[int, str]]:
    return rows(lake, "select line, reason from raw.rejected order by line")
