"""Checks that the Parquet files of the lake exist and can be read."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from tasks import store
from tasks.store import Bucket

MAGIC = b"PAR1"
TAIL = 8
READ_ROWS = "select count(hash(rows_of_file)) from read_parquet($path) as rows_of_file"
REMEDY = (
    "restore that file from a backup, at the same path; without a backup, move the folder lake away and take the events and items in again"
)

LET_READ = "make it readable and writable for the user that runs minutehand"


@dataclass(frozen=True)
class NamedFile:
    """A Parquet file as the catalog describes it."""

    table: str
    path: str
    n_rows: int
    n_bytes: int
    n_footer_bytes: int
    is_delete: bool


@dataclass(frozen=True)
class Damage:
    """A file that differs from its description in the catalog."""

    file: NamedFile
    what: str
    remedy: str = REMEDY

    @property
    def message(self) -> str:
        rows = f"{self.file.n_rows:,} {'deletes' if self.file.is_delete else 'rows'} of {self.file.table}"
        return f"{rows} cannot be read: {self.file.path}: {self.what}"


@dataclass(frozen=True)
class Examination:
    """Result of a check. n_checked: files whose size and footer were compared. n_read: files that were read completely."""

    n_files: int
    n_checked: int
    n_read: int
    damages: tuple[Damage, ...]


def examine(con: duckdb.DuckDBPyConnection, files: Sequence[NamedFile], seconds: float, bucket: Bucket | None = None) -> Examination:
    """Compare size and footer of every file with the catalog, then read as many files, in order, as the time allows.

    bucket: where the files are, unless they are on this machine.
    """
    deadline = time.monotonic() + seconds
    damages: list[Damage] = []
    sound: list[NamedFile] = []
    for file in _until(deadline, files):
        damage = _outside(file) if bucket is None else _outside_object(file, bucket)
        if damage:
            damages.append(damage)
        else:
            sound.append(file)
    n_checked, n_read = len(damages) + len(sound), 0
    for file in _until(deadline, sound):
        try:
            what = _inside(con, file, deadline - time.monotonic())
        except TimeoutError:
            break
        n_read += 1
        if what:
            damages.append(Damage(file, what))
    return Examination(len(files), n_checked, n_read, tuple(damages))


def _until(deadline: float, files: Sequence[NamedFile]) -> Iterator[NamedFile]:
    for file in files:
        if time.monotonic() >= deadline:
            return
        yield file


def _outside(file: NamedFile) -> Damage | None:
    """Damage found in the size, the first bytes or the last bytes of a file; None if there is none."""
    path = Path(file.path)
    try:
        size = path.stat().st_size
        with path.open("rb") as opened:
            first = opened.read(len(MAGIC))
            opened.seek(max(0, size - TAIL))
            last = opened.read(TAIL)
    except FileNotFoundError:
        return Damage(file, "there is no such file")
    except PermissionError as error:
        return Damage(file, error.strerror or str(error), LET_READ)
    except OSError as error:
        return Damage(file, error.strerror or str(error))
    return _different(file, size, first, last)


def _outside_object(file: NamedFile, bucket: Bucket) -> Damage | None:
    """As _outside, for an object of a store."""
    size = store.size(bucket, file.path)
    if size is None:
        return Damage(file, "there is no such object")
    first, last = store.read(bucket, file.path, first=len(MAGIC)), store.read(bucket, file.path, last=TAIL)
    return _different(file, size, first or b"", last or b"")


def _different(file: NamedFile, size: int, first: bytes, last: bytes) -> Damage | None:
    if size != file.n_bytes:
        return Damage(file, f"it has {size:,} bytes instead of {file.n_bytes:,}")
    if first != MAGIC or last[-len(MAGIC) :] != MAGIC or int.from_bytes(last[: len(MAGIC)], "little") != file.n_footer_bytes:
        return Damage(file, "its first or last bytes are not those of the Parquet file that was written")
    return None


def _inside(con: duckdb.DuckDBPyConnection, file: NamedFile, seconds: float) -> str | None:
    """Damage found in the pages of a file; None if there is none. Raises TimeoutError if reading takes longer."""
    timer = threading.Timer(max(seconds, 0.0), con.interrupt)
    timer.start()
    try:
        (n_rows,) = con.execute(READ_ROWS, {"path": file.path}).fetchone() or (0,)
    except duckdb.InterruptException as error:
        raise TimeoutError(file.path) from error
    except duckdb.Error as error:
        return " ".join(str(error).split())
    finally:
        timer.cancel()
    return None if n_rows == file.n_rows else f"it has {n_rows:,} rows instead of {file.n_rows:,}"
