"""The ledger of erasures: the table ops.erasures, and a copy of its digests outside the lake.

The copy survives when somebody restores an older lake from a backup: what it names and the lake does not is erased again.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import duckdb
import polars as pl

from models.errors import UserError
from tasks.lake import Readable, reading, statement
from tasks.privacy.keyed import Keys, load_keys

Source = Literal["cli", "file", "api", "backup"]
State = Literal["requested", "lists", "memories", "files", "logs", "done"]
STATES: tuple[State, ...] = ("requested", "lists", "memories", "files", "logs", "done")
NAME = "erasures.jsonl"
WEIGHTS_HOURS = 24.0
"""A night starts every day, so a model without the person is live by then."""


@dataclass(frozen=True)
class Request:
    """A request to erase some people. digests: of their ids."""

    erasure_id: str
    source: Source
    requested_at: datetime
    digests: tuple[str, ...]

    @property
    def weights_due_by(self) -> datetime:
        """When a model that never saw the people is live at the latest."""
        return self.requested_at + timedelta(hours=WEIGHTS_HOURS)


@dataclass(frozen=True)
class Erasure:
    """One erasure as the ledger has it. steps: time (`at`) and counts by name of the step. snapshot: the first without the people."""

    erasure_id: str
    source: Source
    requested_at: datetime
    state: State
    digests: tuple[str, ...]
    steps: Mapping[str, Mapping[str, Any]]
    snapshot: int | None
    weights_due_by: datetime | None
    readmitted: frozenset[str] = frozenset()
    certificate: str | None = None

    def is_before(self, state: State) -> bool:
        """Whether a step is not done yet."""
        return STATES.index(self.state) < STATES.index(state)


@dataclass(frozen=True)
class Erased:
    """Who is erased. since: by digest, the time from which events of the person count again; None if none do."""

    keys: Keys
    since: Mapping[str, datetime | None] = field(default_factory=dict)

    def digest_of(self, user_id: str) -> str | None:
        """The digest under which a person is in the ledger; None if they are not erased."""
        return next((digest for digest in reversed(self.keys.digests(user_id)) if digest in self.since), None)

    def is_erased(self, user_id: str) -> bool:
        """Whether a person is erased, and nothing that they do is taken in."""
        digest = self.digest_of(user_id)
        return digest is not None and self.since[digest] is None

    def refuses(self, user_id: str, at: datetime | None = None) -> bool:
        """Whether what a person did at a time (UTC, without a zone) is refused. at: None for an unknown time."""
        digest = self.digest_of(user_id)
        if digest is None:
            return False
        since = self.since[digest]
        return since is None or at is None or at < since


def new_request(keys: Keys, ids: Iterable[str], source: Source) -> Request:
    """A request of now to erase the people with these ids."""
    now = datetime.now(UTC).replace(tzinfo=None)
    return Request(secrets.token_hex(6), source, now, tuple(dict.fromkeys(keys.digest(user_id) for user_id in ids)))


def read_erased(at: Readable, home: Path) -> Erased | None:
    """Who is erased, by the lake and by the copy outside of it; None if nobody is."""
    since = _erased_outside(home)
    with reading(at) as con:
        if _has_ledger(con):
            since |= dict(con.execute(statement("privacy/erased")).fetchall())
    if not since:
        return None
    keys = load_keys(home)
    return Erased(keys, {later: at for digest, at in since.items() for later in keys.digests(digest)})  # also under the keys since


def erased(at: Readable) -> frozenset[str]:
    """The digests of the people that the lake has erased."""
    with reading(at) as con:
        return frozenset(digest for digest, since in con.execute(statement("privacy/erased")).fetchall() if since is None)


def erasures(at: Readable) -> list[Erasure]:
    """The erasures, oldest first; none in a lake of an earlier version."""
    with reading(at) as con:
        rows = con.execute(statement("privacy/erasures")).pl() if _has_ledger(con) else pl.DataFrame()
    found = []
    for (erasure_id,), some in rows.group_by(["erasure_id"], maintain_order=True) if rows.height else ():
        first = some.row(0, named=True)
        found.append(
            Erasure(
                str(erasure_id),
                first["source"],
                first["requested_at"],
                first["state"],
                tuple(some["user_digest"]),
                json.loads(first["steps"]),
                first["snapshot"],
                first["weights_due_by"],
                frozenset(some.filter(pl.col("readmitted_at").is_not_null())["user_digest"]),
                first["certificate"],
            )
        )
    return found


def last_snapshot(at: Readable) -> int:
    """The first snapshot without the people of the newest erasure; -1 if nobody was erased."""
    return max((found.snapshot for found in erasures(at) if found.snapshot is not None), default=-1)


def record_request(con: duckdb.DuckDBPyConnection, request: Request) -> None:
    """Add a request to the lake's ledger, in the state `requested`; digests that it has already are added again."""
    con.register("digests", pl.DataFrame({"user_digest": pl.Series(request.digests, dtype=pl.String)}))
    values = {
        "erasure_id": request.erasure_id,
        "source": request.source,
        "requested_at": request.requested_at,
        "state": "requested",
        "steps": "{}",
        "snapshot": None,
        "weights_due_by": request.weights_due_by,
    }
    con.execute(statement("privacy/insert_erasures"), values)


def record_step(
    con: duckdb.DuckDBPyConnection,
    erasure_ids: Sequence[str],
    state: State,
    at: datetime,
    counts: Mapping[str, Any],
    snapshot: int | None = None,
) -> None:
    """Record that a step of some erasures is done. snapshot: set by the step `lists`."""
    steps = json.dumps({state: {"at": at.isoformat(timespec="seconds"), **counts}})
    con.execute(
        statement("privacy/update_erasures"), {"erasure_ids": list(erasure_ids), "state": state, "steps": steps, "snapshot": snapshot}
    )


def readmit(con: duckdb.DuckDBPyConnection, home: Path, user_id: str, now: datetime) -> None:
    """Take in again what an erased person does from now on. Raises UserError for a person who is not erased."""
    known = read_erased(con, home)
    digest = None if known is None else known.digest_of(user_id)
    if known is None or digest is None or known.since[digest] is not None:
        raise UserError("this id is not erased, so there is nothing to take back; minutehand erasures lists what is")
    note_outside(home, [{"user_digest": digest, "readmitted_at": now.isoformat()}])
    con.execute(statement("privacy/readmit"), {"digests": list(known.keys.digests(user_id)), "readmitted_at": now})


def missing_requests(con: duckdb.DuckDBPyConnection, home: Path) -> list[Request]:
    """Requests that the copy has and the lake does not: those of the API, cut off ones, and all that a restored lake does not know."""
    known = {digest for digest, _ in con.execute(statement("privacy/erased")).fetchall()}
    asked: dict[str, list[dict[str, Any]]] = {}
    for row in _outside(home):
        if "erasure_id" in row and row["user_digest"] not in known:
            asked.setdefault(row["erasure_id"], []).append(row)
    return [
        Request(
            erasure_id,
            "api" if rows[0]["source"] == "api" else "backup",
            datetime.fromisoformat(rows[0]["requested_at"]),
            tuple(row["user_digest"] for row in rows),
        )
        for erasure_id, rows in asked.items()
    ]


def note_request(home: Path, request: Request) -> None:
    """Write a request to the copy outside the lake, durably, before the lake changes."""
    at = request.requested_at.isoformat()
    rows = [
        {"erasure_id": request.erasure_id, "user_digest": digest, "source": request.source, "requested_at": at}
        for digest in request.digests
    ]
    note_outside(home, rows)


def note_outside(home: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    home.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(home / NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w", encoding="ascii") as sink:
        sink.write("".join(f"{json.dumps(row)}\n" for row in rows))
        sink.flush()
        os.fsync(sink.fileno())


def _outside(home: Path) -> list[dict[str, Any]]:
    """The lines of the copy; a last line that a kill cut off is left out: its request was never accepted."""
    file = home / NAME
    lines = file.read_text(encoding="ascii").split("\n")[:-1] if file.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def _erased_outside(home: Path) -> dict[str, datetime | None]:
    since: dict[str, datetime | None] = {}
    for row in _outside(home):
        at = row.get("readmitted_at")
        since[row["user_digest"]] = None if at is None else datetime.fromisoformat(at)
    return since


def _has_ledger(con: duckdb.DuckDBPyConnection) -> bool:
    found = con.execute(
        "select count(*) from duckdb_tables() where database_name = 'lake' and schema_name = 'ops' and table_name = 'erasures'"
    ).fetchone()
    return bool(found and found[0])


def find_ids(con: duckdb.DuckDBPyConnection, keys: Keys, digests: Collection[str]) -> list[str]:
    """The ids in the lake whose digest is one of these."""
    wanted = set(digests)
    ids = {user_id for name in ("stored_people", "rejected_words") for (user_id,) in con.execute(statement(f"privacy/{name}")).fetchall()}
    return sorted(user_id for user_id in ids if user_id and not wanted.isdisjoint(keys.digests(user_id)))
