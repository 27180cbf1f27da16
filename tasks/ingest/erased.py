"""Refuses the rows of erased people, and keeps no id of theirs; and events that are older than events are kept."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl

from tasks.lake import NOTHING_FETCHED, Lake, statement
from tasks.privacy.ledger import Erased, read_erased

WORD = re.compile(r"[\w.@+:~-]+")
FOUND = pl.Schema({"user_id": pl.String(), "digest": pl.String(), "since": pl.Datetime("us")})
LINES = pl.Schema({"line": pl.Int64(), "file_no": pl.Int64(), "digest": pl.String()})


def refuse_erased(con: duckdb.DuckDBPyConnection, lake: Lake, staged: Path) -> None:
    """Mark the staged events of erased people as refused. con: holds the writer lock, so that no erasure comes in between.

    staged: the database of the staged rows, which nobody else has open. Their entries in raw.rejected name a digest instead of the id.
    """
    known = read_erased(con, lake.home)
    if known is None:
        return
    with duckdb.connect(str(staged), config=NOTHING_FETCHED) as rows:
        ids = [user_id for (user_id,) in rows.execute(statement("ingest/staged_users")).fetchall()]
        found = [(user_id, digest, known.since[digest]) for user_id in ids if (digest := known.digest_of(user_id)) is not None]
        if found:
            rows.register("found", pl.DataFrame(found, FOUND, orient="row"))
            rows.execute(statement("ingest/refuse_erased"))
        _redact_lines(rows, known)


def refuse_old(staged: Path, oldest: datetime | None) -> None:
    """Mark the staged events from before a time as refused. staged: as in refuse_erased."""
    if oldest is not None:
        with duckdb.connect(str(staged), config=NOTHING_FETCHED) as rows:
            rows.execute(statement("ingest/refuse_old"), {"oldest": oldest})


def _redact_lines(rows: duckdb.DuckDBPyConnection, known: Erased) -> None:
    """Take the text out of the lines that cannot be split and that have a word which is the id of an erased person."""
    lines = rows.execute(statement("ingest/malformed_lines")).fetchall()
    named = [
        (line, file_no, digest)
        for line, file_no, text in lines
        if (digest := next((found for word in WORD.findall(text) if (found := known.digest_of(word)) is not None), None)) is not None
    ]
    if named:
        rows.register("named", pl.DataFrame(named, LINES, orient="row"))
        rows.execute(statement("ingest/redact_lines"))
