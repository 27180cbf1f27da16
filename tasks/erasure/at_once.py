"""The first step of an erasure: within one transaction, the people are gone from every table, and readers see it.

Files of earlier snapshots, model versions and logs still have them afterwards; the later steps take them out there.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from models.errors import UserError
from tasks.graph import Origin, update_graph
from tasks.lake import ANYONE, SQL, Lake, current_snapshot, reading, statement, writing
from tasks.locks import publishing_paused
from tasks.privacy.keyed import Keys, load_keys
from tasks.privacy.ledger import (
    Erasure,
    Request,
    Source,
    erasures,
    find_ids,
    missing_requests,
    new_request,
    note_request,
    record_request,
    record_step,
)
from tasks.watermarks import watermarks_of

logger = logging.getLogger("minutehand.erasure")
TABLES = SQL / "privacy" / "erase"
"""One statement for each table with rows of people, named after the table."""
N_GRAPH_ITEMS = 2_000
"""If the people have more items than this, the nodes of these items are built again by the next night, not at once."""
PATIENCE_S = 600.0
"""How long an erasure waits for a publish in flight."""


def erase(lake: Lake, home: Path, ids: Collection[str], source: Source, event_weights: Mapping[str, float]) -> Erasure:
    """Erase people from the tables at once, and record the request; the later steps find it in the ledger.

    People are erased with all ids that were merged with theirs. An id that the lake does not have is recorded too, so that its late
    events are refused.
    """
    check_ids(ids)
    keys = load_keys(home)
    request = new_request(keys, ids, source)
    note_request(home, request)
    with publishing_paused(lake, PATIENCE_S), writing(lake) as con:
        record_request(con, request)
        _take_out(con, home, keys, [request], ids, event_weights)
    return next(found for found in erasures(lake) if found.erasure_id == request.erasure_id)


def erase_requested(lake: Lake, home: Path, event_weights: Mapping[str, float]) -> int:
    """Erase the people whose requests wait: those of the API, and those that a restored lake does not know; returns their number."""
    with reading(lake) as con:
        if not any(found.state == "requested" for found in erasures(con)) and not missing_requests(con, home):
            return 0
    keys = load_keys(home)
    with publishing_paused(lake, PATIENCE_S), writing(lake) as con:
        for request in missing_requests(con, home):
            record_request(con, request)
        waiting = [
            Request(found.erasure_id, found.source, found.requested_at, found.digests)
            for found in erasures(con)
            if found.state == "requested"
        ]
        digests = {digest for request in waiting for digest in request.digests}
        _take_out(con, home, keys, waiting, find_ids(con, keys, digests), event_weights)
    return len(digests)


def check_ids(ids: Collection[str]) -> None:
    """Raises UserError for ids that stand for nobody."""
    if not ids:
        raise UserError("no id is given, so there is nobody to erase; name one, or a file with one id a line: --file ids.txt")
    for user_id in ids:
        if not user_id.strip() or user_id == ANYONE:
            raise UserError(f"{user_id!r} stands for nobody; name the id of a person, as in raw.events")


def _take_out(
    con: duckdb.DuckDBPyConnection,
    home: Path,
    keys: Keys,
    requests: Sequence[Request],
    ids: Collection[str],
    event_weights: Mapping[str, float],
) -> None:
    """The transaction, after the ledger has the requests. The ids that were merged with those of the requests are erased as well."""
    now = datetime.now(UTC).replace(tzinfo=None)
    asked = dict.fromkeys(name for user_id in ids for name in (user_id, *keys.digests(user_id)))  # a lake may store digests as ids
    con.register("asked", pa.table({"user_id": pa.array(asked, pa.string())}))
    con.execute(statement("privacy/create_erasing"))
    people = [user_id for (user_id,) in con.execute(statement("privacy/erasing")).fetchall()]
    snapshot, is_caught_up = current_snapshot(con) + 1, not _has_pending(con)
    items = [item for (item,) in con.execute(statement("privacy/erased_items")).fetchall()]
    counts = delete_rows(con) | _redact_others(con, now)
    _repair_graph(con, people, items, event_weights, snapshot - 1)
    _publish(con, now, snapshot if is_caught_up else None)
    merged = {keys.digest(user_id) for user_id in people if user_id not in asked}
    merged -= {digest for request in requests for digest in request.digests}
    if merged:
        with_others = replace(requests[0], digests=tuple(sorted(merged)))
        note_request(home, with_others)
        record_request(con, with_others)
    older = sorted({digest for user_id in people for digest in keys.digests(user_id)[:-1]})
    about: dict[str, object] = {"rows": counts} | ({"older": older} if older else {})
    record_step(con, [request.erasure_id for request in requests], "lists", now, about, snapshot)
    logger.info("%d ids are gone from the tables: %s", len(people), counts)


def delete_rows(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Delete the rows of the people in the table erasing; returns the number of rows by table, without those that had none."""
    counts = {}
    for file in sorted(TABLES.glob("*.sql")):
        ((n_rows,),) = con.execute(file.read_text(encoding="utf-8")).fetchall()
        if n_rows:
            counts[file.stem.replace("_", ".", 1)] = int(n_rows)
    return counts


def _redact_others(con: duckdb.DuckDBPyConnection, now: datetime) -> dict[str, int]:
    """Take the ids out of the contexts of other people's events, and out of the texts of items; returns the numbers of rows."""
    ((n_contexts,),) = con.execute(statement("privacy/redact_contexts")).fetchall()
    named = con.execute(statement("privacy/items_naming")).fetchall()
    for item_id, user_id in named:
        con.execute(statement("privacy/redact_item"), {"item_id": item_id, "user_id": user_id, "now": now})
    found = {"raw.events, contexts of others": int(n_contexts), "raw.items, texts": len(named)}
    return {name: n for name, n in found.items() if n}


def _repair_graph(
    con: duckdb.DuckDBPyConnection, people: list[str], items: list[str], event_weights: Mapping[str, float], snapshot: int
) -> None:
    """Build the nodes again that the people shared with others; the rows of the people themselves are deleted already."""
    row = con.execute(statement("publish/live_version")).fetchone()
    is_empty = con.execute(statement("graph/is_empty")).fetchone() == (True,)
    if row is None or is_empty or not 0 < len(items) <= N_GRAPH_ITEMS:
        return
    origin = Origin(str(row[0]), snapshot, datetime.now(UTC).replace(tzinfo=None))
    update_graph(con, people, items, event_weights, origin)


def _publish(con: duckdb.DuckDBPyConnection, now: datetime, snapshot: int | None) -> None:
    """Record a publication, so that readers load the lists again. snapshot: this one, if nothing waits to be learnt; else None.

    In the first case, the watermarks move here, so that no run needs an earlier snapshot.
    """
    run = f"erasure-{uuid.uuid4().hex}"
    con.execute(
        statement("privacy/insert_publication"),
        {"publication_id": run, "flow_run_id": run, "data_snapshot": snapshot, "published_at": now},
    )
    if snapshot is not None:
        _move_watermarks(con, now, snapshot)


def is_settled(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether nothing waits to be published or learnt."""
    con.execute("create or replace temp table erasing (user_id varchar)")
    return not _has_pending(con)


def move_on(con: duckdb.DuckDBPyConnection) -> None:
    """Let the watermarks and the newest publication point to the snapshot of this transaction."""
    snapshot, now = current_snapshot(con) + 1, datetime.now(UTC).replace(tzinfo=None)
    if con.execute(statement("privacy/move_publication"), {"data_snapshot": snapshot}).fetchone() == (1,):
        _move_watermarks(con, now, snapshot)
    else:
        _publish(con, now, snapshot)


def _move_watermarks(con: duckdb.DuckDBPyConnection, now: datetime, snapshot: int) -> None:
    if watermarks_of(con) is not None:
        con.execute(statement("publish/delete_watermarks"))
        con.execute(statement("publish/insert_watermarks"), {"published": snapshot, "learnt": snapshot, "updated_at": now})


def _has_pending(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether anything that people other than the erased ones did waits to be published or learnt, or an item or a merge does."""
    marks = watermarks_of(con)
    if marks is None:
        return False
    try:
        found = con.execute(
            statement("privacy/has_pending"), {"learnt": min(marks.learnt, marks.published), "until": current_snapshot(con)}
        ).fetchone()
    except duckdb.InvalidInputException as error:
        if "No snapshot found" not in str(error):
            raise
        return True
    return found == (True,)
