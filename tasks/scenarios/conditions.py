"""Conditions on items (`where`): one SQL expression over the columns of raw.items, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.errors import UserError
from tasks.lake import NOTHING_FETCHED, one_line, statement
from tasks.scenarios.file import nearest

COLUMNS = ("item_id", "title", "description", "categories", "tags", "price", "is_available", "first_seen_at", "updated_at")
UNKNOWN = re.compile(r'Referenced column "(?P<name>[^"]*)" not found')
REFUSED = {
    "subquery": "it reads other rows than its own",
    "Table with name": "it reads other rows than its own",
    "file system operations": "it reads other rows than its own",
    "volatile": "its function gives another result at each call, so tables and API would differ",
    "aggregates": "a condition looks at one item at a time",
    "WINDOW": "a condition looks at one item at a time",
    "UNNEST": "a condition looks at one item at a time",
}
"""Parts of DuckDB's messages about expressions that are more than a condition on one row, and what to say."""
MAKERS = frozenset({"range", "generate_series", "generate_subscripts", "repeat", "list_resize", "array_resize", "lpad", "rpad", "bar"})
"""Functions whose result is as long as their argument says. Nothing can interrupt DuckDB while it makes, or walks over, such a value."""
LIMIT_S = 5.0
"""Longest time for a condition on all items."""
MEMORY_MB = 512
EXAMPLE = "write one SQL condition on the columns of raw.items, such as is_available and price < 100"


def read_items(con: duckdb.DuckDBPyConnection, text: str) -> pa.Table:
    """The items that the connection sees, with the columns that a condition may name."""
    words = {word.lower() for word in re.findall(r"\w+", text)} | {"item_id", "is_available"}
    items = con.sql(statement("scenarios/items"))
    return items.select(*(duckdb.ColumnExpression(name) for name in COLUMNS if name in words)).to_arrow_table()


def meets(items: pa.Table, where: str, *, is_strict: bool = False) -> NDArray[np.bool_]:
    """Whether each item meets the condition; null counts as no, and so does an error in the computation, unless is_strict.

    items: columns of raw.items, at least those that the condition names. Raises UserError if the text is no condition on these columns.
    """
    with _confined(items, where) as rows:
        condition = _condition(rows, where)
        if is_strict:
            condition = duckdb.SQLExpression(f"({where}\n)")
        try:
            found = rows.select(condition).to_arrow_table()[0]
        except duckdb.Error as error:
            raise _refusal(where, error) from None
        return found.fill_null(False).to_numpy(zero_copy_only=False).astype(bool)


def fingerprint(items: pa.Table, where: str) -> str:
    """A text that is equal for two states of the catalogue where the same items meet the condition."""
    with _confined(items, where) as rows:
        ids = duckdb.FunctionExpression("hash", duckdb.ColumnExpression("item_id"))
        try:
            found = rows.filter(_condition(rows, where)).aggregate([duckdb.FunctionExpression("bit_xor", ids)]).fetchone()
        except duckdb.Error as error:
            raise _refusal(where, error) from None
        return str(found[0] if found else None)


@contextmanager
def _confined(items: pa.Table, where: str) -> Iterator[duckdb.DuckDBPyRelation]:
    """The items in a connection that knows nothing else: no lake, no file, no variable of this program, no other setting.

    After LIMIT_S, its query ends with an error. Raises UserError for a condition that could not be ended.
    """
    with duckdb.connect(config=NOTHING_FETCHED) as con:
        con.execute(f"set memory_limit = '{MEMORY_MB}MB'")
        con.execute("set threads = 1")
        con.execute("set timezone = 'UTC'")
        rows = con.from_arrow(items)
        con.execute("set python_enable_replacements = false")
        con.execute("set enable_external_access = false")
        con.execute("set lock_configuration = true")
        _demand_short(con, where)
        timer = Timer(LIMIT_S, con.interrupt)
        timer.start()
        try:
            yield rows
        finally:
            timer.cancel()


def _demand_short(con: duckdb.DuckDBPyConnection, where: str) -> None:
    """Raises UserError for a condition that calls one of MAKERS. A text that DuckDB cannot parse calls none."""
    (parsed,) = con.execute("select json_serialize_sql(?)", [f"select ({where}\n)"]).fetchone() or ("",)
    found = sorted(MAKERS.intersection(name.lower() for name in re.findall(r'"function_name":"([^"]*)"', parsed)))
    if found:
        raise UserError(f"where = {where!r} is refused: {found[0]} makes a value of any length, which may take for ever; {EXAMPLE}")


def _condition(rows: duckdb.DuckDBPyRelation, where: str) -> duckdb.Expression:
    """The condition, null where its computation fails. DuckDB's `try` takes no subquery, no aggregate and no volatile function."""
    try:
        duckdb.SQLExpression(where)
        condition = duckdb.SQLExpression(f"try({where}\n)")
        (kind,) = rows.select(condition).types
    except duckdb.Error as error:
        raise _refusal(where, error) from None
    if str(kind) != "BOOLEAN":
        raise UserError(f"where = {where!r} is not a condition, as its result is {kind}; compare it, such as price < 100")
    return condition


def _refusal(where: str, error: duckdb.Error) -> UserError:
    if isinstance(error, duckdb.InterruptException):
        return UserError(f"where = {where!r} takes longer than {LIMIT_S:g} seconds for all items; write a simpler condition")
    if isinstance(error, duckdb.OutOfMemoryException):
        return UserError(f"where = {where!r} takes more than {MEMORY_MB} MB; write a simpler condition")
    text = one_line(str(error).split("\n\nLINE ")[0].split("\nLINE ")[0])
    unknown = UNKNOWN.search(text)
    if unknown:
        remedy = nearest(unknown["name"], COLUMNS, f"the columns are {', '.join(COLUMNS)}")
        return UserError(f"where = {where!r} names the column {unknown['name']!r}, which raw.items does not have; {remedy}")
    for sign, rule in REFUSED.items():
        if sign in text:
            return UserError(f"where = {where!r} is refused: {rule}; {EXAMPLE}")
    return UserError(f"where = {where!r} does not work: {text}; {EXAMPLE}")
