"""The files that the API hands over: segments of its log, one file per segment and kind, named after the segment.

Events and items are ingested like other files of the landing folder. This module takes in the other kinds, which only the API writes.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import duckdb
import polars as pl

from models.visible import visible_line
from tasks.ingest.aliases import Aliases, MergeError
from tasks.ingest.landed import Landed
from tasks.ingest.log_names import LogKind, folder_of, segment_of
from tasks.ingest.moving import move
from tasks.lake import Lake, reading, statement, writing
from tasks.privacy.border import stored_ids
from tasks.privacy.ledger import read_erased

logger = logging.getLogger("minutehand.ingest")
PEOPLE = ("alias", "user_id")
"""Fields with ids of people."""
OWN_KINDS: tuple[Literal["aliases", "served"], ...] = ("aliases", "served")
ALIASES = pl.Schema({"alias": pl.String(), "user_id": pl.String(), "merged_at": pl.Datetime("us")})
SERVED = pl.Schema(
    {
        "recommendation_id": pl.String(),
        "user_id": pl.String(),
        "scenario": pl.String(),
        "model_version": pl.String(),
        "item_ids": pl.List(pl.String()),
        "sources": pl.List(pl.String()),
        "slots": pl.List(pl.String()),
        "propensities": pl.List(pl.Float32()),
        "experiment_id": pl.String(),
        "arm": pl.String(),
        "served_at": pl.Datetime("us"),
    }
)


def waiting_segments(landing: Path) -> list[tuple[LogKind, Path]]:
    """The segments of aliases and of served lists that wait, oldest first."""
    return [(kind, file) for kind in OWN_KINDS for file in sorted(folder_of(landing, kind).glob("*")) if segment_of(file) is not None]


def ingest_segments(lake: Lake, landing: Path, kind: LogKind, files: Sequence[Path]) -> list[Landed]:
    """Take in segments of one kind in one transaction, then move them away.

    A segment that was taken in before adds only the lines that are new since. After a kill between the two steps, the next run finds
    nothing new and moves the files.
    """
    started = time.monotonic()
    lines = {file: file.read_bytes().split(b"\n")[:-1] for file in files if file.exists()}
    with reading(lake) as con:
        known = _positions(con, kind)
    if any(len(some) > known.get(_number(file), 0) for file, some in lines.items()):
        with writing(lake) as con:
            known = _positions(con, kind)  # again, under the lock
            fresh = {file: some[known.get(_number(file), 0) :] for file, some in lines.items()}
            rows = [row for some in fresh.values() for line in some if (row := _row(line)) is not None]
            _WRITE[kind](con, without_erased(con, lake, _with_stored_ids(con, lake, rows)))
            grown = [(_number(file), len(lines[file])) for file, some in fresh.items() if some]
            con.register("fresh_positions", pl.DataFrame(grown, ["segment", "n_lines"], orient="row").with_columns(kind=pl.lit(kind)))
            con.execute(statement("ingest/insert_positions"))
    seconds = round((time.monotonic() - started) / max(len(lines), 1), 2)
    return [_moved(landing, kind, file, len(some), known.get(_number(file), 0), seconds) for file, some in lines.items()]


def _moved(landing: Path, kind: LogKind, file: Path, n_lines: int, n_known: int, seconds: float) -> Landed:
    n_new = max(n_lines - n_known, 0)
    done = Landed(kind, visible_line(file.name), "done", read=n_lines, new=n_new, duplicate=n_lines - n_new, seconds=seconds)
    return move(file, landing, done)


def _row(line: bytes) -> dict[str, Any] | None:
    """The row of a line; None for a line that the disk damaged."""
    try:
        return dict(json.loads(line))
    except ValueError:
        logger.warning("a damaged line in the log of the API is skipped: %s", visible_line(line[:200].decode("utf-8", "replace")))
        return None


def _with_stored_ids(con: duckdb.DuckDBPyConnection, lake: Lake, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with ids of people as the lake holds them now: the keys of pseudonyms may have been rotated since the API wrote them."""
    given = [row[name] for row in rows for name in PEOPLE if row.get(name) is not None]
    stored = dict(zip(given, stored_ids(lake, given, con), strict=True))
    return [row | {name: stored[row[name]] for name in PEOPLE if row.get(name) is not None} for row in rows]


def without_erased(con: duckdb.DuckDBPyConnection, lake: Lake, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that name no erased person."""
    known = read_erased(con, lake.home)
    if known is None:
        return list(rows)
    return [row for row in rows if not any(known.is_erased(row[name]) for name in PEOPLE if row.get(name) is not None)]


def _number(file: Path) -> str:
    number = segment_of(file)
    assert number is not None, file
    return number


def _positions(con: duckdb.DuckDBPyConnection, kind: LogKind) -> dict[str, int]:
    return dict(con.execute(statement("ingest/positions"), {"kind": kind}).fetchall())


def _write_served(con: duckdb.DuckDBPyConnection, rows: Sequence[dict[str, Any]]) -> None:
    lists = [{**_all_ranked(len(row["item_ids"])), **row, "served_at": _moment(row["served_at"])} for row in rows]
    con.register("served", pl.DataFrame(lists, SERVED))
    con.execute(statement("ingest/insert_served"))


def _all_ranked(n_items: int) -> dict[str, Any]:
    """What lines of earlier versions do not say: their lists had no slots for new items."""
    return {"slots": ["ranked"] * n_items, "propensities": [1.0] * n_items}


def _write_aliases(con: duckdb.DuckDBPyConnection, rows: Sequence[dict[str, Any]]) -> None:
    """Add the merges, in their order. A merge that cannot be, which the API refuses, changes nothing."""
    aliases = Aliases(con.execute(statement("ingest/aliases")).fetchall())
    merged: dict[str, tuple[str, datetime]] = {}
    for row in rows:
        try:
            user_id = aliases.target(row["alias"], row["user_id"])
        except MergeError:
            continue
        for alias in aliases.add(row["alias"], user_id) if user_id is not None else ():
            merged[alias] = (user_id or "", _moment(row["merged_at"]))
    table = [(alias, aliases.resolve(alias), at) for alias, (_, at) in merged.items()]
    con.register("merged", pl.DataFrame(table, ALIASES, orient="row"))
    con.execute(statement("ingest/delete_aliases"))
    con.execute(statement("ingest/insert_aliases"))
    con.execute(statement("privacy/merge_opt_outs"))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=None)


_WRITE = {"aliases": _write_aliases, "served": _write_served}
