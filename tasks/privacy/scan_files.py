"""Reads files for a scan, each by its own format: Parquet, SQLite, safetensors, CSV, JSON, packed files, text, any bytes."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import sqlite3
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.privacy.scan_ids import HOLDERS, Bytes, Hits, Wanted, holds_users

PIECE = 32 << 20
"""Bytes of a file in memory at a time."""
ROWS = 20_000
"""Rows of a SQLite table in memory at a time."""
SQLITE_MAGIC = b"SQLite format 3\0"
PARQUET_MAGIC = b"PAR1"
UNKNOWN_OWNER = 0
"""The owner of a window that a version without owners has stored."""
SIDE_FILES = ("-wal", "-journal", "-shm")
"""Ends of the names of files that belong to a SQLite database; a scan of the database reads them."""
PACKED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
TEXTS_OF_PROGRAMS = ("ducklake_tag", "ducklake_column_tag", "ducklake_view", "block_schema", "block_type")
"""Tables of comments and examples, such as user:42, which speak of nobody."""
NOT_READ = (".zst", ".7z", ".rar", ".zip", ".tar", ".tgz")
TABLES = "select name from sqlite_master where type = 'table'"
DIALECTS = ",;\t|"


@dataclass(frozen=True)
class Read:
    """What was read of a part of a file. part: a table of a database; empty for a whole file. undecided: what could not be judged."""

    hits: Hits
    n_rows: int = 0
    part: str = ""
    undecided: str = ""


def read_file(path: Path, wanted: Wanted, owners: frozenset[int]) -> Iterator[Read]:
    """The parts of one file. owners: keyed owners of windows in replay memories. Raises OSError for a file that cannot be read."""
    with path.open("rb") as file:
        magic = file.read(len(SQLITE_MAGIC))
    if magic == SQLITE_MAGIC:
        yield from read_sqlite(path, wanted)
        return
    raw = _in_raw_bytes(path, wanted)
    if magic.startswith(PARQUET_MAGIC):
        decoded = _read_parquet(path, wanted)
        yield decoded if decoded.hits else replace(decoded, hits=raw)  # values in pages that are not packed are in both
        return
    yield Read(raw)
    if path.suffix == ".safetensors":
        yield read_tensors(path, owners)
    elif path.suffix in PACKED:
        with PACKED[path.suffix](path, "rb") as unpacked:
            yield Read(_in_stream(unpacked, wanted))
        yield _read_short(path, path.with_suffix("").suffix, wanted)
    elif path.suffix in NOT_READ:
        yield _read_zip(path, wanted) if zipfile.is_zipfile(path) else Read(Hits(), undecided=f"a scan does not unpack {path.suffix}")
    else:
        yield _read_short(path, path.suffix, wanted)


def _read_zip(path: Path, wanted: Wanted) -> Read:
    total = Hits()
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                total += _in_stream(member, wanted)
    return Read(total)


def _in_raw_bytes(path: Path, wanted: Wanted) -> Hits:
    with path.open("rb") as file:
        return _in_stream(file, wanted)


def _in_stream(file: IO[bytes], wanted: Wanted) -> Hits:
    total = Hits()
    is_text: bool | None = None
    for data, since, until in pieces(file, wanted.longest + 2):
        is_text = is_likely_text(data) if is_text is None else is_text
        total += wanted.in_bytes(data, is_text=is_text, since=since, until=until)
    return total


def is_likely_text(data: Bytes) -> bool:
    """Whether bytes look like a text: no NUL among the first, except in UTF-16."""
    head = data[:8192]
    return not (head == 0).any() or head[:2].tobytes() in (b"\xff\xfe", b"\xfe\xff")


def pieces(file: IO[bytes], overlap: int) -> Iterator[tuple[Bytes, int, int]]:
    """A stream in pieces that overlap: bytes, and the part [since, until) whose starts belong to this piece."""
    kept, since = b"", 0
    while True:
        more = file.read(PIECE)
        data = kept + more
        until = len(data) - overlap if more else len(data)
        if until > since:
            yield np.frombuffer(data, np.uint8), since, until
        else:
            until = since
        if not more:
            return
        first = max(until - overlap, 0)
        kept, since = data[first:], until - first


def _read_parquet(path: Path, wanted: Wanted) -> Read:
    """Every value of every column, and the key-value metadata."""
    total, n_rows = Hits(), 0
    try:
        schema = pq.read_schema(path)
        texts = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
        with pq.ParquetFile(path, read_dictionary=texts) as file:
            judged = [field.name for field in file.schema_arrow if _may_hold(field)]
            n_rows = file.metadata.num_rows
            for group in range(file.num_row_groups if judged else 0):
                table = file.read_row_group(group, columns=judged, use_threads=False)
                for name, column in zip(table.column_names, table.columns, strict=True):
                    for chunk in column.chunks:
                        total += wanted.in_column(name, chunk)
            for key, value in (file.metadata.metadata or {}).items():
                total += wanted.in_bytes(np.frombuffer(key + b"\n" + value, np.uint8))
    except (pa.ArrowException, ValueError) as error:
        return Read(total, n_rows, undecided=f"not readable as Parquet: {str(error).splitlines()[0]}")
    return Read(total, n_rows)


def _may_hold(field: pa.Field) -> bool:
    """Whether values of a column can be ids: texts and numbers, also nested. Vectors of floats, times and DuckLake's numbers cannot."""
    kind = field.type
    if field.name.startswith("_ducklake_internal"):
        return False
    if pa.types.is_nested(kind):
        return any(_may_hold(kind.field(n)) for n in range(kind.num_fields))
    if pa.types.is_floating(kind):
        return holds_users(field.name)
    return not (pa.types.is_temporal(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind))


def read_sqlite(path: Path, wanted: Wanted) -> Iterator[Read]:
    """The tables of a SQLite database, and what is in its bytes besides: free pages, freed parts of pages, the write-ahead log."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as con:
            con.text_factory = bytes
            names = [str(name, "utf-8") for (name,) in con.execute(TABLES).fetchall()]
            for name in names:
                yield _read_table(con, name, wanted)
            yield _read_remains(con, path, wanted)
    except sqlite3.Error as error:
        yield Read(Hits(), undecided=f"not readable as SQLite: {error}")


def _read_table(con: sqlite3.Connection, name: str, wanted: Wanted) -> Read:
    quoted = '"' + name.replace('"', '""') + '"'
    wanted = wanted.telling() if name in TEXTS_OF_PROGRAMS else wanted
    total, n_rows = Hits(), 0
    try:
        cursor = con.execute("select * from " + quoted)
    except sqlite3.OperationalError as error:  # a virtual table of an extension
        return Read(Hits(), part=name, undecided=str(error))
    columns = [description[0] for description in cursor.description]
    while rows := cursor.fetchmany(ROWS):
        n_rows += len(rows)
        for column, values in zip(columns, zip(*rows, strict=True), strict=True):
            texts = [value for value in values if isinstance(value, bytes)]
            if texts:
                total += wanted.in_column(column, pa.array(texts, pa.large_binary()).dictionary_encode())
            numbers = [value for value in values if isinstance(value, int)]
            if numbers:
                total += wanted.in_column(column, pa.array(numbers, pa.int64()))
    return Read(total, n_rows, part=name)


def _read_remains(con: sqlite3.Connection, path: Path, wanted: Wanted) -> Read:
    """Ids in bytes that no row has any more. Rows lie side by side without separators, so bytes that rows explain are left out.

    A compact copy of the database has the bytes of its rows and nothing else; it is made only if there is anything to explain.
    """
    part = "free pages and write-ahead log"
    found = [each for file in (path, *(path.with_name(path.name + end) for end in SIDE_FILES)) for each in _contexts(file, wanted)]
    undecided = ""
    if wanted.is_judging:
        (n_free,) = con.execute("pragma freelist_count").fetchone()
        log = path.with_name(path.name + "-wal")
        n_log = log.stat().st_size if log.exists() else 0
        undecided = f"ids under 8 characters in {n_free:,} free pages and {n_log:,} bytes of write-ahead log" if n_free or n_log else ""
    if not found:
        return Read(Hits(), part=part, undecided=undecided)
    with tempfile.TemporaryDirectory(prefix="minutehand-scan-") as folder:
        copy = Path(folder) / "copy.sqlite"
        con.execute("vacuum into ?", [str(copy)])
        explained = set(_contexts(copy, wanted))
    return Read(Hits(sum(each not in explained for each in found)), part=part, undecided=undecided)


def _contexts(file: Path, wanted: Wanted) -> list[bytes]:
    try:
        with file.open("rb") as opened:
            return [each for data, since, until in pieces(opened, wanted.longest + 32) for each in wanted.contexts(data, since, until)]
    except FileNotFoundError:
        return []


def read_tensors(path: Path, owners: frozenset[int]) -> Read:
    """Windows of a replay memory whose keyed owner is among the given ones. Other tensors hold numbers of items, not of people."""
    with path.open("rb") as file:
        try:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        except (ValueError, MemoryError, OverflowError) as error:
            return Read(Hits(), undecided=f"not readable as safetensors: {error}")
        begin = file.tell()
        total, n_windows, n_unknown = 0, 0, 0
        is_owned = False
        for name, tensor in header.items():
            if name == "memory.is_held_out":
                n_windows = int(np.prod(tensor["shape"]))
            elif tensor.get("dtype") == "I64" and "owner" in name:
                is_owned = True
                file.seek(begin + tensor["data_offsets"][0])
                values = np.frombuffer(file.read(tensor["data_offsets"][1] - tensor["data_offsets"][0]), "<i8")
                n_unknown = int((values == UNKNOWN_OWNER).sum())
                total += int(np.isin(values, np.array(sorted(owners), np.int64)).sum())
    undecided = ""
    n_unknown = n_unknown if is_owned else n_windows
    if n_unknown:
        undecided = f"{n_unknown:,} windows of a replay memory without owners; the next night writes them with owners"
    elif n_windows and not owners:
        undecided = f"{n_windows:,} windows of a replay memory: no keys of this home to compare their owners with"
    return Read(Hits(total), n_windows, undecided=undecided)


def _read_short(path: Path, suffix: str, wanted: Wanted) -> Read:
    """Ids under 8 characters in a file of rows or of text, where they stand in a place that holds people."""
    if not wanted.is_judging or suffix == ".py":
        return Read(Hits())
    opened = PACKED.get(path.suffix, open)
    with opened(path, "rb") as file:
        head = file.read(8192)
        if not is_likely_text(np.frombuffer(head, np.uint8)):
            return Read(Hits(), undecided="ids under 8 characters in a file that is no text" if _may_name_people(path) else "")
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    with io.TextIOWrapper(opened(path, "rb"), encoding=encoding, errors="replace", newline="") as lines:
        if suffix in (".csv", ".tsv", ".txt") and (read := _read_rows(path, lines, wanted)) is not None:
            return read
        lines.seek(0)
        if suffix == ".json":
            return Read(Hits(wanted.in_text(lines.read())))
        n, n_rows = 0, 0
        for line in lines:
            n_rows += 1
            n += wanted.in_text(line)
        return Read(Hits(n), n_rows if suffix in (".jsonl", ".ndjson") else 0)


def _may_name_people(path: Path) -> bool:
    """Whether a file without text could hold ids: figures and archives, not weights and fonts."""
    return path.suffix not in (".safetensors", ".bin", ".ttf", ".pyc", ".png", ".lock")


def _read_rows(path: Path, lines: io.TextIOWrapper, wanted: Wanted) -> Read | None:
    """The columns of people in a table of text; None if the file has no columns."""
    first = lines.readline()
    delimiter = max(DIALECTS, key=first.count)
    if delimiter not in first:
        return None
    names = next(csv.reader([first], delimiter=delimiter))
    mapped, header = _mapped(path)
    is_headless = bool(header) and len(header) == len(names) and not set(header) & set(names)
    columns = header if is_headless else names
    places = [n for n, name in enumerate(columns) if name in mapped or holds_users(name)]
    undecided = "" if places else f"ids under 8 characters: no column is named after people ({', '.join(HOLDERS[:4])}, ...) or mapped"
    nested = [n for n, name in enumerate(columns) if n not in places]
    total, n_rows = 0, 0
    if is_headless:
        lines.seek(0)
    csv.field_size_limit(1 << 30)
    for row in csv.reader(lines, delimiter=delimiter):
        n_rows += 1
        total += sum(wanted.in_short_value(row[n]) for n in places if n < len(row))
        total += sum(wanted.in_text(row[n]) for n in nested if n < len(row) and len(row[n]) > 5)
    return Read(Hits(total), n_rows, undecided=undecided)


def _mapped(path: Path) -> tuple[set[str], list[str]]:
    """The columns that a mapping file reads as user_id, and the names that it gives to columns without a header."""
    stem = path.name.partition(".")[0]
    near = [path.with_name(f"{path.name}.mapping.toml"), path.with_name(f"{stem}.mapping.toml")]
    for file in (*near, *(folder / "mapping.toml" for folder in list(path.parents)[:6])):
        if file.is_file():
            try:
                content = tomllib.loads(file.read_text(encoding="utf-8"))
            except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError):
                continue
            parts = [content, *(part for part in content.values() if isinstance(part, dict))]
            columns: list[Any] = next((part["columns"] for part in parts if isinstance(part.get("columns"), list)), [])
            maps = [part["map"] for part in parts if isinstance(part.get("map"), dict)]
            return {str(each["user_id"]) for each in maps if "user_id" in each}, [str(name) for name in columns]
    return set(), []


def size_of(path: Path) -> int:
    """Bytes of a file and of the files that belong to it."""
    total = 0
    for file in (path, *(path.with_name(path.name + end) for end in SIDE_FILES)):
        if file.is_file():
            total += os.stat(file).st_size
    return total
