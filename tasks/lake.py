"""The lake: DuckLake tables behind short-lived DuckDB connections."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field

from models.config import PositiveInt
from models.errors import UserError, without_secrets
from tasks import data_files, data_folder

NOTHING_FETCHED: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
"""Connection options that stop DuckDB from downloading an extension when a statement uses one of its functions."""
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NOT_ALLOWED = (errno.EROFS, errno.EACCES, errno.EPERM)
NOT_ALLOWED_SIGNS = ("permission denied", "read-only file system", "readonly database", "operation not permitted")
DISK_FULL_SIGNS = (
    "no space left",
    "disk is full",
    "disk i/o error",
    "file too large",
    "quota exceeded",
    "could not write all bytes",
    "max_temp_directory_size",
)
SHORT_OF = (*DISK_FULL, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Error numbers for a resource of the machine that is used up; no single file is the cause."""
MAKE_ROOM = "the disk is full: nothing was changed; free some space there, or move MINUTEHAND_HOME to a larger disk, and run it again"
MAKE_WRITABLE = "make it readable and writable for the user that runs minutehand, or set MINUTEHAND_HOME to a folder that is"
GIVE_MEMORY = "DuckDB is out of memory; nothing was changed; raise MINUTEHAND_INGEST__MEMORY_MB for an ingest, else free some memory"
RESTORE_CATALOG = "restore it from a backup, and leave the folder of the Parquet files as it is"
PATIENCE_S = 5.0
"""Time limit for checking the files of the lake after an error that a damaged file may have caused."""
CATALOG_DAMAGE_SIGNS = ("database disk image is malformed", "file is not a database")
SQL = Path(__file__).resolve().parent.parent / "sql"
AT_HAND = 10_000
"""A join with at most this many ids filters its scan by the ids themselves, not only by their minimum and maximum."""
ANYONE = "*"
"""The user_id of the list for users without their own list."""
_signed: set[str] = set()
"""Extensions that this process has loaded with a verified signature."""


class LakeError(UserError):
    """The lake cannot be opened; the message says what to do."""


class LastingError(LakeError):
    """A LakeError that a retry cannot fix: something is lost, or must not be written to."""


class LakeConfig(BaseModel):
    """Where the tables are stored, and how long a command waits for them."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    catalog: str = Field(
        "", description="Catalog of the lake; empty: a SQLite file in the home folder; PostgreSQL: postgres:dbname=... host=..."
    )
    data_path: str = Field("", description="Folder of the Parquet files; empty: the folder `lake/data` in the home folder")
    busy_timeout_ms: PositiveInt = Field(5000, description="Maximum time in milliseconds that a statement waits for the SQLite catalog")
    lock_timeout_s: PositiveInt = Field(
        600, description="Maximum time in seconds that a writer waits for the lock that another writer holds"
    )


@dataclass(frozen=True)
class Lake:
    """The address of a lake, not a connection: safe to pass to tasks and processes. threads: per connection; 0 uses all processors."""

    catalog: str
    data_path: str
    lock_path: Path
    busy_timeout_ms: int
    lock_timeout_s: int
    threads: int = 0

    @property
    def is_sqlite(self) -> bool:
        return self.catalog.startswith("sqlite:")

    @property
    def catalog_file(self) -> str:
        """The path of a SQLite catalog; empty for PostgreSQL."""
        return self.catalog.removeprefix("sqlite:") if self.is_sqlite else ""

    @property
    def shown_catalog(self) -> str:
        """The catalog's address without secrets, for messages."""
        return self.catalog_file or without_secrets(self.catalog)

    @property
    def folder(self) -> Path:
        return Path(self.data_path)

    @property
    def home(self) -> Path:
        """The home folder of the lake, also if its catalog or its files are elsewhere."""
        return self.lock_path.parent.parent


Readable = Lake | duckdb.DuckDBPyConnection
"""Where to read: a lake, or an open connection to it."""


def locate(config: LakeConfig, home: Path) -> Lake:
    """The lake of a home folder, for writers; creates the folder, not the tables."""
    lake = address(config, home)
    root = lake.lock_path.parent
    try:
        with explained():
            root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LakeError(f"cannot make the folder {root}: {error.strerror or error}; {MAKE_WRITABLE}") from error
    return lake


def address(config: LakeConfig, home: Path) -> Lake:
    """The lake of a home folder, for readers; creates nothing."""
    root = home.resolve() / "lake"
    return Lake(
        catalog=config.catalog or f"sqlite:{root / 'catalog.sqlite'}",
        data_path=f"{Path(config.data_path).expanduser().resolve() if config.data_path else root / 'data'}{os.sep}",
        lock_path=root / "writer.lock",
        busy_timeout_ms=config.busy_timeout_ms,
        lock_timeout_s=config.lock_timeout_s,
    )


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


def connect(lake: Lake, *, read_only: bool = False, snapshot: int | None = None) -> duckdb.DuckDBPyConnection:
    """A connection whose default catalog is the lake, at a snapshot if one is given, with the macros of sql/macros.

    By default, DuckDB scans the tables of a SQLite catalog over separate SQLite connections, each with its own view of the data: a query
    during a publish returned old and new rows together (docs/log.md, 2026-11-26). A setting below turns these connections off.
    """
    con = _opened("sqlite_scanner" if lake.is_sqlite else "postgres_scanner", "ducklake")
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
        _attach(con, lake, options, may_create=not read_only and snapshot is None)
    except duckdb.Error as error:
        con.close()
        raise _cannot_open(lake, error) from None  # DuckDB's message contains the password
    except data_folder.FolderError as error:
        con.close()
        raise LastingError(str(error)) from error
    except LakeError:
        con.close()
        raise
    con.execute("set enable_progress_bar = false")  # the bar would mix with the result on stdout
    con.execute("use lake")
    con.execute(f"set dynamic_or_filter_threshold = {AT_HAND:d}")
    if _has_icu(con):
        con.execute("set timezone = 'UTC'")
    return con


def _cannot_open(lake: Lake, error: duckdb.Error) -> UserError:
    """The error for a catalog that does not open. A damaged catalog is a LastingError: a retry cannot open it."""
    reason = without_secrets(one_line(str(error)))
    if lake.is_sqlite and not os.access(lake.catalog_file, os.R_OK):
        return LastingError(f"cannot read the catalog at {lake.catalog_file}: {os.strerror(errno.EACCES)}; {MAKE_WRITABLE}")
    if lake.is_sqlite and (_is_damaged(error) or Path(lake.catalog_file).is_dir()):
        return LastingError(f"the catalog at {lake.catalog_file} is damaged ({reason}); {RESTORE_CATALOG}")
    if lake.is_sqlite and is_not_allowed(error):  # SQLite writes two files next to the catalog, also for a reader
        return LastingError(f"cannot write to {Path(lake.catalog_file).parent}: {reason}; {MAKE_WRITABLE}")
    return LakeError(f"cannot open the lake at {without_secrets(lake.catalog)}: {reason}; `minutehand doctor` looks for the cause")


def _is_damaged(error: duckdb.Error) -> bool:
    return any(sign in str(error).lower() for sign in CATALOG_DAMAGE_SIGNS)


def _attach(con: duckdb.DuckDBPyConnection, lake: Lake, options: Sequence[str], *, may_create: bool) -> None:
    """Attach the catalog. Create it if it is missing and its data folder is free; accept a data folder that was moved."""

    def attach(*more: str) -> None:
        con.execute(f"attach {quote('ducklake:' + lake.catalog)} as lake ({', '.join([*options, *more])})")

    if not has_catalog(lake):  # DuckDB would create an empty file
        if not may_create:
            raise LakeError(f"cannot open the lake at {lake.catalog}: there is none; `minutehand doctor` looks for the cause")
        data_folder.check_free(lake.folder, lake.shown_catalog)
    try:
        attach("create_if_not_exists false")
    except duckdb.Error as error:
        if "OVERRIDE_DATA_PATH" in str(error):
            attach("create_if_not_exists false", "override_data_path true")
            data_folder.check_moved(lake.folder, identity(con), data_folder.read_mark(lake.folder), partial(_named_paths, con, lake))
        elif "creating a new DuckLake is explicitly disabled" in str(error) and may_create:
            data_folder.check_free(lake.folder, lake.shown_catalog)
            attach()
        else:
            raise


def has_catalog(lake: Lake) -> bool:
    """Whether a SQLite catalog exists and is not empty; always true for PostgreSQL, where only a connection can find out."""
    file = Path(lake.catalog_file)
    return not lake.is_sqlite or (file.exists() and (file.is_dir() or file.stat().st_size > 0))


def identity(con: duckdb.DuckDBPyConnection, snapshot: int = -1) -> data_folder.Identity:
    """The identity of the catalog, with the commit time of one of its snapshots."""
    row = con.execute(statement("lake/identity"), {"snapshot": snapshot}).fetchone()
    assert row is not None
    return data_folder.Identity(*row)


def named_files(con: duckdb.DuckDBPyConnection, lake: Lake) -> list[data_files.NamedFile]:
    """Every Parquet file that the catalog names, newest first."""
    return [data_files.NamedFile(*row) for row in con.execute(statement("lake/list_files"), {"data_path": lake.data_path}).fetchall()]


def _named_paths(con: duckdb.DuckDBPyConnection, lake: Lake) -> list[str]:
    return [file.path for file in named_files(con, lake)]


def _claim(con: duckdb.DuckDBPyConnection, lake: Lake) -> data_folder.Mark:
    """Claim the data folder for this catalog and record its current path; raises FolderError if it belongs to another catalog."""
    mark = data_folder.read_mark(lake.folder)
    own = identity(con, mark.snapshot if mark else -1)
    mark = data_folder.claim(lake.folder, lake.catalog_file, own, mark)
    if own.data_path != lake.data_path:
        con.execute(statement("lake/move_data_path"), {"data_path": lake.data_path})
    return mark


def one_line(message: str) -> str:
    """A DuckDB message without line breaks."""
    return " ".join(message.split())


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


def is_disk_full(error: Exception) -> bool:
    """Whether an error means that the disk is full."""
    if isinstance(error, OSError):
        return error.errno in DISK_FULL
    return any(sign in str(error).lower() for sign in DISK_FULL_SIGNS)


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
    if is_disk_full(error):
        return LakeError(f"{first_line}; {MAKE_ROOM}")
    if isinstance(error, OSError | duckdb.Error) and is_not_allowed(error):
        return LastingError(f"{_not_allowed(error)}; {MAKE_WRITABLE}")
    if isinstance(error, duckdb.OutOfMemoryException):
        return LastingError(f"{first_line}; {GIVE_MEMORY}")
    damage = _damage(error, lake)
    return LastingError(damage) if damage else None


def is_not_allowed(error: OSError | duckdb.Error) -> bool:
    """Whether an error means that this user lacks the permission for a file or folder."""
    if isinstance(error, OSError):
        return error.errno in NOT_ALLOWED
    return any(sign in str(error).lower() for sign in NOT_ALLOWED_SIGNS)


def _not_allowed(error: OSError | duckdb.Error) -> str:
    if isinstance(error, OSError):
        return f"cannot write to {error.filename}: {error.strerror}" if error.filename else str(error)
    return one_line(str(error))


def _damage(error: BaseException | None, lake: Lake | None) -> str | None:
    """The message about a damaged lake behind a DuckDB error; None if the error has another cause."""
    if lake is None or not isinstance(error, duckdb.Error):
        return None
    if _is_damaged(error):
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


def examine(lake: Lake, seconds: float) -> data_files.Examination:
    """Check the files that the catalog names, for at most this many seconds."""
    con = connect(lake, read_only=True)
    try:
        return data_files.examine(con, named_files(con, lake), seconds)
    finally:
        con.close()


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
        with explained(lake), FileLock(lake.lock_path, timeout=lake.lock_timeout_s):
            con = connect(lake)
            try:
                mark = _claim(con, lake)
                con.begin()
                yield con
                con.commit()
                data_folder.record(lake.folder, lake.catalog_file, mark, identity(con))
            finally:
                con.close()
    except Timeout as error:
        raise LakeError(
            f"another writer has held {lake.lock_path} for over {lake.lock_timeout_s} s; "
            "wait for it, or raise MINUTEHAND_LAKE__LOCK_TIMEOUT_S"
        ) from error


def current_snapshot(con: duckdb.DuckDBPyConnection) -> int:
    """The number of the newest snapshot that the connection sees."""
    row = con.execute("select max(snapshot_id) from lake.snapshots()").fetchone()
    assert row is not None
    return int(row[0])


def newest_snapshot(lake: Lake) -> int:
    """The snapshot that a run pins itself to."""
    with reading(lake) as con:
        return current_snapshot(con)


def migrate(lake: Lake) -> list[str]:
    """Apply the numbered files of sql/schema that this lake has not seen; returns their names."""
    files = sorted((SQL / "schema").glob("*.sql"))
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
