"""The border of the lake: what the ids, columns and context keys of events become before anything of them is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from models.errors import UserError
from tasks.config import OPTIONAL_COLUMNS, IngestConfig
from tasks.lake import Lake, has_catalog, reading, statement, writing
from tasks.privacy.keyed import Keys, keys_file, load_keys

BLOCK = 64
"""Length in bytes of a block of SHA-256, to which an HMAC pads its key."""


@dataclass(frozen=True)
class Border:
    """keys: those of pseudonyms, None if ids stay clear. columns, context: optional columns and context keys that are kept; None: all."""

    keys: Keys | None = None
    columns: frozenset[str] | None = None
    context: frozenset[str] | None = None

    def id_of(self, user_id: str) -> str:
        """The id as the lake holds it. A pseudonym of this home is taken as it is, under the current key."""
        return user_id if self.keys is None else self.keys.digest(user_id)

    def reduced(self, row: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """An event, as one object, without what is not kept, and the names of what was left out."""
        kept_columns = OPTIONAL_COLUMNS if self.columns is None else self.columns
        gone = [name for name in OPTIONAL_COLUMNS if name not in kept_columns and row.get(name) is not None]
        kept = {name: value for name, value in row.items() if name not in gone}
        context = kept.get("context")
        if self.context is not None and isinstance(context, dict):
            kept["context"] = {name: value for name, value in context.items() if name in self.context} or None
            gone += [f"context.{name}" for name in context if name not in self.context]
        return kept, gone

    def set_on(self, con: duckdb.DuckDBPyConnection) -> None:
        """Set the variables that the macros of an ingest read."""
        keys = None if self.keys is None else [_padded(number, secret) for number, secret in sorted(self.keys.secrets.items())]
        values: dict[str, object] = {
            "pseudonym_keys": keys if keys is None or self.keys is None else keys[: sorted(self.keys.secrets).index(self.keys.current) + 1],
            "kept_columns": None if self.columns is None else sorted(self.columns),
            "kept_context": None if self.context is None else sorted(self.context),
            "hides_rows": self != Border(),
        }
        for name, value in values.items():
            con.execute(statement(f"ingest/variables/{name}"), {"value": value})


def border_of(lake: Lake, config: IngestConfig) -> Border:
    """The border by the settings. Raises UserError if the lake holds clear ids and should hold pseudonyms, or the other way round."""
    border = Border(columns=config.kept_columns, context=config.kept_context)
    with_ids = None
    if has_catalog(lake):
        with reading(lake) as con:
            with_ids = number_in_force(con), _holds_people(con)
    number, holds_people = with_ids or (None, False)
    demand_agreement(number, wants_pseudonyms=config.pseudonyms, holds_people=holds_people)
    return replace(border, keys=keys_under(lake, number)) if config.pseudonyms else border


def demand_agreement(number: int | None, *, wants_pseudonyms: bool, holds_people: bool) -> None:
    """Raises UserError if the setting and the lake do not agree. number: of the key of the lake's pseudonyms, None for clear ids."""
    if wants_pseudonyms and number is None and holds_people:
        raise UserError(
            "MINUTEHAND_INGEST__PSEUDONYMS is on, and the lake holds clear ids; "
            "turn them into pseudonyms first: minutehand pseudonyms rewrite"
        )
    if not wants_pseudonyms and number is not None:
        raise UserError(
            f"the lake holds pseudonyms under key {number}, and clear ids next to them would split people in two; "
            "set MINUTEHAND_INGEST__PSEUDONYMS=true"
        )


def establish(lake: Lake, config: IngestConfig) -> Border:
    """The border by the settings, for a program that hands events over: with pseudonyms, their key is recorded in the lake."""
    border = border_of(lake, config)
    if border.keys is not None:
        with writing(lake) as con:
            enter(con, border)
    return border


def keys_under(lake: Lake, number: int | None) -> Keys:
    """The keys of the home, with the number that is in force in the lake as the current one. Raises UserError without this key."""
    keys = load_keys(lake.home)
    if number is not None and number not in keys.secrets:
        raise UserError(
            f"key {number}, under which the pseudonyms of the lake are, is not in {keys_file(lake.home)}; restore the file from a backup"
        )
    return keys if number is None else replace(keys, current=number)


def number_in_force(con: duckdb.DuckDBPyConnection) -> int | None:
    """The number of the key under which the ids of the lake are pseudonyms; None if they are clear."""
    try:
        row = con.execute(statement("privacy/key_in_force")).fetchone()
    except duckdb.CatalogException:  # a lake of an earlier version, which had no pseudonyms
        return None
    return None if row is None else int(row[0])


def enter(con: duckdb.DuckDBPyConnection, border: Border) -> None:
    """Check, within the transaction that writes events, that the ids of the lake are still as the border found them.

    The first pseudonyms of a lake record their key. Raises UserError if the keys were rotated since.
    """
    number = number_in_force(con)
    if border.keys is None:
        demand_agreement(number, wants_pseudonyms=False, holds_people=False)
    elif number is None:
        demand_agreement(number, wants_pseudonyms=True, holds_people=_holds_people(con))
        record_key(con, border.keys.current)
    elif number != border.keys.current:
        raise UserError(f"the lake's pseudonyms moved from key {border.keys.current} to key {number} meanwhile; run this again")


def record_key(con: duckdb.DuckDBPyConnection, number: int) -> None:
    """Record the key of the lake's pseudonyms."""
    con.execute(statement("privacy/insert_key"), {"number": number})


def stored_ids(lake: Lake, user_ids: Sequence[str], at: duckdb.DuckDBPyConnection | None = None) -> list[str]:
    """Ids of people as the lake holds them: the given ones, or pseudonyms where this home has the key. at: an open connection."""
    if not keys_file(lake.home).exists() or not has_catalog(lake):
        return list(user_ids)
    with reading(lake if at is None else at) as con:
        number = number_in_force(con)
    if number is None:
        return list(user_ids)
    keys = keys_under(lake, number)
    return [keys.digest(user_id) for user_id in user_ids]


def _holds_people(con: duckdb.DuckDBPyConnection) -> bool:
    return con.execute(statement("privacy/holds_people")).fetchall() == [(True,)]


def _padded(number: int, key: bytes) -> str:
    """A key as the macro hmac takes it: number, and the key xored with both pads of an HMAC (RFC 2104)."""
    long = key.ljust(BLOCK, b"\0")
    return f"{number}:{bytes(byte ^ 0x5C for byte in long).hex()}:{bytes(byte ^ 0x36 for byte in long).hex()}"
