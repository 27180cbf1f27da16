"""Rewriting of the ids in the lake: clear ids into pseudonyms, and pseudonyms under one key into those under the next."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import duckdb
import pyarrow as pa

from models.errors import UserError
from tasks.lake import ANYONE, SQL, Lake, current_snapshot, reading, statement, writing
from tasks.locks import night_paused, publishing_paused
from tasks.privacy.border import keys_under, number_in_force, record_key
from tasks.privacy.common_keys import record_common_keys
from tasks.privacy.keyed import Keys, add_key, keys_file, load_keys
from tasks.watermarks import watermarks_of

logger = logging.getLogger("minutehand.privacy")
RENAMING = SQL / "privacy" / "rename"
"""One statement for each column with ids of people."""
PATIENCE_S = 600.0
"""How long a rewriting waits for a publish in flight."""


@dataclass(frozen=True)
class Pseudonyms:
    """What the ids in the lake are. number: of the key in force, None while ids are clear; since: UTC. held: numbers of the keys held."""

    number: int | None
    since: datetime | None
    held: tuple[int, ...]

    @property
    def is_unfinished(self) -> bool:
        """Whether a rotation made a key and was killed before the lake followed."""
        return self.number is not None and max(self.held, default=0) > self.number


def pseudonyms(lake: Lake) -> Pseudonyms:
    """The state of the lake and of the keys; makes no key."""
    held = tuple(sorted(load_keys(lake.home).secrets)) if keys_file(lake.home).exists() else ()
    with reading(lake) as con:
        number = number_in_force(con)
        since = None if number is None else con.execute("select max(since) from ops.pseudonyms").fetchall()[0][0]
    return Pseudonyms(number, since, held)


def rewrite(lake: Lake) -> int:
    """Turn the clear ids of a lake into pseudonyms, in one transaction; returns the number of ids.

    Raises UserError if they are pseudonyms already, or if events wait to be learnt.
    """
    with reading(lake) as con:
        number = number_in_force(con)
    if number is not None:
        raise UserError(f"the lake holds pseudonyms already, under key {number}; to change the key: minutehand pseudonyms rotate")
    keys = load_keys(lake.home)
    return _rewrite(lake, keys, None, keys.current)


def rotate(lake: Lake) -> int:
    """Make a new key, and rewrite all pseudonyms in the lake to it, in one transaction; returns the number of ids.

    A killed rotation leaves a key that the next one takes. The keys before are kept: an id leads to its pseudonym through all of them.
    Raises UserError if ids are clear, or if events wait to be learnt.
    """
    with reading(lake) as con:
        number = number_in_force(con)
    if number is None:
        raise UserError("the lake holds clear ids, which have no key to rotate; for pseudonyms: minutehand pseudonyms rewrite")
    keys = keys_under(lake, number)
    newest = max(keys.secrets)
    if newest == number:
        keys = add_key(lake.home)
        newest = keys.current
    return _rewrite(lake, replace(keys, current=newest), number, newest)


def _rewrite(lake: Lake, keys: Keys, before: int | None, after: int) -> int:
    """Rename everybody from the state before, a key or None, to a key."""
    with night_paused(lake), publishing_paused(lake, PATIENCE_S), writing(lake) as con:
        if number_in_force(con) != before:
            raise UserError("another process has rewritten the ids meanwhile; `minutehand pseudonyms` shows their state")
        _demand_nothing_waits(con)
        record_common_keys(lake, con)
        is_published, snapshot = watermarks_of(con) is not None, current_snapshot(con) + 1
        if before is None:
            con.execute(statement("privacy/redact_rejected"))
        ids = _ids(con)
        con.register("renamed", pa.table({"old_id": pa.array(ids, pa.string()), "new_id": pa.array(map(keys.digest, ids), pa.string())}))
        con.execute(statement("ingest/macros/content"))
        con.execute("set threads = 1")  # so that rows keep their order
        for file in sorted(RENAMING.glob("*.sql")):
            con.execute(file.read_text(encoding="utf-8"))
        record_key(con, after)
        if is_published:  # no later minute reads the changes of this transaction as news
            con.execute(statement("publish/delete_watermarks"))
            now = datetime.now(UTC).replace(tzinfo=None)
            con.execute(statement("publish/insert_watermarks"), {"published": snapshot, "learnt": snapshot, "updated_at": now})
    logger.info("%d ids are pseudonyms under key %d now", len(ids), after)
    return len(ids)


def _ids(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Every id of a person in the lake."""
    found = con.execute(statement("privacy/stored_people")).fetchall()
    return sorted({user_id for (user_id,) in found if user_id is not None and user_id != ANYONE})


def _demand_nothing_waits(con: duckdb.DuckDBPyConnection) -> None:
    """Raises UserError if events, items or merges wait to be published or learnt: renamed, they would no longer count as new."""
    marks = watermarks_of(con)
    if marks is None:
        return
    con.register("erasing", pa.table({"user_id": pa.array([], pa.string())}))
    until = {"learnt": min(marks.learnt, marks.published), "until": current_snapshot(con)}
    try:
        (is_waiting,) = con.execute(statement("privacy/has_pending"), until).fetchone() or (False,)
    except duckdb.InvalidInputException as error:
        if "No snapshot found" not in str(error):
            raise
        is_waiting = True
    if is_waiting:
        raise UserError("events wait to be learnt, and nothing was rewritten; run `minutehand minute` (or nightly), then this again")
