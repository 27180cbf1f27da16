"""The tables of a lake: the numbered files of sql/schema, each applied once."""

from __future__ import annotations

import duckdb

from tasks.lake import statements
from tasks.lake.address import Lake, has_catalog
from tasks.lake.errors import LakeError
from tasks.lake.statements import statement
from tasks.lake.transactions import reading, writing

COMPRESSED = "039_recs_list_history"
"""The file that creates the table whose Parquet files are compressed more."""


def migrate(lake: Lake) -> list[str]:
    """Apply the numbered files of sql/schema that this lake has not seen; returns their names."""
    files = sorted((statements.SQL / "schema").glob("*.sql"))
    if _migrations_seen(lake) == {file.stem for file in files}:
        return []
    with writing(lake) as con:
        for schema in ("raw", "features", "recs", "graph", "eval", "ops"):
            con.execute(f"create schema if not exists {schema}")
        con.execute(statement("lake/create_migrations"))
        done = _applied(con)
        fresh = [file for file in files if file.stem not in done]
        for file in fresh:
            con.execute(file.read_text(encoding="utf-8"))
            con.execute(statement("lake/record_migration"), {"name": file.stem})
    if COMPRESSED in {file.stem for file in files}:
        with writing(lake) as con:  # DuckLake sets options only of tables that are committed
            con.execute(statement("lake/compress_history"))
    return [file.stem for file in fresh]


def _migrations_seen(lake: Lake) -> set[str]:
    """The migrations that a reader sees; empty if there is no lake, or if its creation was killed."""
    if not has_catalog(lake):
        return set()
    try:
        with reading(lake) as con:
            return _applied(con)
    except LakeError:
        return set()


def _applied(con: duckdb.DuckDBPyConnection) -> set[str]:
    exists = con.execute(
        "select count(*) from duckdb_tables() where database_name = 'lake' and schema_name = 'ops' and table_name = 'migrations'"
    ).fetchone()
    if not exists or not exists[0]:
        return set()
    return {name for (name,) in con.execute("select name from ops.migrations").fetchall()}
