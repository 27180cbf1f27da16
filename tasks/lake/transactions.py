"""Reading and writing a lake, with errors that name their remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from models.errors import UserError
from tasks import data_folder, locks
from tasks.config import StoreConfig
from tasks.lake.address import Lake, LakeConfig, address
from tasks.lake.connections import claim, connect, current_snapshot, examine, identity
from tasks.lake.errors import (
    GIVE_MEMORY,
    MAKE_ROOM,
    MAKE_WRITABLE,
    RESTORE_CATALOG,
    LakeError,
    LastingError,
    is_damaged,
    is_disk_full,
    is_not_allowed,
    is_of_store,
    one_line,
    store_error,
)

PATIENCE_S = 5.0
"""Time limit for checking the files of the lake after an error that a damaged file may have caused."""
Readable = Lake | duckdb.DuckDBPyConnection
"""Where to read: a lake, or an open connection to it."""


def locate(config: LakeConfig, home: Path, store: StoreConfig | None = None) -> Lake:
    """The lake of a home folder, for writers; creates the folder, not the tables. store: as in address."""
    lake = address(config, home, store)
    root = lake.lock_path.parent
    try:
        with explained():
            root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LakeError(f"cannot make the folder {root}: {error.strerror or error}; {MAKE_WRITABLE}") from error
    return lake


@contextmanager
def explained(lake: Lake | None = None) -> Iterator[None]:
    """Turns errors that the user can fix into messages with a remedy: full disk, missing permission, no memory, damaged files.

    lake: the lake that was open; without it, the files are not checked for damage. A full disk leaves the lake unchanged.
    """
    try:
        yield
    except data_folder.FolderError as error:
        raise LastingError(str(error)) from error
    except UserError as error:  # an inner block has reported DuckDB's error without its cause
        damage = _damage(error.__cause__, lake)
        if damage is None:
            raise
        raise LastingError(damage) from error.__cause__
    except Exception as error:  # MLflow, torch and polars report a full disk by their own errors
        plain = _with_remedy(error, lake)
        if plain is None:
            raise
        raise plain from error


def _with_remedy(error: Exception, lake: Lake | None) -> LakeError | None:
    """The error with a remedy; None if the user cannot fix it."""
    first_line = next(iter(str(error).strip().splitlines()), "")
    if lake is not None and isinstance(error, duckdb.Error) and is_of_store(error, lake.data_path):
        damage = _damage(error, lake)  # an object may be lost, rather than the store
        return LastingError(damage) if damage else store_error(error, lake.data_path)
    if is_disk_full(error):
        return LakeError(f"{first_line}; {MAKE_ROOM}")
    if isinstance(error, OSError | duckdb.Error) and is_not_allowed(error):
        return LastingError(f"{_not_allowed(error)}; {MAKE_WRITABLE}")
    if isinstance(error, duckdb.OutOfMemoryException):
        return LastingError(f"{first_line}; {GIVE_MEMORY}")
    damage = _damage(error, lake)
    return LastingError(damage) if damage else None


def _not_allowed(error: OSError | duckdb.Error) -> str:
    if isinstance(error, OSError):
        return f"cannot write to {error.filename}: {error.strerror}" if error.filename else str(error)
    return one_line(str(error))


def _damage(error: BaseException | None, lake: Lake | None) -> str | None:
    """The message about a damaged lake behind a DuckDB error; None if the error has another cause."""
    if lake is None or not isinstance(error, duckdb.Error):
        return None
    if is_damaged(error):
        return f"the catalog at {lake.shown_catalog} is damaged ({one_line(str(error))}); {RESTORE_CATALOG}"
    if isinstance(error, duckdb.ProgrammingError | duckdb.DataError | duckdb.IntegrityError) and "parquet" not in str(error).lower():
        return None
    try:
        found = examine(lake, PATIENCE_S).damages
    except (UserError, duckdb.Error):
        return None
    if not found:
        return None
    return f"{found[0].message}; {found[0].remedy}"


@contextmanager
def reading(at: Readable, snapshot: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection, pinned to a snapshot if one is given. Takes no lock.

    A connection is passed on as it is: to open one takes 40 ms of processor time, so a stage that reads several times shares one.
    """
    if isinstance(at, duckdb.DuckDBPyConnection):
        yield at
        return
    lake, con = at, connect(at, read_only=True, snapshot=snapshot)
    try:
        with explained(lake):
            yield con
    finally:
        con.close()


@contextmanager
def writing(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with one write transaction under the writer lock; it commits at the end of the block."""
    try:
        with explained(lake), locks.writing_turn(lake):
            con = connect(lake)
            try:
                mark = claim(con, lake)
                con.begin()
                yield con
                locks.demand_held(lake)
                con.commit()
                data_folder.record(lake.place, lake.catalog_file, mark, identity(con))
            finally:
                con.close()
    except locks.BusyError as error:
        raise LakeError(str(error)) from error


def newest_snapshot(lake: Lake) -> int:
    """The snapshot that a run pins itself to."""
    with reading(lake) as con:
        return current_snapshot(con)
