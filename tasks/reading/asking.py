"""Connections and statements for the questions of people, and the errors that most of them share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import duckdb

from models.errors import UserError
from tasks.data_folder import check_free
from tasks.lake import Lake, execute, has_catalog, reading

N_HINTS = 3
TAKE_IN = "take in events first: minutehand ingest events FILE, or minutehand simulate for a made-up shop"
TRAIN = "minutehand nightly trains a model and publishes lists"
Row = dict[str, Any]


def one_line(message: str) -> str:
    """A DuckDB message in one line, without the copy of the statement that follows it."""
    return " ".join(message.split("\n\nLINE ")[0].split())


def demand_text(*texts: str) -> None:
    """Raises UserError for text from the command line that is not UTF-8: DuckDB does not accept it."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UserError(f"{text!r} is not UTF-8; give it as text of that encoding") from error


def demand_item(con: duckdb.DuckDBPyConnection, item_id: str) -> None:
    """Raises UserError for an unknown item; the message proposes similar ids."""
    if ask(con, "find_item", {"item_id": item_id})[0]["is_known"]:
        return
    near = ", ".join(named(row) for row in ask(con, "resembling_items", {"text": item_id, "n": N_HINTS}))
    hint = f"did you mean {near}?" if near else 'their ids: minutehand sql "select item_id, title from raw.items limit 10"'
    raise UserError(f"no item {item_id!r}; {hint}")


def nobody(con: duckdb.DuckDBPyConnection, user_id: str) -> str:
    """A note that a user is unknown, with similar ids if there are any."""
    near = ", ".join(repr(row["user_id"]) for row in ask(con, "resembling_users", {"user_id": user_id, "n": N_HINTS}))
    note = f"nobody called {user_id} has history"
    return f"{note} (did you mean {near}?)" if near else note


@contextmanager
def asking(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection in autocommit mode: upkeep could delete rows that a transaction of several statements still needs."""
    if not has_catalog(lake):
        check_free(lake.place, lake.shown_catalog)  # data files without a catalog: the catalog was lost
        raise UserError(f"there is no lake at {lake.lock_path.parent} yet; {TAKE_IN}")
    with reading(lake) as con:
        try:
            yield con
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            raise UserError(
                f"{one_line(str(error))}: a table of this lake, or a column, is missing; any minutehand ingest adds them"
            ) from error


def ask(con: duckdb.DuckDBPyConnection, name: str, parameters: Mapping[str, str | float] | None = None, folder: str = "read") -> list[Row]:
    """The rows of a statement of sql/read, or of another folder of sql. Imports neither numpy nor pandas; see `execute`."""
    cursor = execute(con, f"{folder}/{name}", parameters)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def nothing_published(con: duckdb.DuckDBPyConnection) -> UserError:
    if not ask(con, "count_lake")[0]["n_events"]:
        return UserError(f"the lake is empty; {TAKE_IN}")
    return UserError(f"nothing has been published yet; {TRAIN}")


def named(row: Row) -> str:
    return f"{row['item_id']} ({row['title']})" if row["title"] else str(row["item_id"])
