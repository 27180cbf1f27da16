"""Connections to a lake: extensions, catalog, data folder."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import duckdb

from models.errors import UserError, without_secrets
from tasks import data_files, data_folder
from tasks.lake.address import Lake, has_catalog
from tasks.lake.errors import (
    MAKE_WRITABLE,
    RESTORE_CATALOG,
    LakeError,
    LastingError,
    is_damaged,
    is_not_allowed,
    is_of_store,
    one_line,
    store_error,
)
from tasks.lake.statements import execute, quote, shared_macros, statement
from tasks.store import INSTALL, Access, Bucket, access_of

NOTHING_FETCHED: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
"""Connection options that stop DuckDB from downloading an extension when a statement uses one of its functions."""
NEW_LAKE = "creating a new DuckLake is explicitly disabled"
"""What DuckLake says if a database has no lake."""
AT_HAND = 10_000
"""A join with at most this many ids filters its scan by the ids themselves, not only by their minimum and maximum."""


_signed: set[str] = set()
"""Extensions that this process has loaded with a verified signature."""


def extension_path(name: str) -> Path | None:
    """The file of a DuckDB extension that is installed as a wheel, or None."""
    spec = find_spec(f"duckdb_extension_{name}")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    return path if path.exists() else None


def load_extension(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load an extension from its wheel, else by INSTALL from DuckDB's own repository."""
    path = extension_path(name)
    if path is None and name == "httpfs":
        raise LakeError(f"an object store needs DuckDB's extension httpfs; install it with: {INSTALL}")
    try:
        if path is None:
            con.install_extension(name)
            con.load_extension(name)
        else:
            con.load_extension(str(path))
    except duckdb.Error as error:
        raise LakeError(
            f"DuckDB {duckdb.__version__} cannot load its extension {name!r}: {error}; "
            f"install it with: pip install duckdb-extension-{name.replace('_', '-')}=={duckdb.__version__}"
        ) from error


def connect(lake: Lake, *, read_only: bool = False, snapshot: int | None = None) -> duckdb.DuckDBPyConnection:
    """A connection whose default catalog is the lake, at a snapshot if one is given, with the macros of sql/macros.

    By default, DuckDB scans the tables of a SQLite catalog over separate SQLite connections, each with its own view of the data: a query
    during a publish returned old and new rows together (docs/log.md, 2026-11-26). A setting below turns these connections off.
    """
    place = lake.place
    access = None if isinstance(place, Path) else access_of(place)
    con = _opened("sqlite_scanner" if lake.is_sqlite else "postgres_scanner", "ducklake", *(("httpfs",) if access else ()))
    con.execute(shared_macros())  # takes 1 ms before the lake is attached; after `use lake`, DuckDB also queries the catalog: 7 ms
    options = [f"data_path {quote(lake.data_path)}"]
    if lake.is_sqlite:
        options += ["meta_journal_mode 'WAL'", f"meta_busy_timeout {lake.busy_timeout_ms}"]
        con.execute("set global sqlite_disable_multithreaded_scans = true")
    if read_only or snapshot is not None:
        options.append("read_only")
    if snapshot is not None:
        options.append(f"snapshot_version {snapshot:d}")
    if lake.threads:
        con.execute(f"set threads = {lake.threads:d}")
    try:
        if access is not None:
            _let_in(con, lake, access)
        _attach(con, lake, options, may_create=not read_only and snapshot is None)
    except duckdb.Error as error:
        con.close()
        raise _cannot_open(lake, error) from None  # DuckDB's message contains the password
    except data_folder.FolderError as error:
        con.close()
        raise LastingError(str(error)) from error
    except UserError:
        con.close()
        raise
    con.execute("set enable_progress_bar = false")  # the bar would mix with the result on stdout
    con.execute("use lake")
    con.execute(f"set dynamic_or_filter_threshold = {AT_HAND:d}")
    if _has_icu(con):
        con.execute("set timezone = 'UTC'")
    return con


def _let_in(con: duckdb.DuckDBPyConnection, lake: Lake, access: Access) -> None:
    """Give a connection the key to the object store of a lake. The key is in no file, and `duckdb_secrets()` hides its secret."""
    options = [f"{name} {quote(value)}" for name, value in access.values.items()]
    con.execute(f"set http_timeout = {math.ceil(lake.store.timeout_s):d}")
    con.execute("set http_retries = 2")
    try:
        con.execute(f"create or replace secret lake_store (type s3, {', '.join(options)}, scope {quote(lake.data_path)})")
    except duckdb.Error:
        raise LakeError(f"DuckDB does not accept the key to {lake.data_path}; check MINUTEHAND_STORE__KEY_ID and its endpoint") from None


def _cannot_open(lake: Lake, error: duckdb.Error) -> UserError:
    """The error for a catalog that does not open. A damaged catalog is a LastingError: a retry cannot open it."""
    reason = without_secrets(one_line(str(error)))
    if is_of_store(error, lake.data_path):
        return store_error(error, lake.data_path)
    if lake.is_sqlite and not os.access(lake.catalog_file, os.R_OK):
        return LastingError(f"cannot read the catalog at {lake.catalog_file}: {os.strerror(errno.EACCES)}; {MAKE_WRITABLE}")
    if lake.is_sqlite and (is_damaged(error) or Path(lake.catalog_file).is_dir()):
        return LastingError(f"the catalog at {lake.catalog_file} is damaged ({reason}); {RESTORE_CATALOG}")
    if lake.is_sqlite and is_not_allowed(error):  # SQLite writes two files next to the catalog, also for a reader
        return LastingError(f"cannot write to {Path(lake.catalog_file).parent}: {reason}; {MAKE_WRITABLE}")
    if NEW_LAKE in str(error):
        return LakeError(f"there is no lake at {lake.shown_catalog} yet; the first ingest makes it: minutehand ingest events FILE")
    return LakeError(f"cannot open the lake at {without_secrets(lake.catalog)}: {reason}; `minutehand doctor` looks for the cause")


def _attach(con: duckdb.DuckDBPyConnection, lake: Lake, options: Sequence[str], *, may_create: bool) -> None:
    """Attach the catalog. Create it if it is missing and its data folder is free; accept a data folder that was moved."""

    def attach(*more: str) -> None:
        con.execute(f"attach {quote('ducklake:' + lake.catalog)} as lake ({', '.join([*options, *more])})")

    if not has_catalog(lake):  # DuckDB would create an empty file
        if not may_create:
            raise LakeError(f"cannot open the lake at {lake.catalog}: there is none; `minutehand doctor` looks for the cause")
        data_folder.check_free(lake.place, lake.shown_catalog)
    try:
        attach("create_if_not_exists false")
    except duckdb.Error as error:
        if "OVERRIDE_DATA_PATH" in str(error):
            attach("create_if_not_exists false", "override_data_path true")
            data_folder.check_moved(lake.place, identity(con), data_folder.read_mark(lake.place), partial(_named_paths, con, lake))
        elif NEW_LAKE in str(error) and may_create:
            data_folder.check_free(lake.place, lake.shown_catalog)
            attach()
        else:
            raise


def identity(con: duckdb.DuckDBPyConnection, snapshot: int = -1) -> data_folder.Identity:
    """The identity of the catalog, with the commit time of one of its snapshots."""
    row = execute(con, "lake/identity", {"snapshot": snapshot}).fetchone()
    assert row is not None
    return data_folder.Identity(*row)


def named_files(con: duckdb.DuckDBPyConnection, lake: Lake) -> list[data_files.NamedFile]:
    """Every Parquet file that the catalog names, newest first."""
    return [data_files.NamedFile(*row) for row in con.execute(statement("lake/list_files"), {"data_path": lake.data_path}).fetchall()]


def _named_paths(con: duckdb.DuckDBPyConnection, lake: Lake) -> list[str]:
    return [file.path for file in named_files(con, lake)]


def claim(con: duckdb.DuckDBPyConnection, lake: Lake) -> data_folder.Mark:
    """Claim the data folder for this catalog and record its current path; raises FolderError if it belongs to another catalog."""
    mark = data_folder.read_mark(lake.place)
    own = identity(con, mark.snapshot if mark else -1)
    mark = data_folder.claim(lake.place, lake.catalog_file, own, mark)
    if own.data_path != lake.data_path:
        con.execute(statement("lake/move_data_path"), {"data_path": lake.data_path})
    return mark


def _opened(*extensions: str) -> duckdb.DuckDBPyConnection:
    """A connection with these extensions loaded.

    Each process verifies a signature only once: that hashes the whole file, a third of a second for two extensions.
    """
    con = duckdb.connect(config={**NOTHING_FETCHED, "allow_unsigned_extensions": str(_signed.issuperset(extensions)).lower()})
    for name in extensions:
        load_extension(con, name)
    con.execute("set allow_unsigned_extensions = false")
    _signed.update(extensions)
    return con


def _has_icu(con: duckdb.DuckDBPyConnection) -> bool:
    row = con.execute("select loaded from duckdb_extensions() where extension_name = 'icu'").fetchone()
    return bool(row and row[0])


def examine(lake: Lake, seconds: float) -> data_files.Examination:
    """Check the files that the catalog names, for at most this many seconds."""
    con = connect(lake, read_only=True)
    try:
        return data_files.examine(con, named_files(con, lake), seconds, lake.place if isinstance(lake.place, Bucket) else None)
    finally:
        con.close()


def current_snapshot(con: duckdb.DuckDBPyConnection) -> int:
    """The number of the newest snapshot that the connection sees."""
    row = con.execute("select max(snapshot_id) from lake.snapshots()").fetchone()
    assert row is not None
    return int(row[0])
