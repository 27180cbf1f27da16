"""All that a home holds about one person, as JSON values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from duckdb import ColumnExpression, ConstantExpression, FunctionExpression

from models.errors import UserError
from tasks.lake import ANYONE, Lake, reading, statement
from tasks.privacy import keyed
from tasks.privacy.scan import Finding, scan
from tasks.privacy.scan_ids import Wanted, holds_users, tidied

ALIASES = "raw.user_aliases"
NODES = ("node", "source", "target")
"""Columns of the graph, in which user:42 is the node of user 42."""
FREE = ("row_json", "value", "context")
"""Columns of text in which an id may stand among other words; they are searched in tables without a column of people."""


def export_person(home: Path, lake: Lake, user_id: str, also: Sequence[Path] = ()) -> dict[str, Any]:
    """Rows of every table that are about the person, by table; the ids under which they are; where else the id is found.

    also: as in tasks.privacy.scan. Merged ids count as the person. Raises UserError if nothing is held.
    """
    wanted = tidied(user_id)
    if not wanted or wanted == ANYONE:
        raise UserError(f"{user_id!r} stands for nobody; name the id of a person, as in raw.events")
    keys = keyed.load_keys(home) if keyed.keys_file(home).exists() else None
    with reading(lake) as con:
        columns = _columns(con)
        ids = _ids_of(con, wanted, keys, has_aliases=ALIASES in columns)
        tables = {table: rows for table, names in columns.items() if (rows := _rows(con, table, names, ids))}
    elsewhere = [found for found in scan(home, lake, ids, also=also) if found.count and found.store not in ("tables", "catalog")]
    if not tables and not elsewhere:
        raise UserError(f"nothing is held about {wanted}; give the id as in raw.events: minutehand sql 'select user_id from raw.events'")
    return {
        "user_id": wanted,
        "ids": ids,
        "exported_at": datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds"),
        "tables": tables,
        "elsewhere": [_place(found) for found in elsewhere],
    }


def _place(found: Finding) -> dict[str, Any]:
    return {"store": found.store, "place": found.place, "n": found.count}


def _ids_of(con: duckdb.DuckDBPyConnection, user_id: str, keys: keyed.Keys | None, *, has_aliases: bool) -> list[str]:
    """The id, those that were merged with it, and their digests, which stand for them where pseudonyms are on."""
    found = dict.fromkeys([user_id, *(keys.digests(user_id) if keys else ())])
    merged = con.execute(statement("privacy/export_merged"), {"ids": list(found)}).fetchall() if has_aliases else []
    found |= dict.fromkeys(name for (name,) in merged)
    for each in list(found):
        found |= dict.fromkeys(keys.digests(each) if keys else ())
    return list(found)


def _columns(con: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    """The columns of text of every table of the lake, by table."""
    found: dict[str, list[str]] = {}
    for table, column in con.execute(statement("privacy/export_columns")).fetchall():
        found.setdefault(table, []).append(column)
    return found


def _rows(con: duckdb.DuckDBPyConnection, table: str, columns: Sequence[str], ids: Sequence[str]) -> list[dict[str, Any]]:
    """The rows that name one of the ids in a column of people, in a column of nodes or, in tables without these, in a text."""
    nodes = [f"user:{each}" for each in ids]
    of_people = [_is_in(name, ids) for name in columns if holds_users(name)]
    of_people += [_is_in(name, nodes) for name in columns if table.startswith("graph.") and name in NODES]
    source = con.table(f"lake.{table}")
    if of_people:
        return _as_json(source.filter(_any(of_people)))
    free = [name for name in columns if name in FREE]
    texts = [FunctionExpression("contains", ColumnExpression(name), ConstantExpression(each)) for name in free for each in ids]
    if not texts:
        return []
    judge = Wanted(ids)
    return [row for row in _as_json(source.filter(_any(texts))) if _names(row, judge, columns)]


def _names(row: dict[str, Any], wanted: Wanted, columns: Sequence[str]) -> bool:
    """Whether a text of the row has one of the ids as a word, or a short one where people are expected."""
    return any(wanted.in_value(str(row[name])) for name in columns if name in FREE and row[name] is not None)


def _is_in(column: str, values: Sequence[str]) -> duckdb.Expression:
    return ColumnExpression(column).isin(*(ConstantExpression(value) for value in values))


def _any(conditions: Sequence[duckdb.Expression]) -> duckdb.Expression:
    found = conditions[0]
    for condition in conditions[1:]:
        found = found | condition
    return found


def _as_json(rows: duckdb.DuckDBPyRelation) -> list[dict[str, Any]]:
    """Rows as JSON values: times as text, numbers that are not finite as null."""
    names = rows.columns
    return [json.loads(json.dumps(dict(zip(names, row, strict=True)), default=str)) for row in rows.fetchall()]
