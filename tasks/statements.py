"""Which SQL only reads: the statements and the functions that `minutehand sql` runs, by allow-lists."""

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
"""Table functions that read; from `ducklake_current_snapshot` on those of a lake, such as `lake.snapshots()`.

Left out on purpose: those that change (`ducklake_expire_snapshots`, `enable_logging`), and those that run SQL given as a text
(`query`, `json_execute_serialized_sql`, `sqlite_query`), which no check could look into.
"""
LISTING = ("duckdb_", "pragma_")
"""Table functions of these prefixes list what DuckDB knows."""
EFFECTS = frozenset({"getenv", "json_serialize_plan", "nextval", "write_log"})
"""Scalar functions that change something, tell what is not in the tables, or plan SQL given as a text."""
EXPLAIN = re.compile(r"\s*explain\b\s*(?:analyze\b\s*)?", re.IGNORECASE | re.ASCII)
EXPLAIN_OPTIONS = re.compile(r"\([\w\s,]*\)", re.ASCII)
LONGEST = 60
CALLED = re.compile(r"(\w+)\W*\(")


def reading_statements(con: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
    """The statements of a text, each of which only reads.

    Raises UserError, which names the statement and the reason, where one of them may change something. Nothing is run. A pivot
    that takes its columns from the data is several statements to DuckDB; it stays one text here.
    """
    found = con.extract_statements(sql)
    if any(each.type == duckdb.StatementType.CREATE and not each.query for each in found):  # how DuckDB begins such a pivot
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
            raise _refusal(name, f"only statements that read are run ({READS})", REMEDIES.get(each.type.name))
        texts.append(text)
    return texts


def is_explain(text: str) -> bool:
    return EXPLAIN.match(text) is not None


def _without_semicolon(text: str) -> str:
    """The text up to the semicolons at its end, comments behind them included: what may stand in brackets."""
    encoded = text.encode()
    for offset, _ in reversed(duckdb.tokenize(text)):
        if encoded[offset:].lstrip()[:1] != b";":
            break
        encoded = encoded[:offset]
    return encoded.decode()


def _demand_select(con: duckdb.DuckDBPyConnection, text: str, name: str) -> None:
    """UserError unless the text is one SELECT that calls no function with effects."""
    tree = _parsed(con, text)
    if tree is None:
        raise _refusal(name, "it cannot be looked into", "write it as a plain select")
    for function, is_table in _functions(tree):
        _demand_harmless(function, name, is_table=is_table)


def _demand_explain(con: duckdb.DuckDBPyConnection, text: str, name: str) -> None:
    """UserError unless what is explained is a SELECT that would be run; EXPLAIN ANALYZE runs it, and a plan may bind what has effects."""
    start = EXPLAIN.match(text)
    options = EXPLAIN_OPTIONS.match(text, start.end()) if start else None
    for begin in (start, options):
        rest = text[begin.end() :] if begin else ""
        if rest and _parsed(con, rest) is not None:
            _demand_select(con, rest, name)
            return
    raise _refusal(name, "what it explains has to be a select that could be run by itself, with no comment before it")


def _demand_pivot(con: duckdb.DuckDBPyConnection, text: str, types: list[duckdb.StatementType]) -> None:
    """UserError unless the text is one PIVOT with columns from the data. DuckDB gives no tree of it: its calls are read off the text."""
    *enums, last = types
    is_alone = ";" not in text.rstrip("; \t\r\n") and "--" not in text and "/*" not in text
    if not is_alone or last != duckdb.StatementType.SELECT or set(enums) != {duckdb.StatementType.CREATE}:
        remedy = "ask it alone, without comments and semicolons, or name its columns with in (...)"
        raise _refusal("PIVOT", "with columns from the data it cannot be looked into beside something else", remedy)
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
        raise _refusal(name, f"{function}() is not among the functions that are known to only read")


def _parsed(con: duckdb.DuckDBPyConnection, text: str) -> dict[str, Any] | None:
    """DuckDB's own tree of a SELECT; None for anything else, for several statements, and for what is nested too deeply."""
    row = con.execute(f"select json_serialize_sql({quote(text)})").fetchone()
    try:
        tree = json.loads(row[0]) if row else {}
    except RecursionError:
        return None
    return tree if len(tree.get("statements", ())) == 1 else None


def _functions(tree: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """The functions that a tree calls anywhere, and whether each stands for a table."""
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
    told = f"; {remedy}" if remedy else ""
    return UserError(f"{name} is refused: minutehand sql is read-only, and {why}{told}")


def _named(statement: duckdb.Statement) -> str:
    """What kind of statement it is to DuckDB, and how it begins."""
    line = " ".join(statement.query.split())
    return f"{statement.type.name.replace('_', ' ')} ({line if len(line) <= LONGEST else f'{line[: LONGEST - 1]}…'})"
