"""The lake with both catalogs: transactions, snapshots, locks and errors."""

from __future__ import annotations

import errno
import multiprocessing
import re
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from tasks.lake import (
    SQL,
    Lake,
    LakeConfig,
    LakeError,
    LastingError,
    connect,
    current_snapshot,
    explained,
    locate,
    migrate,
    reading,
    statement,
    writing,
)

ADD = "insert into raw.rejected (source, line, reason, rejected_at) values ($source, 1, 'test', now()::timestamp)"
SOURCES = "select source from raw.rejected order by source"


def add(lake: Lake, source: str) -> None:
    with writing(lake) as con:
        con.execute(ADD, {"source": source})


def sources(lake: Lake, snapshot: int | None = None) -> list[str]:
    with reading(lake, snapshot) as con:
        return [source for (source,) in con.execute(SOURCES).fetchall()]


def snapshot_of(lake: Lake) -> int:
    with reading(lake) as con:
        return current_snapshot(con)


def test_migrating_twice_applies_nothing_and_leaves_no_snapshot(lake_config: LakeConfig, home: Path) -> None:
    lake = locate(lake_config, home)
    applied = migrate(lake)
    before = snapshot_of(lake)
    assert applied == [file.stem for file in sorted((SQL / "schema").glob("*.sql"))]
    assert migrate(lake) == []
    assert snapshot_of(lake) == before


@pytest.mark.slow
def test_an_old_lake_gets_the_comments_of_a_new_one(lake: Lake) -> None:
    fresh = comments(lake)
    with writing(lake) as con:
        script = (SQL / "schema" / "024_comments.sql").read_text(encoding="utf-8")
        later = " ".join(file.read_text(encoding="utf-8") for file in (SQL / "schema").glob("*.sql") if file.name > "024_comments.sql")
        for target in re.findall(r"^comment on (\w+ \S+) is", script, re.MULTILINE):
            con.execute(f"comment on {target} is 'old words'")
        con.execute("delete from ops.migrations where name = '024_comments'")
    assert comments(lake) != fresh
    assert migrate(lake) == ["024_comments"]
    reworded = re.findall(r"^comment on \w+ (\S+) is", later, re.MULTILINE)
    assert comments(lake).items() - fresh.items() <= {(name, comments(lake)[name]) for name in reworded}


def comments(lake: Lake) -> dict[str, str]:
    """The comment of every table, view and column."""
    with reading(lake) as con:
        rows = con.execute(
            "select concat_ws('.', schema_name, table_name), comment from duckdb_tables() where database_name = 'lake' union all "
            "select concat_ws('.', schema_name, view_name), comment from duckdb_views() where database_name = 'lake' union all "
            "select concat_ws('.', schema_name, table_name, column_name), comment from duckdb_columns() where database_name = 'lake'"
        )
        return dict(rows.fetchall())


def test_every_table_and_column_explains_itself(lake: Lake) -> None:
    with reading(lake) as con:
        tables = con.execute("select schema_name, table_name, comment from duckdb_tables() where database_name = 'lake'").fetchall()
        columns = con.execute(
            "select schema_name, table_name, column_name, comment from duckdb_columns() where database_name = 'lake'"
        ).fetchall()
    ours = {(schema, table) for schema, table, _ in tables}
    created = sum(file.read_text(encoding="utf-8").count("create table") for file in (SQL / "schema").glob("*.sql"))
    assert len(ours) == created + 1, "the ledger of schema changes is there before them"
    assert [row for row in tables if row[:2] in ours and not row[-1]] == []
    assert [row for row in columns if row[:2] in ours and not row[-1]] == []


def test_a_pinned_snapshot_reads_the_old_state(lake: Lake) -> None:
    add(lake, "old")
    pinned = snapshot_of(lake)
    add(lake, "new")
    assert sources(lake, pinned) == ["old"]
    assert sources(lake) == ["new", "old"]


def test_a_failed_write_leaves_nothing(lake: Lake) -> None:
    def fail() -> None:
        with writing(lake) as con:
            con.execute(ADD, {"source": "half"})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert sources(lake) == []


def test_a_write_of_nothing_leaves_no_snapshot(lake: Lake) -> None:
    before = snapshot_of(lake)
    with writing(lake):
        pass
    assert snapshot_of(lake) == before


def test_a_reader_cannot_write(lake: Lake) -> None:
    with reading(lake) as con, pytest.raises(duckdb.Error, match="read-only"):
        con.execute(ADD, {"source": "x"})


def test_no_connection_takes_extensions_without_a_signature_though_only_the_first_checks_its_own(lake: Lake) -> None:
    for _ in range(2):
        with reading(lake) as con:
            assert con.execute("select current_setting('allow_unsigned_extensions')").fetchone() == (False,)


def test_readers_in_another_process_take_no_lock_and_see_the_old_state_until_the_commit(lake: Lake) -> None:
    add(lake, "old")
    script = (
        "import sys; from pathlib import Path; from tasks.lake import Lake; from tests.tasks.test_lake import sources; "
        "catalog, data_path, lock_path = sys.argv[1:]; print(sources(Lake(catalog, data_path, Path(lock_path), 5000, 60)))"
    )

    def read_elsewhere() -> str:
        command = [sys.executable, "-c", script, lake.catalog, lake.data_path, str(lake.lock_path)]
        return subprocess.run(command, capture_output=True, check=True, timeout=60, text=True).stdout.strip()

    with writing(lake) as con:
        con.execute(ADD, {"source": "new"})
        assert read_elsewhere() == "['old']"
    assert read_elsewhere() == "['new', 'old']"


@pytest.mark.slow
def test_writers_at_once_all_succeed(lake: Lake) -> None:
    names = ["a", "b", "c"]
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=add, args=(lake, name)) for name in names]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert sources(lake) == names


def test_a_writer_that_waits_too_long_names_the_lock(lake: Lake) -> None:
    impatient = Lake(lake.catalog, lake.data_path, lake.lock_path, lake.busy_timeout_ms, lock_timeout_s=1)

    def wait() -> None:
        with writing(impatient):
            pass

    with writing(lake), pytest.raises(LakeError, match=r"another writer has held .*LOCK_TIMEOUT_S"):
        wait()


def test_a_catalog_whose_creation_was_killed_is_created_again(home: Path) -> None:
    lake = locate(LakeConfig(), home)
    Path(lake.catalog.removeprefix("sqlite:")).touch()
    assert migrate(lake)
    add(lake, "a")
    assert sources(lake) == ["a"]


def test_reading_before_there_is_a_lake_says_what_to_do(home: Path) -> None:
    with pytest.raises(LakeError, match=r"cannot open the lake at .*doctor"):
        connect(locate(LakeConfig(), home), read_only=True)


def test_a_full_disk_is_reported_as_such() -> None:
    def fail(error: Exception) -> None:
        with explained():
            raise error

    with pytest.raises(LakeError, match="the disk is full: nothing was changed"):
        fail(OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(LakeError, match="the disk is full: nothing was changed"):
        fail(duckdb.IOException('IO Error: Could not write file "x": No space left on device'))
    with pytest.raises(FileNotFoundError):
        fail(FileNotFoundError("x"))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            OSError(errno.EROFS, "Read-only file system", "/srv/lake/writer.lock"),
            "cannot write to /srv/lake/writer.lock: Read-only",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/srv/lake"),
            "cannot write to /srv/lake: Permission denied; make it readable and writable",
        ),
        (
            duckdb.IOException("IO Error: Cannot open file: Permission denied"),
            "Permission denied; make it readable and writable for the user that runs",
        ),
        (
            duckdb.OutOfMemoryException("Out of Memory Error: could not allocate"),
            "out of memory; .*; raise MINUTEHAND_INGEST__",
        ),
        (
            RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
            "the disk is full: nothing was changed",
        ),
    ],
)
def test_an_error_that_the_user_can_fix_is_reported_with_its_remedy(error: Exception, message: str) -> None:
    with pytest.raises(LakeError, match=message) as raised, explained():
        raise error
    assert "\n" not in str(raised.value)


def garbage(file: Path) -> None:
    file.write_bytes(b"this is no database" * 1000)


def half(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.slow
@pytest.mark.parametrize("damage", [garbage, half, a_folder])
def test_a_damaged_catalog_is_reported_in_one_line_and_not_retried(home: Path, damage: Callable[[Path], None]) -> None:
    lake = locate(LakeConfig(), home)
    migrate(lake)
    catalog = Path(lake.catalog.removeprefix("sqlite:"))
    with closing(sqlite3.connect(catalog)) as con:
        con.execute("pragma wal_checkpoint(truncate)")
    damage(catalog)
    for use in (lambda: sources(lake), lambda: add(lake, "a"), lambda: migrate(lake)):
        with pytest.raises(LastingError, match=r"^the catalog at .*catalog\.sqlite is damaged \(.*\); restore it from a backup") as raised:
            use()
        assert "\n" not in str(raised.value)


def test_a_home_below_a_file_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "lake").write_text("")
    with pytest.raises(
        LakeError, match=r"cannot make the folder .*lake: File exists; make it readable and writable .* or set MINUTEHAND_HOME"
    ):
        locate(LakeConfig(), tmp_path / "home")


def test_a_catalog_that_does_not_answer_is_reported_without_its_password(home: Path) -> None:
    catalog = "postgres:host=127.0.0.1 port=1 dbname=lake user=me password=hunter2"
    with pytest.raises(LakeError, match=r"password=\*\*\*") as raised, reading(locate(LakeConfig(catalog=catalog), home)):
        pass
    assert "hunter2" not in "".join(traceback.format_exception(raised.value))


def test_statements_are_found_by_name() -> None:
    assert "create table" in statement("schema/001_raw_events")
