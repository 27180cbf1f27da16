"""Finds input files, determines their formats and columns, and reads their rows."""

from __future__ import annotations

import codecs
import glob
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

import duckdb

from models.errors import UserError
from models.visible import visible_line
from tasks.ingest.fields import KNOWN_NAMES, plain
from tasks.ingest.lines import Content, Quoting, header_of, open_bytes, survey
from tasks.ingest.places import Place
from tasks.lake import SHORT_OF, is_disk_full, statement

Format = Literal["text", "parquet", "json_lines", "json_array"]
SUFFIXES: dict[str, Format] = {
    ".csv": "text",
    ".tsv": "text",
    ".parquet": "parquet",
    ".jsonl": "json_lines",
    ".ndjson": "json_lines",
    ".json": "json_lines",
}
KNOWN = ".csv, .tsv, .jsonl, .ndjson, .json (each also with .gz) and .parquet"
DELIMITERS = ",;\t|"
FORMAT_ENDS = tuple(f"{suffix}{packed}" for suffix in SUFFIXES for packed in ("", ".gz"))
NOT_OF_A_FILE = (duckdb.OutOfMemoryException, duckdb.InterruptException, duckdb.FatalException, duckdb.TransactionException)
OWN_FILES = ("staging.duckdb", "duckdb_temp_storage", '/spill"')
"""Names in DuckDB's message if the error concerns minutehand's own files instead of the input."""
NO_DELIMITER = "\x01"  # cannot occur in valid JSON, so that a whole line is one column
DATA_VALUE = re.compile(r"[-+]?\d[\d.,:/ TZ+-]*|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]+", re.IGNORECASE)
"""A number, a time or a UUID: column names hardly ever look like these."""
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*|1\d{9}(\d{3})?")
"""A date with a time, or unix seconds or milliseconds: one such value is enough to treat a line as data."""


@dataclass(frozen=True)
class ColumnMapping:
    """The user's options for the columns of their files.

    columns: field -> column, or a path into a column that holds JSON (items[0].item_id); an empty column leaves the field out.
    names: column names for text files without a header. time_zone: zone of times without one; None uses the setting.
    encoding: encoding of text files that are not UTF-8. place: where the options were given. is_log: whether the rows are changes in their
    order, as in the log of the API, so that the last one counts.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)  # field -> value
    context: tuple[str, ...] = ()
    separator: str | None = None
    predicate: str | None = None
    time_format: str | None = None
    time_zone: str | None = None
    names: tuple[str, ...] = ()
    has_no_quotes: bool = False
    null_words_as_ids: bool = False
    encoding: str | None = None
    is_log: bool = False
    place: Place = field(default_factory=Place)


@dataclass(frozen=True)
class Source:
    """One file and its columns, in order, with their DuckDB types. The view source_rows has these columns under other names.

    Columns with the same name are numbered (id_1, id_2). has_header: false if the first line is a row.
    """

    path: Path
    format: Format
    columns: Mapping[str, str]
    delimiter: str = ","
    has_header: bool = True

    @property
    def is_json(self) -> bool:
        return self.format.startswith("json")


def discover(paths: Sequence[str]) -> list[Path]:
    """The files that paths, globs and folders name: in the given order, and sorted by name within a glob or folder."""
    found: dict[Path, None] = {}
    for path in paths:
        with reading_of(Path(path)):
            files = _expand(path)
            for file in files:
                format_of(file)
            found |= dict.fromkeys(file.resolve() for file in files)
    for file in found:
        if not _is_utf_8(str(file)):  # DuckDB accepts only UTF-8
            raise UserError(f"the name of {visible_line(file.name)} is not UTF-8; rename the file")
    return list(found)


def _expand(path: str) -> list[Path]:
    given = Path(path).expanduser()
    if given.is_dir():
        files = sorted(file for file in given.rglob("*") if file.is_file() and not _is_hidden(file, given) and _suffix(file) in SUFFIXES)
        if not files:
            raise UserError(f"nothing to read in the folder {path}; put files of these kinds there: {KNOWN}")
        return files
    if given.is_file():
        return [given]
    if given.exists():
        raise UserError(f"{path} is no regular file; give files, globs or folders")
    if glob.has_magic(path):
        files = sorted(Path(match) for match in glob.glob(str(given), recursive=True) if Path(match).is_file())
        if files:
            return files
        raise UserError(f"no file matches {path!r}; check the pattern, seen from {Path.cwd()}")
    near = get_close_matches(given.name, [other.name for other in given.parent.iterdir()], n=1) if given.parent.is_dir() else []
    hint = f"did you mean {given.parent / near[0]}?" if near else f"check the path, seen from {Path.cwd()}"
    raise UserError(f"no file {path}; {hint}")


def _is_hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def _suffix(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def format_of(path: Path) -> Format:
    """The format of a file by its name."""
    is_packed = path.name.lower().endswith(".gz")
    known = SUFFIXES.get(_suffix(path))
    if known is None or (is_packed and known == "parquet"):
        raise UserError(f"cannot tell the format of {path.name} from its name; known are {KNOWN}: rename or convert it")
    return known


def inspect(con: duckdb.DuckDBPyConnection, path: Path, mapping: ColumnMapping | None = None, copy: Path | None = None) -> Source:
    """Reads the beginning of a file to find its columns, and creates the view source_rows of its rows.

    copy: path of a repaired copy of its lines, if there is one.
    """
    mapping = mapping or ColumnMapping()
    kind = format_of(path)
    _set(con, "path", literal(copy or path))
    with reading_of(path):
        with path.open("rb") as file:
            if not file.read(1):
                raise UserError(f"{path.name} is empty (0 bytes); export it again, a file without rows still needs its header")
        if kind == "parquet":
            return Source(path, kind, _parquet_columns(con, path))
        return _inspect_text(con, path, mapping) if kind == "text" else _inspect_json(con, path)


def literal(path: Path) -> str:
    """A path for DuckDB's readers in which no character acts as a pattern."""
    return str(path) if "\\" in str(path) else glob.escape(str(path))  # DuckDB does not expand patterns in a name with a backslash


def check_content(path: Path) -> Content:
    """Findings of a pass over the bytes of a file; raises UserError for damaged packed files and endless lines."""
    with reading_of(path):
        kind = format_of(path)
        if kind == "parquet":
            return Content()
        return survey(path, in_lines=kind == "text" or not _is_array(path))


def has_stray_quotes(con: duckdb.DuckDBPyConnection, source: Source) -> bool:
    """Whether some line of a text file does not split on its own: a quoted text continues in the next line, or a quote is stray."""
    with reading_of(source.path):
        _set(con, "path", literal(source.path))
        _read_lines(con, 1, NO_DELIMITER, quote="", has_header=False)
        con.execute(statement("ingest/drop_reject_errors"))
        con.execute(statement("ingest/drop_reject_scans"))
        ((n_stray,),) = con.execute(
            statement("ingest/find_stray_quotes"), {"whole": Quoting(source.delimiter.encode()).pattern()}
        ).fetchall()
        ((n_unread,),) = con.execute(statement("ingest/count_reject_errors")).fetchall()
    return bool(n_stray or n_unread)


@contextmanager
def reading_of(path: Path) -> Iterator[None]:
    """Turns errors while a file is read into a UserError about the file, except errors that the machine caused."""
    try:
        yield
    except (duckdb.Error, OSError, EOFError, zlib.error, UnicodeError) as error:
        if _is_of_the_machine(error):
            raise
        raise unreadable(path, error) from error


def _is_of_the_machine(error: Exception) -> bool:
    """Whether any other file would cause the same error: disk full, no memory, no file handles, an interrupt, our own files."""
    if isinstance(error, OSError):
        return error.errno in SHORT_OF
    if not isinstance(error, duckdb.Error):
        return False
    signs = (*OWN_FILES, *(os.strerror(code) for code in SHORT_OF))
    return isinstance(error, NOT_OF_A_FILE) or is_disk_full(error) or any(sign in str(error) for sign in signs)


def unreadable(path: Path, error: Exception) -> UserError:
    """The error for a file that no reader can read, with its remedy."""
    name = visible_line(path.name)
    if isinstance(error, UnicodeDecodeError):
        return UserError(f"{name} is not {error.encoding} text ({error.reason} at byte {error.start}); name its own encoding")
    if isinstance(error, PermissionError):
        return UserError(f"cannot read {name}: {error.strerror}; let the user who runs this read it, then take it in again")
    if isinstance(error, FileNotFoundError):
        return UserError(f"cannot read {name}: it is no longer there; put it back, and take it in again")
    if isinstance(error, OSError) and error.strerror:
        return UserError(f"cannot read {name}: {error.strerror}; copy it again from its source, and take it in again")
    if path.name.lower().endswith(".gz") and isinstance(error, OSError | EOFError | zlib.error):
        return UserError(f"cannot unpack {name}: {error}; it is cut short or damaged: copy it again, or export it again")
    first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return UserError(f"cannot read {name} as {_suffix(path).lstrip('.')}: {first_line}; open it to see what it is, or export it again")


def _is_utf_8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _parquet_columns(con: duckdb.DuckDBPyConnection, path: Path) -> dict[str, str]:
    """The columns under their names in the file: DuckDB renames some, and folders called name=value add or replace others."""
    fields = iter(con.execute(statement("ingest/parquet_fields")).fetchall())
    names: list[str] = []
    _, n_fields = next(fields)

    def skip(n_children: int | None) -> None:
        for _ in range(n_children or 0):
            skip(next(fields)[1])

    for _ in range(n_fields or 0):
        name, n_children = next(fields)
        names.append(name)
        skip(n_children)
    folders = {part.partition("=")[0].lower() for part in path.parent.parts if "=" in part}
    _set(con, "has_partitions", bool(folders) and not folders & {name.lower() for name in names})
    con.execute(statement("ingest/read_parquet"))
    relation = con.view("source_rows")
    names += relation.columns[len(names) :]
    return dict(zip(_distinct(names), (str(kind) for kind in relation.types), strict=True))


def _distinct(names: Sequence[str]) -> list[str]:
    """Distinct names: blank names become columnN, and repeated names are numbered."""
    bare = [name.strip().replace("\0", "") or f"column{place}" for place, name in enumerate(names)]
    counts, seen, found = Counter(bare), Counter[str](), []
    taken = set(bare)
    for name in bare:
        seen[name] += 1
        numbered = f"{name}_{seen[name]}" if counts[name] > 1 else name
        while numbered != name and numbered in taken:
            numbered += "_"
        taken.add(numbered)
        found.append(numbered)
    return found


def _set(con: duckdb.DuckDBPyConnection, name: str, value: object) -> None:
    con.execute(statement(f"ingest/variables/{name}"), {"value": value})


def _inspect_text(con: duckdb.DuckDBPyConnection, path: Path, mapping: ColumnMapping) -> Source:
    place = mapping.place
    try:
        header, delimiter = header_of(path, "\t" if _suffix(path) == ".tsv" else DELIMITERS)
    except UnicodeDecodeError as error:
        raise _not_utf_8(path, error, place) from error
    if not any(name.strip() for name in header):
        raise UserError(f"{path.name} has no header; its first line must name the columns")
    names, has_header = _distinct(header), True
    if mapping.names:
        if len(mapping.names) != len(header):
            raise UserError(
                f"{place.option('columns')} gives {len(mapping.names)} names, but the first line of {path.name} has "
                f"{len(header)} columns; name every column, in their order"
            )
        names, has_header = _distinct(mapping.names), False
    elif _is_data(header):
        wanted = [column for column in (*mapping.columns.values(), *mapping.context) if column]
        if not wanted or not set(wanted) <= set(names):
            values = ", ".join(header[:6]) + (", ..." if len(header) > 6 else "")
            raise UserError(
                f"the first line of {path.name} looks like data ({values}), not like names; "
                f"name its {len(header)} columns, in their order, with {place.option('columns', 'NAME,NAME,...')}{place.within}"
            )
        has_header = False
    _read_lines(con, len(names), delimiter, quote="" if mapping.has_no_quotes else '"', has_header=has_header)
    return Source(path, "text", dict.fromkeys(names, "VARCHAR"), delimiter, has_header)


def _not_utf_8(path: Path, error: UnicodeDecodeError, place: Place) -> UserError:
    """The error for a header that is not UTF-8, with a proposed encoding."""
    with open_bytes(path) as file:
        is_utf_16 = file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    likely = "utf-16" if is_utf_16 else "cp1252"
    others = "" if is_utf_16 else " (Western Europe) or gb18030 (Chinese)"
    return UserError(
        f"{visible_line(path.name)} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8, "
        f"or let ingest read it with {place.option('encoding', likely)}{others}{place.within}"
    )


def _is_data(header: Sequence[str]) -> bool:
    """Whether a first line holds values, not names: it has a date with a time, or a third of it is numbers, times or UUIDs."""
    n_values = sum(bool(DATA_VALUE.fullmatch(name.strip())) for name in header)
    has_moment = any(MOMENT.fullmatch(name.strip()) for name in header)
    return (has_moment or 3 * n_values >= len(header)) and not any(plain(name) in KNOWN_NAMES for name in header)


def _read_lines(con: duckdb.DuckDBPyConnection, n_columns: int, delimiter: str, *, quote: str, has_header: bool) -> None:
    columns = {f"c{place}": "VARCHAR" for place in range(n_columns)}
    for name, value in (("columns", columns), ("delimiter", delimiter), ("quote", quote), ("has_header", has_header)):
        _set(con, name, value)
    con.execute(statement("ingest/read_csv"))


def _is_array(path: Path) -> bool:
    with open_bytes(path) as text:
        return text.read(4096).removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"[")


def _inspect_json(con: duckdb.DuckDBPyConnection, path: Path) -> Source:
    is_array = _is_array(path)
    if is_array:
        con.execute(statement("ingest/read_json_array"))
    else:
        _read_lines(con, 1, NO_DELIMITER, quote="", has_header=False)
    keys = [name for (name,) in con.execute(statement("ingest/json_keys")).fetchall()]
    return Source(path, "json_array" if is_array else "json_lines", dict.fromkeys(keys, "VARCHAR"))
