"""The SQL statements of sql/."""

from __future__ import annotations

from functools import cache
from pathlib import Path

SQL = Path(__file__).resolve().parents[2] / "sql"


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
