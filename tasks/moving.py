"""Moving a lake to another catalog and another place for its files, snapshots included.

The rows of the catalog are copied as they are, so snapshots keep their numbers, and the watermarks, publications and experiments that
name them stay valid. A killed move goes on where it stopped. A move ends only after all tables of both lakes have been compared.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from models.errors import UserError, without_secrets
from tasks import data_folder, store
from tasks.lake import (
    NOTHING_FETCHED,
    Lake,
    LakeError,
    connect,
    current_snapshot,
    examine,
    has_catalog,
    identity,
    load_extension,
    named_files,
    one_line,
    quote,
    reading,
    statement,
    writing,
)
from tasks.store import Bucket

logger = logging.getLogger("minutehand.lake")
INLINED = "ducklake_inlined_data_"
"""Prefix of the catalog's tables of rows that are in no Parquet file yet. A move flushes them first."""
OF_ONE_MACHINE = frozenset({"lake", "minute", "nightly", "prefect", "matplotlib", "up.json", "up.lock"})
"""Names in a home folder that a move to another folder leaves out: the lake, which moves by itself, and what each run makes for itself."""
NOT_COPIED = ("ducklake_inlined_data_tables", "ducklake_files_scheduled_for_deletion")
"""Tables of the catalog that are empty after a move: where rows are inlined, and files that only the source has still to delete."""
PATHS = ("ducklake_schema", "ducklake_table", "ducklake_data_file", "ducklake_delete_file")
"""Tables of the catalog with a path that may be a full one."""
UNFINISHED = ".moving"
"""Suffix of a file that is being copied."""
CHECK_S = 600.0
"""Time limit for reading the copied files; sizes and footers of all of them are compared first."""


class MoveError(UserError):
    """The lake cannot be moved there."""


@dataclass(frozen=True)
class Moved:
    """What a move did. n_copied: files that this run copied; the others were there from an earlier, killed run."""

    n_files: int
    n_bytes: int
    n_copied: int
    n_tables: int
    n_rows: int
    snapshot: int


def move(source: Lake, target: Lake) -> Moved:
    """Copy a lake to the address of another, and compare both. Afterwards the source can be read, but not written.

    The caller holds the locks of night and minute; this function holds the writer's. Raises MoveError if another lake is at the
    target, if the target was written since an earlier move, or if it differs from the source after the copy.
    """
    if source.data_path == target.data_path or source.catalog == target.catalog:
        same = source.data_path if source.data_path == target.data_path else source.shown_catalog
        raise MoveError(f"{same} is where the lake is already; a lake moves with its files: give another catalog and another folder")
    here, there = (f"{lake.shown_catalog} with its files in {lake.data_path}" for lake in (source, target))
    mark = data_folder.read_mark(source.place)
    if mark is not None and mark.moved_to == there:
        return _hand_over(source, target)
    with writing(source) as con:
        con.execute(statement("maintain/flush")).fetchall()
    with writing(source) as con:
        moved = _copy_all(con, here, source, target)
        data_folder.retire(source.place, there)
    data_folder.retire(target.place, "")
    return moved


def _hand_over(source: Lake, target: Lake) -> Moved:
    """The last step of a move that was killed before it."""
    mark = data_folder.read_mark(target.place)
    if mark is None or not mark.moved_to:
        raise MoveError(f"the lake of {source.data_path} was moved to {target.shown_catalog} already; go on with the one that is there")
    with reading(source) as con:
        files = named_files(con, source)
        moved = Moved(len(files), sum(file.n_bytes for file in files), 0, *_compare(con, target), current_snapshot(con))
    data_folder.retire(target.place, "")
    return moved


def _copy_all(con: duckdb.DuckDBPyConnection, here: str, source: Lake, target: Lake) -> Moved:
    own, files = identity(con), named_files(con, source)
    _prepare(con, own, here, target)
    n_copied = sum(_copy(file.path, file.n_bytes, source, target) for file in files)
    logger.info("copied %d of %d files to %s", n_copied, len(files), target.data_path)
    _copy_catalog(source, target)
    n_tables, n_rows = _compare(con, target)
    found = examine(target, CHECK_S).damages
    if found:
        raise MoveError(f"{found[0].message}; delete that file and move the lake again, or look for a fault of the disk")
    return Moved(len(files), sum(file.n_bytes for file in files), n_copied, n_tables, n_rows, own.snapshot)


def _prepare(con: duckdb.DuckDBPyConnection, own: data_folder.Identity, here: str, target: Lake) -> None:
    """Check that the target is empty or an unfinished move of this lake; create its catalog and claim its folder."""
    if _has_tables(target):
        with reading(target) as there:
            other = identity(there)
        is_own = other.catalog == own.catalog and identity(con, other.snapshot).known_at == other.committed_at
        if not is_own and other.snapshot > 0:
            raise MoveError(
                f"there is another lake at {target.shown_catalog}, or this one, written to since it was moved there; "
                "name an empty database or folder, or go on with the lake that is there"
            )
    else:
        data_folder.check_free(target.place, target.shown_catalog)
        connect(target).close()
    data_folder.expect(target.place, target.catalog_file, own, here)


def _copy(file: str, n_bytes: int, source: Lake, target: Lake) -> bool:
    """Copy a file of the lake to the same place below the target; false if an earlier move has copied it."""
    if not file.startswith(source.data_path):
        raise MoveError(f"the file {file} is not in {source.data_path}; `minutehand doctor` checks the files of the lake")
    name = file.removeprefix(source.data_path)
    old, new = source.place, target.place
    if (store.size(new, name) if isinstance(new, Bucket) else _size(new / name)) == n_bytes:
        return False
    with tempfile.TemporaryDirectory(prefix="minutehand-move-") as temporary:
        path = Path(temporary) / "file.parquet" if isinstance(old, Bucket) else old / name
        if isinstance(old, Bucket) and not store.download(old, name, path):
            raise MoveError(f"the file {file} is not there; `minutehand doctor` checks the files of the lake")
        if isinstance(new, Bucket):
            store.upload(new, path, name)
        else:
            _copy_file(path, new / name)
    return True


def _copy_file(file: Path, copy: Path) -> None:
    """Copy a file with its time; a reader sees the whole copy or none."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    unfinished = copy.with_name(copy.name + UNFINISHED)
    shutil.copy2(file, unfinished)
    unfinished.replace(copy)


def _size(file: Path) -> int | None:
    return file.stat().st_size if file.exists() else None


def _copy_catalog(source: Lake, target: Lake) -> None:
    """Replace the rows of the target's catalog by those of the source, in one transaction."""
    with _catalogs(source, target) as con:
        both = set(_tables(con, "old")) & set(_tables(con, "new"))
        names = [name for name in sorted(both) if name in NOT_COPIED or not name.startswith(INLINED)]
        con.begin()
        for name in names:
            columns = con.execute(
                "select column_name, data_type from duckdb_columns() where database_name = 'new' and table_name = $name", {"name": name}
            ).fetchall()
            con.execute(f"delete from new.{name}")
            if name not in NOT_COPIED:
                cast = ", ".join(f"{column}::{kind} as {column}" for column, kind in columns)
                con.execute(f"insert into new.{name} by name select {cast} from old.{name}")
        for name in PATHS:
            con.execute(
                f"update new.{name} set path = $new || substr(path, length($old) + 1) where path_is_relative = false and path ^@ $old",
                {"old": source.data_path, "new": target.data_path},
            )
        con.execute("update new.ducklake_metadata set value = $new where key = 'data_path'", {"new": target.data_path})
        con.commit()


@contextmanager
def _catalogs(source: Lake | None, target: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the tables of two catalogs themselves: `old` (read-only, if given) and `new`."""
    con = duckdb.connect(config=NOTHING_FETCHED)
    try:
        for name in ("sqlite_scanner", "postgres_scanner"):
            load_extension(con, name)
        con.execute("set global sqlite_disable_multithreaded_scans = true")
        try:
            for lake, name in ((source, "old"), (target, "new")):
                if lake is not None:
                    kind, address = ("sqlite", lake.catalog_file) if lake.is_sqlite else ("postgres", lake.catalog.split(":", 1)[1])
                    con.execute(f"attach {quote(address)} as {name} (type {kind}{', read_only' if name == 'old' else ''})")
            yield con
        except duckdb.Error as error:
            raise LakeError(f"cannot copy the catalog to {target.shown_catalog}: {without_secrets(one_line(str(error)))}") from None
    finally:
        con.close()


def _tables(con: duckdb.DuckDBPyConnection, database: str) -> list[str]:
    found = con.execute(
        "select table_name from duckdb_tables() where database_name = $name and starts_with(table_name, 'ducklake_') order by 1",
        {"name": database},
    )
    return [name for (name,) in found.fetchall()]


def _has_tables(lake: Lake) -> bool:
    """Whether there is a DuckLake catalog at an address."""
    if lake.is_sqlite:
        return has_catalog(lake)
    with _catalogs(None, lake) as con:
        return bool(_tables(con, "new"))


def _compare(con: duckdb.DuckDBPyConnection, target: Lake) -> tuple[int, int]:
    """Number of tables and rows, after all tables of both lakes were compared; raises MoveError where they differ."""
    n_rows = 0
    tables = con.execute("select schema_name, table_name from duckdb_tables() where database_name = 'lake' order by all").fetchall()
    with reading(target) as there:
        for schema, table in tables:
            sums = f'select count(*), sum(hash(t)) from "{schema}"."{table}" as t'
            ours, theirs = (each.execute(sums).fetchone() for each in (con, there))
            if ours is None or ours != theirs:
                raise MoveError(
                    f"{schema}.{table} differs after the move ({ours} and {theirs}: rows, sum of hashes); the lake stays where it was: "
                    "empty the target and move again"
                )
            n_rows += ours[0]
    return len(tables), n_rows


def copy_home(source: Path, target: Path, *, has_models: bool = True) -> int:
    """Copy what else a home folder holds: models, keys, scenarios, landed files, logs; returns the number of copied files.

    A file that is there with the same size and time was copied by an earlier, killed move. has_models: whether the home's own MLflow
    store is in use; a store that is elsewhere moves by tasks.registry.moving, and what is left here of an older one stays.
    """
    n_copied, left_out = 0, OF_ONE_MACHINE if has_models else OF_ONE_MACHINE | {"mlflow"}
    for root, folders, names in os.walk(source):
        here = Path(root)
        if here == source:
            folders[:] = [name for name in folders if name not in left_out]
        folders[:] = [name for name in folders if (here / name).resolve() != target.resolve()]
        for file in (here / name for name in names if here != source or name not in left_out):
            copy = target / file.relative_to(source)
            if not file.is_file() or (copy.exists() and _size_and_time(copy) == _size_and_time(file)):
                continue
            _copy_file(file, copy)
            n_copied += 1
    return n_copied


def _size_and_time(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_size, found.st_mtime_ns
