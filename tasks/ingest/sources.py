"""Input files: which there are, what columns they have, and which column is which field."""

from __future__ import annotations

import codecs
import csv
import glob
import gzip
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import IO, Literal

import duckdb

from models.errors import UserError
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
CHUNK_BYTES = 1 << 20
NOT_OF_A_FILE = (duckdb.OutOfMemoryException, duckdb.InterruptException, duckdb.FatalException, duckdb.TransactionException)
OWN_FILES = ("staging.duckdb", "duckdb_temp_storage", '/spill"')
"""What DuckDB's message names where it is not the input that cannot be read or written."""
NO_DELIMITER = "\x01"  # cannot stand in valid JSON: a whole line is one column
DOCUMENT = "__document"  # the raw line of a JSON file, beside the columns of its keys
# Names that say which field a column is, lower case without blanks and signs; a tier is asked only where those before it are silent.
Aliases = Mapping[str, Sequence[str]]
EVENT_ALIASES: Aliases = {
    "event_id": ("eventid", "eventuuid"),
    "user_id": (
        "userid",
        "user customerid customer visitorid visitor memberid clientid accountid studentid learnerid readerid reviewerid",
        "sessionid session",
    ),
    "item_id": (
        "itemid",
        "item productid product movieid movie sku asin articleid article stockcode videoid trackid songid bookid courseid contentid",
    ),
    "event_type": ("eventtype", "type event action eventname behavior behaviour activity"),
    "value": ("value", "rating stars score quantity qty amount"),
    "query": ("query", "searchquery searchterm searchterms searchtext"),
    "occurred_at": ("occurredat", "timestamp ts time datetime eventtime eventtimestamp createdat unixtime", "date day"),
    "context": ("context",),
}
ITEM_ALIASES: Aliases = {
    "item_id": EVENT_ALIASES["item_id"],
    "title": ("title", "name productname itemname itemtitle movietitle producttitle"),
    "description": ("description", "desc itemdescription productdescription summary overview plot"),
    "categories": ("categories", "category genres genre"),
    "tags": ("tags", "labels keywords"),
    "price": ("price", "unitprice listprice"),
    "is_available": ("isavailable", "available instock isactive"),
}


@dataclass(frozen=True)
class ColumnMapping:
    """What the user said about the columns of his files."""

    columns: Mapping[str, str] = field(default_factory=dict)  # field -> column; an empty column leaves the field out
    constants: Mapping[str, str] = field(default_factory=dict)  # field -> value
    context: tuple[str, ...] = ()
    separator: str | None = None
    predicate: str | None = None
    time_format: str | None = None


@dataclass(frozen=True)
class Source:
    """One file and its columns, in order, with their DuckDB types."""

    path: Path
    format: Format
    columns: Mapping[str, str]
    delimiter: str = ","


def discover(paths: Sequence[str]) -> list[Path]:
    """The readable files behind files, globs and folders: in the order given, those of one glob or folder by name."""
    found: dict[Path, None] = {}
    for path in paths:
        with reading_of(Path(path)):
            files = _expand(path)
            for file in files:
                format_of(file)
            found |= dict.fromkeys(file.resolve() for file in files)
    for file in found:
        if shown(str(file)) != str(file):  # DuckDB takes no such text
            raise UserError(f"the name of {shown(file.name)} is not UTF-8; rename the file")
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
    """The format that a file's name promises."""
    is_packed = path.name.lower().endswith(".gz")
    known = SUFFIXES.get(_suffix(path))
    if known is None or (is_packed and known == "parquet"):
        raise UserError(f"cannot tell the format of {path.name} from its name; known are {KNOWN}: rename or convert it")
    return known


def inspect(con: duckdb.DuckDBPyConnection, path: Path) -> Source:
    """Reads as much of a file as it takes to know its columns, and leaves its rows in the view source_rows."""
    kind = format_of(path)
    _set(con, "path", glob.escape(str(path)))
    with reading_of(path):
        with path.open("rb") as file:
            if not file.read(1):
                raise UserError(f"{path.name} is empty (0 bytes); export it again, a file without rows still needs its header")
        if kind == "parquet":
            con.execute(statement("ingest/read_parquet"))
            return Source(path, kind, _columns(con))
        return _inspect_text(con, path) if kind == "text" else _inspect_json(con, path)


def check_packing(path: Path) -> None:
    """Refuses a packed file that is cut short or damaged: DuckDB checks no sum, reads what comes out, and may turn for ever at a cut."""
    if not path.name.lower().endswith(".gz"):
        return
    with reading_of(path), gzip.open(path) as packed:
        while packed.read(CHUNK_BYTES):
            pass


@contextmanager
def reading_of(path: Path) -> Iterator[None]:
    """Turns whatever goes wrong while a file is read into a UserError about the file, except what is the machine's fault."""
    try:
        yield
    except (duckdb.Error, OSError, EOFError, zlib.error, UnicodeError, csv.Error) as error:
        if _is_of_the_machine(error):
            raise
        raise unreadable(path, error) from error


def _is_of_the_machine(error: Exception) -> bool:
    """Whether another file would have met the same error: no room, no memory, no handles, an interrupt, our own files."""
    if isinstance(error, OSError):
        return error.errno in SHORT_OF
    if not isinstance(error, duckdb.Error):
        return False
    signs = (*OWN_FILES, *(os.strerror(code) for code in SHORT_OF))
    return isinstance(error, NOT_OF_A_FILE) or is_disk_full(error) or any(sign in str(error) for sign in signs)


def unreadable(path: Path, error: Exception) -> UserError:
    """What to tell the user about a file that no reader can make sense of."""
    name = shown(path.name)
    if isinstance(error, UnicodeDecodeError):
        return UserError(f"{name} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8")
    if isinstance(error, PermissionError):
        return UserError(f"cannot read {name}: {error.strerror}; let the user who runs this read it, then take it in again")
    if isinstance(error, FileNotFoundError):
        return UserError(f"cannot read {name}: it is no longer there; put it back, and take it in again")
    if isinstance(error, OSError) and error.strerror:
        return UserError(f"cannot read {name}: {error.strerror}; copy it anew from where it came, and take it in again")
    if path.name.lower().endswith(".gz") and isinstance(error, OSError | EOFError | zlib.error):
        return UserError(f"cannot unpack {name}: {error}; it is cut short or damaged: copy it anew, or export it again")
    first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return UserError(f"cannot read {name} as {_suffix(path).lstrip('.')}: {first_line}; open it to see what it is, or export it again")


def shown(name: str) -> str:
    """A name, or a text with names in it, that can be printed and stored: bytes that are no UTF-8 are spelt out."""
    return name.encode("utf-8", errors="backslashreplace").decode("utf-8")


def _columns(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    relation = con.view("source_rows")
    return {name: str(kind) for name, kind in zip(relation.columns, relation.types, strict=True)}


def _set(con: duckdb.DuckDBPyConnection, name: str, value: object) -> None:
    con.execute(statement(f"ingest/variables/{name}"), {"value": value})


def _open_bytes(path: Path) -> IO[bytes] | gzip.GzipFile:
    return gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")


def _inspect_text(con: duckdb.DuckDBPyConnection, path: Path) -> Source:
    with _open_bytes(path) as lines:
        first_line = lines.readline().decode("utf-8-sig")
    delimiter = "\t" if _suffix(path) == ".tsv" else max(DELIMITERS, key=first_line.count)
    header = next(csv.reader([first_line], delimiter=delimiter), [])
    if not first_line.strip():
        raise UserError(f"{path.name} has no header; its first line must name the columns")
    columns = dict.fromkeys([name.strip() or f"column{place}" for place, name in enumerate(header)], "VARCHAR")
    _must_differ(path, header, columns)
    _read_lines(con, columns, delimiter, quote='"', has_header=True)
    return Source(path, "text", columns, delimiter)


def _must_differ(path: Path, header: Sequence[str], columns: Mapping[str, str]) -> None:
    if len({name.lower() for name in columns}) < len(header):
        raise UserError(f"two columns of {path.name} have the same name, but for case ({', '.join(header)}); rename one")


def _read_lines(con: duckdb.DuckDBPyConnection, columns: Mapping[str, str], delimiter: str, *, quote: str, has_header: bool) -> None:
    for name, value in (("columns", dict(columns)), ("delimiter", delimiter), ("quote", quote), ("has_header", has_header)):
        _set(con, name, value)
    con.execute(statement("ingest/read_csv"))


def _inspect_json(con: duckdb.DuckDBPyConnection, path: Path) -> Source:
    with _open_bytes(path) as text:
        is_array = text.read(4096).removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"[")
    if is_array:
        con.execute(statement("ingest/read_json_array"))
    else:
        _read_lines(con, {"document": "VARCHAR"}, NO_DELIMITER, quote="", has_header=False)
    keys = [name for (name,) in con.execute(statement("ingest/json_keys")).fetchall()]
    columns = dict.fromkeys(keys, "VARCHAR")
    _must_differ(path, keys, columns)
    document = duckdb.ColumnExpression("document")
    parsed = duckdb.FunctionExpression("json_or_null", document)
    pointers = [duckdb.ConstantExpression(_pointer(name)) for name in keys]
    fields = [duckdb.FunctionExpression("json_extract_string", parsed, pointer) for pointer in pointers]
    named = [expression.alias(name) for expression, name in zip(fields, keys, strict=True)]
    is_blank = duckdb.FunctionExpression("tidy", document).isnull()
    con.view("source_rows").filter(~is_blank).select(*named, document.alias(DOCUMENT)).create_view("source_documents", replace=True)
    return Source(path, "json_array" if is_array else "json_lines", columns)


def _pointer(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def check_fields(mapping: ColumnMapping, aliases: Aliases, kind: str) -> None:
    """Refuses fields that events or items do not have, and fields that are given twice."""
    for name in (*mapping.columns, *mapping.constants):
        if name not in aliases:
            near = get_close_matches(name, aliases, n=1)
            hint = f"did you mean {near[0]}?" if near else f"keep other columns of events with --context {name}"
            raise UserError(f"{kind} have no field {name!r} (they have {', '.join(aliases)}); {hint}")
    for name in mapping.columns.keys() & mapping.constants.keys():
        raise UserError(f"{name} is given by --map and by --set; keep one")
    if "context" in mapping.columns and mapping.context:
        raise UserError("context is given by --map and by --context; keep one")


def resolve(source: Source, mapping: ColumnMapping, aliases: Aliases, required: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Which column is which field, and what was guessed, in words.

    Raises UserError for a column that is not there, a field that could be several columns, and a required field without one.
    """
    chosen = {name: _existing(source, name, column) for name, column in mapping.columns.items() if column}
    taken = {*chosen.values(), *(_existing(source, "context", column) for column in mapping.context)}
    notes = []
    for name, tiers in aliases.items():
        if name in mapping.columns or name in mapping.constants or (name == "context" and mapping.context):
            continue
        column = _guess(source, name, tiers, taken)
        if column is not None:
            chosen[name] = column
            if column != name:
                notes.append(f"{source.path.name}: took column {column} as {name}")
    for name in required:
        if name not in chosen and name not in mapping.constants:
            near = get_close_matches(name, source.columns, n=1, cutoff=0.3) or [next(iter(set(source.columns) - taken), "COLUMN")]
            raise _missing(source, name, name, near[0])
    return chosen, notes


def _existing(source: Source, name: str, column: str) -> str:
    if column in source.columns:
        return column
    same = [other for other in source.columns if other.lower() == column.lower()]
    if same:
        return same[0]
    near = get_close_matches(column, source.columns, n=1, cutoff=0.3) or [next(iter(source.columns), "COLUMN")]
    raise _missing(source, column, name, near[0])


def _missing(source: Source, column: str, name: str, candidate: str) -> UserError:
    found = ", ".join(source.columns) or "none"
    option = f"--context {candidate}" if name == "context" else f"--map {name}={candidate}"
    return UserError(f"no column {column!r} in {source.path.name} (found: {found}); map it with {option}")


def _guess(source: Source, name: str, tiers: Sequence[str], taken: set[str]) -> str | None:
    free = [column for column in source.columns if column not in taken]
    if name in free:
        return name
    for tier in tiers:
        found = [column for column in free if _plain(column) in tier.split()]
        if len(found) > 1:
            raise UserError(
                f"{name} could be any of {', '.join(found)} in {source.path.name}; choose with --map {name}={found[0]}"
                + (f", or leave it out with --map {name}=" if name not in ("user_id", "item_id", "occurred_at") else "")
            )
        if found:
            return found[0]
    return None
