"""The lake: DuckLake tables behind short-lived DuckDB connections."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from models.errors import UserError, without_secrets

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
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
"""What the machine has run out of, whatever file is at hand."""
MAKE_ROOM = "the disk is full: nothing was changed; free some space there, or move MINUTEHAND_HOME to a larger disk, and run it again"
SQL = Path(__file__).resolve().parent.parent / "sql"
AT_HAND = 10_000
"""Up to so many ids, a scan looks for the ids themselves, not only for what lies between the least and the greatest of them."""
_signed: set[str] = set()
"""Extensions that this process has loaded, and whose signatures were good."""


class LakeError(UserError):
    """The lake cannot be opened; the message says what to do."""


class LakeConfig(BaseModel):
    """Where the tables live."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    catalog: str = Field("", description="Catalog of the lake: empty for SQLite under the home folder, or postgres:dbname=... host=...")
    data_path: str = Field("", description="Folder of the Parquet files; empty for lake/data under the home folder")
    busy_timeout_ms: PositiveInt = Field(5000, description="How long a statement waits for the SQLite catalog")
    lock_timeout_s: PositiveInt = Field(600, description="How long a writer waits for the writer before it")


@dataclass(frozen=True)
class Lake:
    """An address, not a connection: safe to pass to tasks and processes. threads: of each connection, 0 for every processor."""

    catalog: str
    data_path: str
    lock_path: Path
    busy_timeout_ms: int
    lock_timeout_s: int
    threads: int = 0

    @property
    def is_sqlite(self) -> bool:
        return self.catalog.startswith("sqlite:")


def locate(config: LakeConfig, home: Path) -> Lake:
    """The lake of one home folder; creates the folder, not the tables."""
    root = home.resolve() / "lake"
    root.mkdir(parents=True, exist_ok=True)
    return Lake(
        catalog=config.catalog or f"sqlite:{root / 'catalog.sqlite'}",
        data_path=config.data_path or f"{root / 'data'}{os.sep}",
        lock_path=root / "writer.lock",
        busy_timeout_ms=config.busy_timeout_ms,
        lock_timeout_s=config.lock_timeout_s,
    )


def extension_path(name: str) -> Path | None:
    """The file of a DuckDB extension that came as a wheel, or None."""
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
    """The SQL statement kept in sql/<name>.sql."""
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

    DuckDB scans the tables of a SQLite catalog over SQLite connections of their own, each in the state of its moment, unless it is told
    not to: while somebody publishes, rows that are gone showed beside those in their place (docs/log.md, 2026-11-26).
    """
    con = _opened("sqlite_scanner" if lake.is_sqlite else "postgres_scanner", "ducklake")
    con.execute(shared_macros())  # before the lake is attached: 1 ms; after `use lake` DuckDB asks the catalog too, and it takes 7 ms
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
        con.execute(f"attach {quote('ducklake:' + lake.catalog)} as lake ({', '.join(options)})")
    except duckdb.Error as error:
        con.close()
        told = without_secrets(f"cannot open the lake at {lake.catalog}: {error}")
        raise LakeError(f"{told}; `minutehand doctor` looks into it") from None  # what DuckDB says has the password in it
    con.execute("set enable_progress_bar = false")  # it would go to stdout, between the lines of a result
    con.execute("use lake")
    con.execute(f"set dynamic_or_filter_threshold = {AT_HAND:d}")
    if _has_icu(con):
        con.execute("set timezone = 'UTC'")
    return con


def _opened(*extensions: str) -> duckdb.DuckDBPyConnection:
    """A connection with extensions, whose signatures are checked once a process: that hashes them in full, a third of a second for two."""
    config = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    con = duckdb.connect(config={**config, "allow_unsigned_extensions": str(_signed.issuperset(extensions)).lower()})
    for name in extensions:
        load_extension(con, name)
    con.execute("set allow_unsigned_extensions = false")
    _signed.update(extensions)
    return con


def _has_icu(con: duckdb.DuckDBPyConnection) -> bool:
    row = con.execute("select loaded from duckdb_extensions() where extension_name = 'icu'").fetchone()
    return bool(row and row[0])


def is_disk_full(error: OSError | duckdb.Error) -> bool:
    """Whether an error says that there is no room left."""
    if isinstance(error, OSError):
        return error.errno in DISK_FULL
    return any(sign in str(error).lower() for sign in DISK_FULL_SIGNS)


@contextmanager
def explained() -> Iterator[None]:
    """Turns a full disk, whoever met it, into a message that says what to do; the lake stays as it was."""
    try:
        yield
    except (OSError, duckdb.Error) as error:
        if not is_disk_full(error):
            raise
        raise LakeError(f"{str(error).strip().splitlines()[0]}; {MAKE_ROOM}") from error


@contextmanager
def reading(lake: Lake, snapshot: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection, pinned to a snapshot if one is given. Takes no lock."""
    con = connect(lake, read_only=True, snapshot=snapshot)
    try:
        with explained():
            yield con
    finally:
        con.close()


@contextmanager
def writing(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """One write transaction under the writer lock: all of it is committed, or none."""
    try:
        with explained(), FileLock(lake.lock_path, timeout=lake.lock_timeout_s):
            con = connect(lake)
            try:
                con.begin()
                yield con
                con.commit()
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
    """Apply the numbered statements of sql/schema that this lake has not seen; names what was applied."""
    files = sorted((SQL / "schema").glob("*.sql"))
    if _migrations_seen(lake) == {file.stem for file in files}:
        return []
    with writing(lake) as con:
        for schema in ("raw", "features", "recs", "eval", "ops"):
            con.execute(f"create schema if not exists {schema}")
        con.execute(statement("lake/create_migrations"))
        done = _applied(con)
        fresh = [file for file in files if file.stem not in done]
        for file in fresh:
            con.execute(file.read_text(encoding="utf-8"))
            con.execute(statement("lake/record_migration"), {"name": file.stem})
    return [file.stem for file in fresh]


def _migrations_seen(lake: Lake) -> set[str]:
    """What a reader sees; nothing where there is no lake yet, or only one whose creation was killed."""
    if lake.is_sqlite and not Path(lake.catalog.removeprefix("sqlite:")).exists():
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
