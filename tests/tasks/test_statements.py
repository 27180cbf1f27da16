"""The SQL that `minutehand sql` runs: every form of reading, and no change, however it is hidden."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from models.errors import UserError
from tasks.lake import Lake, LakeConfig, connect, load_extension, locate, migrate
from tasks.reading import query
from tasks.statements import EFFECTS, LISTING, READING_FUNCTIONS, reading_statements

HARMLESS = {
    *("current_connection_id", "current_query", "current_query_id", "current_transaction_id", "currval", "error", "setseed", "sleep_ms"),
    *("stats", "gen_random_uuid", "random", "uuid", "uuidv4", "uuidv7"),
}
"""Volatile functions that change nothing beyond their own query."""
CHANGING = {
    *("checkpoint", "force_checkpoint", "disable_logging", "enable_logging", "truncate_duckdb_logs", "disable_profiling"),
    *("enable_profiling", "ducklake_add_data_files", "ducklake_cleanup_old_files", "ducklake_commit", "ducklake_delete_orphaned_files"),
    *("ducklake_expire_snapshots", "ducklake_flush_inlined_data", "ducklake_merge_adjacent_files", "ducklake_rewrite_data_files"),
    *("ducklake_set_commit_message", "ducklake_set_option", "pg_clear_cache", "postgres_attach", "postgres_configure_pool"),
    *("postgres_execute", "sqlite_attach"),
}
RUNNING_TEXT = {"json_execute_serialized_sql", "postgres_query", "query", "sqlite_query"}
UNSUITED = {
    *("arrow_scan", "arrow_scan_dumb", "ducklake_scan", "pandas_scan", "postgres_scan", "postgres_scan_pushdown", "python_map_function"),
    *("read_postgres_binary", "seq_scan", "which_secret", "histories_of"),
}
"""Table functions that take pointers, reach beyond files, or are macros of this program."""


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    lake = locate(LakeConfig(), tmp_path_factory.mktemp("reading"))
    migrate(lake)
    opened = connect(lake, read_only=True)
    load_extension(opened, "postgres_scanner")
    yield opened
    opened.close()


@pytest.mark.parametrize(
    "sql",
    [
        "from raw.events",
        "table raw.events",
        "values (1)",
        "select 1; select 2",
        "-- why\nselect 1 -- because",
        "with recursive t as (select 1 as n union all select n + 1 from t where n < 3) from t",
        "select 'delete from raw.events; attach', count(query) as query from raw.events",
        "describe raw.events",
        "describe select 1",
        "show tables",
        "show all tables",
        "show databases",
        "summarize raw.events",
        "unpivot raw.events on user_id into name n value v",
        "pivot raw.events on event_type in ('view') using count(*)",
        "pivot raw.events on event_type using count(*) group by user_id",
        "with p as (pivot raw.events on event_type using count(query)) from p",
        "explain from raw.events",
        "EXPLAIN\nanalyze select 1",
        "explain (analyze, format json) select 1",
        "explain (values (1))",
        "pragma show_tables",
        "from lake.snapshots()",
        "from raw.events at (version => 1)",
        "from ducklake_table_changes('lake', 'raw', 'events', 0, 1)",
        "from duckdb_settings() limit 1",
        "from generate_series(3), lateral (select unnest([1]))",
        "from glob('*')",
    ],
)
def test_statements_that_read_are_run(con: duckdb.DuckDBPyConnection, sql: str) -> None:
    for text in reading_statements(con, sql):
        con.execute(text).fetchall()


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("insert into raw.events from raw.events", "minutehand ingest"),
        ("delete from raw.events", "DELETE"),
        ("update raw.events set user_id = 'x'", "UPDATE"),
        ("truncate raw.events", "DELETE"),
        ("merge into raw.events using (select 1 as a) as s on true when matched then delete", "MERGE INTO"),
        ("create table t as select 1", "CREATE"),
        ("create temp view t as select 1", "CREATE"),
        ("create macro f() as 1", "CREATE"),
        ("create secret (type s3)", "CREATE"),
        ("drop table raw.events", "DROP"),
        ("alter table raw.events add column x int", "ALTER"),
        ("comment on table raw.events is 'x'", "ALTER"),
        ("copy (select 1) to 'file.csv'", "--out FILE"),
        ("copy raw.events from 'file.csv'", "COPY"),
        ("copy from database lake to memory", "COPY DATABASE|TRANSACTION"),
        ("export database 'folder'", "--out FILE"),
        ("attach 'ducklake:sqlite:catalog.sqlite' as rw; delete from rw.raw.events; select 1", "statement 1, ATTACH"),
        ("detach lake", "DETACH"),
        ("use memory", "SET"),
        ("set threads = 1", "SET"),
        ("reset threads", "SET"),
        ("set variable x = 1", "SET"),
        ("pragma threads = 1", "SET"),
        ("pragma enable_profiling", "PRAGMA"),
        ("pragma force_checkpoint", "PRAGMA"),
        ("call ducklake_expire_snapshots('lake')", "CALL"),
        ("load httpfs", "LOAD"),
        ("install httpfs", "LOAD"),
        ("update extensions", "update extensions"),
        ("checkpoint", "checkpoint"),
        ("vacuum", "VACUUM"),
        ("begin; select 1", "statement 1, TRANSACTION"),
        ("select 1; select 2; rollback", "statement 3, TRANSACTION"),
        ("prepare p as delete from raw.events; execute p", "statement 1, PREPARE"),
        ("execute p", "EXECUTE"),
        ("explain delete from raw.events", "EXPLAIN"),
        ("explain analyze insert into raw.events from raw.events", "EXPLAIN"),
        ("explain (analyze) delete from raw.events", "EXPLAIN"),
        ("explain /* /* */ select 1; -- */ analyze delete from raw.events", "EXPLAIN"),
        ("explain analyze copy (select 1) to 'file.csv'", "EXPLAIN"),
        ("explain analyze create table t as select 1", "EXPLAIN"),
        ("explain execute p", "EXPLAIN"),
        ("explain call ducklake_expire_snapshots('lake')", "EXPLAIN"),
        ("explain analyze from ducklake_expire_snapshots('lake')", r"ducklake_expire_snapshots\(\)"),
        ("from ducklake_cleanup_old_files('lake', cleanup_all => true)", r"ducklake_cleanup_old_files\(\)"),
        ("from main.\"DUCKLAKE_merge_adjacent_files\"('lake')", r"ducklake_merge_adjacent_files\(\)"),
        ("select (select count(*) from ducklake_expire_snapshots('lake'))", r"ducklake_expire_snapshots\(\)"),
        ("with t as (from ducklake_expire_snapshots('lake')) select 1", r"ducklake_expire_snapshots\(\)"),
        ("select 1 order by (select 1 from ducklake_expire_snapshots('lake'))", r"ducklake_expire_snapshots\(\)"),
        ("select 1 limit (select 1 from ducklake_expire_snapshots('lake'))", r"ducklake_expire_snapshots\(\)"),
        ("from raw.events at (version => (select 1 from ducklake_expire_snapshots('lake')))", r"ducklake_expire_snapshots\(\)"),
        ("summarize from ducklake_expire_snapshots('lake')", r"ducklake_expire_snapshots\(\)"),
        ("from lake.set_option('parquet_compression', 'zstd')", r"set_option\(\)"),
        ("from query('from ducklake_' || 'expire_snapshots(''lake'')')", r"query\(\)"),
        ("from json_execute_serialized_sql(json_serialize_sql('select 1'))", r"json_execute_serialized_sql\(\)"),
        ("from sqlite_query('__ducklake_metadata_lake', 'delete from ducklake_snapshot')", r"sqlite_query\(\)"),
        ("from sqlite_attach('file.sqlite')", r"sqlite_attach\(\)"),
        ("from enable_logging(storage => 'file', storage_config => {'path': 'logs'})", r"enable_logging\(\)"),
        ("from checkpoint('lake')", r"checkpoint\(\)"),
        ("select write_log('x')", r"write_log\(\)"),
        ("select nextval('s')", r"nextval\(\)"),
        ("select getenv('PATH')", r"getenv\(\)"),
        ("pivot (from ducklake_expire_snapshots('lake')) on snapshot_id using count(*)", r"ducklake_expire_snapshots\(\)"),
        ("pivot (from ducklake_expire_snapshots /**/ ('lake')) on snapshot_id using count(*)", "PIVOT"),
        ("pivot (from lake.set_option('a', 'b')) on a using count(*)", r"set_option\(\)"),
        ("pivot (from checkpoint('lake')) on a using count(*)", r"checkpoint\(\)"),
        ("create table t as pivot raw.events on event_type using count(*)", "PIVOT"),
        ("create table t as pivot raw.items on title using count(*); pivot raw.items on title using count(*)", "PIVOT"),
        ("copy (pivot raw.items on title using count(*)) to 'file.csv'", "PIVOT"),
        ("pivot raw.items on title using count(*); delete from raw.events", "PIVOT"),
    ],
)
def test_statements_that_may_change_something_are_refused_by_name_before_anything_runs(
    con: duckdb.DuckDBPyConnection, sql: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message) as refused:
        reading_statements(con, sql)
    assert "read-only" in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_database_cannot_be_imported_from_a_folder(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "schema.sql").write_text("create table t (a int);")
    (tmp_path / "load.sql").write_text("")
    with pytest.raises(UserError, match="CREATE"):
        reading_statements(con, f"import database '{tmp_path}'")


def test_every_function_with_effects_that_duckdb_knows_is_refused_or_known_to_be_harmless(con: duckdb.DuckDBPyConnection) -> None:
    volatile = con.execute("select distinct function_name from duckdb_functions() where stability = 'VOLATILE'").fetchall()
    assert {name for (name,) in volatile} - HARMLESS - EFFECTS == set()
    tables = con.execute("select distinct function_name from duckdb_functions() where function_type in ('table', 'table_macro')").fetchall()
    judged = READING_FUNCTIONS | CHANGING | RUNNING_TEXT | UNSUITED
    assert {name for (name,) in tables if not name.startswith(LISTING)} - judged == set()
    assert set() == READING_FUNCTIONS & (CHANGING | RUNNING_TEXT | UNSUITED)


def test_a_query_sees_no_variable_of_the_program_and_sets_nothing(lake: Lake) -> None:
    for name in ("lake", "con", "sql", "found"):
        with pytest.raises(UserError, match="does not exist"):
            query(lake, f"from {name}")
    assert query(lake, "select current_setting('lock_configuration') as locked").rows == [{"locked": True}]


def test_ones_own_files_can_be_read(lake: Lake, tmp_path: Path) -> None:
    file = tmp_path / "own.csv"
    file.write_text("a,b\nx,1\ny,2\n")
    assert query(lake, f"from '{file}'").rows == [{"a": "x", "b": 1}, {"a": "y", "b": 2}]
    assert query(lake, f"pivot '{file}' on a using sum(b)").rows == [{"x": 1, "y": 2}]
    assert query(lake, f"select content from read_text('{file}')").rows == [{"content": file.read_text()}]
