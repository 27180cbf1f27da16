"""Read-only check of SQL: allow-lists of the statements and functions that `minutehand sql` runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import duckdb

from models.errors import UserError
from tasks.lake import quote

READS = "select, from, values, with, describe, show, summarize, explain, pivot, unpivot"
REMEDIES = {
    "ATTACH": "from 'FILE' reads a file of yours without attaching it",
    "COPY": "--out FILE writes the rows of a query to a file",
    "EXPORT": "--out FILE writes the rows of a query to a file",
    "INSERT": "minutehand ingest takes rows in",
}
# fmt: off
READING_FUNCTIONS = frozenset({
    "generate_series", "glob", "histogram", "histogram_values", "icu_calendar_names", "json_each", "json_tree", "parquet_bloom_probe",
    "parquet_file_metadata", "parquet_full_metadata", "parquet_kv_metadata", "parquet_metadata", "parquet_scan", "parquet_schema",
    "pg_timezone_names", "query_table", "range", "read_blob", "read_csv", "read_csv_auto", "read_duckdb", "read_json",
    "read_json_auto", "read_json_objects", "read_json_objects_auto", "read_ndjson", "read_ndjson_auto", "read_ndjson_objects",
    "read_parquet", "read_text", "repeat", "repeat_row", "sniff_csv", "sqlite_scan", "summary", "test_all_types", "test_vector_types",
    "unnest",
    "ducklake_current_snapshot", "ducklake_last_committed_snapshot", "ducklake_list_files", "ducklake_options", "ducklake_settings",
    "ducklake_snapshots", "ducklake_table_changes", "ducklake_table_deletions", "ducklake_table_info", "ducklake_table_insertions",
    "current_snapshot", "last_committed_snapshot", "list_files", "options", "settings", "snapshots", "table_changes",
    "table_deletions", "table_info", "table_insertions",
})
# fmt: on
"""Table functions that only read; those from `ducklake_current_snapshot` on belong to a lake, such as `lake.snapshots()`.

The list omits functions that change something (`ducklake_expire_snapshots`, `enable_logging`) and functions that run SQL from a text
argument (`query`, `json_execute_serialized_sql`, `sqlite_query`), because no check can inspect that SQL.
"""
LISTING = ("duckdb_", "pragma_")
"""Prefixes of table functions that list DuckDB's own metadata."""
EFFECTS = frozenset({"getenv", "json_serialize_plan", "nextval", "write_log"})
"""Scalar functions that change something, reveal data outside the tables, or plan SQL from a text argument."""
EXPLAIN = re.compile(r"\s*explain\b\s*(?:analyze\b\s*)?", re.IGNORECASE | re.ASCII)
EXPLAIN_OPTIONS = re.compile(r"\([\w\s,]*\)", re.ASCII)
LONGEST = 60
CALLED = re.compile(r"(\w+)\W*\(")


def reading_statements(con: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
    """The statements of a text, all of them read-only; none is run.

    Raises UserError with the statement and the reason if a statement may change something. DuckDB splits a pivot with columns from
    the data into several statements; here such a pivot stays one text.
    """
    found = con.extract_statements(sql)
    if any(each.type == duckdb.StatementType.CREATE and not each.query for each in found):  # DuckDB's first statement of such a pivot
        _demand_pivot(con, sql, [each.type for each in found])
        return [_without_semicolon(sql)]
    texts = []
    for number, each in enumerate(found, start=1):
        name = f"statement {number}, {_named(each)}," if len(found) > 1 else _named(each)
        text = _without_semicolon(each.query)
        if each.type == duckdb.StatementType.SELECT:
            _demand_select(con, text, name)
        elif each.type == duckdb.StatementType.EXPLAIN:
            _demand_explain(con, text, name)
        else:
            raise _refusal(name, f"only these statements are allowed: {READS}", REMEDIES.get(each.type.name))
        texts.append(text)
    return texts


def is_explain(text: str) -> bool:
    return EXPLAIN.match(text) is not None


def _without_semicolon(text: str) -> str:
    """The text without its final semicolons and any comments after them, so that it can stand in brackets."""
    encoded = text.encode()
    for offset, _ in reversed(duckdb.tokenize(text)):
        if encoded[offset:].lstrip()[:1] != b";":
            break
        encoded = encoded[:offset]
    return encoded.decode()


def _demand_select(con: duckdb.DuckDBPyConnection, text: str, name: str) -> None:
    """Raises UserError unless the text is a single SELECT without calls of functions with side effects."""
    tree = _parsed(con, text)
    if tree is None:
        raise _refusal(name, "it cannot be checked", "write it as a plain select")
    for function, is_table in _functions(tree):
        _demand_harmless(function, name, is_table=is_table)


def _demand_explain(con: duckdb.DuckDBPyConnection, text: str, name: str) -> None:
    """Raises UserError unless the explained statement is an allowed SELECT.

    EXPLAIN ANALYZE runs the statement, and planning alone may already call a function with side effects.
    """
    start = EXPLAIN.match(text)
    options = EXPLAIN_OPTIONS.match(text, start.end()) if start else None
    for begin in (start, options):
        rest = text[begin.end() :] if begin else ""
        if rest and _parsed(con, rest) is not None:
            _demand_select(con, rest, name)
            return
    raise _refusal(name, "it can only explain a complete select with no comment before it")


def _demand_pivot(con: duckdb.DuckDBPyConnection, text: str, types: list[duckdb.StatementType]) -> None:
    """Raises UserError unless the text is a single PIVOT with columns from the data.

    DuckDB returns no syntax tree for such a pivot, so its function calls are found in the text.
    """
    *enums, last = types
    is_alone = ";" not in text.rstrip("; \t\r\n") and "--" not in text and "/*" not in text
    if not is_alone or last != duckdb.StatementType.SELECT or set(enums) != {duckdb.StatementType.CREATE}:
        remedy = "run it alone, without comments and semicolons, or name its columns with in (...)"
        raise _refusal("PIVOT", "a pivot with columns from the data cannot be checked together with other statements", remedy)
    known = {row[0] for row in con.execute("select keyword_name from duckdb_keywords()").fetchall()}
    for function, kind in con.execute("select distinct function_name, function_type from duckdb_functions()").fetchall():
        if kind in ("table", "table_macro", "pragma"):
            known.discard(function)
        else:
            known.add(function)
    for name in CALLED.findall(text):
        function = name.lower()
        if function not in known or function in EFFECTS:
            _demand_harmless(function, "PIVOT", is_table=True)


def _demand_harmless(function: str, name: str, *, is_table: bool) -> None:
    if function in EFFECTS or (is_table and function not in READING_FUNCTIONS and not function.startswith(LISTING)):
        raise _refusal(name, f"{function}() is not in the list of read-only functions")


def _parsed(con: duckdb.DuckDBPyConnection, text: str) -> dict[str, Any] | None:
    """DuckDB's syntax tree of a SELECT; None for other statements, several statements, and statements nested too deeply."""
    row = con.execute(f"select json_serialize_sql({quote(text)})").fetchone()
    try:
        tree = json.loads(row[0]) if row else {}
    except RecursionError:
        return None
    return tree if len(tree.get("statements", ())) == 1 else None


def _functions(tree: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """The functions that a syntax tree calls anywhere, each with whether it is a table function."""
    nodes: list[Any] = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, list):
            nodes += node
        elif isinstance(node, dict):
            nodes += node.values()
            if node.get("type") == "TABLE_FUNCTION":
                yield str(node["function"].get("function_name", "")).lower(), True
            elif "function_name" in node:
                yield str(node["function_name"]).lower(), False


def _refusal(name: str, why: str, remedy: str | None = None) -> UserError:
    hint = f"; {remedy}" if remedy else ""
    return UserError(f"{name} is refused: minutehand sql is read-only, and {why}{hint}")


def _named(statement: duckdb.Statement) -> str:
    """DuckDB's type of the statement, and its beginning."""
    line = " ".join(statement.query.split())
    return f"{statement.type.name.replace('_', ' ')} ({line if len(line) <= LONGEST else f'{line[: LONGEST - 1]}…'})"
