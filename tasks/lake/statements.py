"""The SQL statements of sql/."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path

import duckdb

Value = str | float | bool | datetime | Sequence[str | float | bool] | None
SQL = Path(__file__).resolve().parents[2] / "sql"
PARTS = re.compile(r"'(?:[^']|'')*'|--[^\n]*|\$([a-z_]\w*)")
"""The parts of a statement that may have a dollar sign: texts and comments, which stay as they are, and parameters."""


def statement(name: str) -> str:
    """The SQL statement in sql/<name>.sql."""
    return (SQL / f"{name}.sql").read_text(encoding="utf-8")


@cache
def shared_macros() -> str:
    """The functions of sql/macros, which any statement may use, as one script of temporary macros."""
    return ";\n".join(file.read_text(encoding="utf-8") for file in sorted((SQL / "macros").glob("*.sql")))


def quote(text: str) -> str:
    """Text as a SQL string literal, for the few places that take no parameter (attach, copy)."""
    return "'" + text.replace("'", "''") + "'"


def literal(value: Value) -> str:
    """A value as DuckDB reads it in SQL."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, datetime):
        return f"timestamp {quote(str(value))}"
    if isinstance(value, float):
        return f"{quote(repr(value))}::double"  # DuckDB reads 0.1 as a decimal
    if isinstance(value, int):
        return str(value)
    return f"[{', '.join(literal(each) for each in value)}]"


def execute(con: duckdb.DuckDBPyConnection, name: str, values: Mapping[str, Value] | None = None) -> duckdb.DuckDBPyConnection:
    """Run a statement of sql/ with its parameters as literals; returns the connection with its result.

    To bind a Python value, or to read a registered table, imports numpy, pandas and pyarrow, which takes a third of a second.
    """
    return con.execute(PARTS.sub(lambda part: literal((values or {})[part[1]]) if part[1] else part[0], statement(name)))
