"""Files become rows of raw.events and raw.items: mapped, checked, deduplicated, in one lake transaction."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import duckdb
import polars as pl
from filelock import FileLock, Timeout

from models.errors import UserError
from models.visible import visible_line
from tasks.config import IngestConfig
from tasks.ingest.columns import check_fields, pointer, resolve, split_path
from tasks.ingest.fields import EVENT_ALIASES, ITEM_ALIASES
from tasks.ingest.lines import Content, Mended, mend
from tasks.ingest.sources import NO_DELIMITER, ColumnMapping, Source, check_content, discover, has_stray_quotes, inspect, reading_of
from tasks.ingest.times import day_order, set_zones, zone_notes
from tasks.lake import Lake, explained, quote, statement, writing

Kind = Literal["events", "items"]
ALIASES = {"events": EVENT_ALIASES, "items": ITEM_ALIASES}
REQUIRED: dict[Kind, tuple[str, ...]] = {"events": ("user_id", "item_id", "occurred_at"), "items": ("item_id",)}
MACROS = (
    "tidy",
    "plain_number",
    "plain_decimal",
    "as_id",
    "as_bare_number",
    "as_number",
    "time_number",
    "compact_time",
    "unix_time",
    "plain_time",
    "time_parts",
    "calendar_date",
    "local_time",
    "as_utc",
    "as_list",
    "json_or_null",
    "is_json_object",
    "is_nested",
    "availability",
    "explain",
    "content",
)
N_REASONS = 5
N_PEEKED = 1000
"""Rows that are looked at before the whole file is asked how its times and numbers are written."""


@dataclass(frozen=True)
class Summary:
    """What became of the rows of one run; rows read = new + changed + duplicate + rejected."""

    kind: Kind
    files: int
    read: int
    new: int
    changed: int
    duplicate: int
    rejected: int
    values_refused: int
    cut: int
    seconds: float
    reasons: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """The numbers alone, for a table."""
        return {name: value for name, value in asdict(self).items() if name not in ("reasons", "notes")}


def ingest(lake: Lake, kind: Kind, paths: Sequence[str], mapping: ColumnMapping, config: IngestConfig) -> Summary:
    """Take files, globs and folders into raw.events or raw.items; refused rows go to raw.rejected.

    The same rows again change nothing. All of it is one transaction: killed at any point, the next run starts afresh.
    Raises UserError for a file that cannot be read, whatever ails it, and for a mapping that does not fit; LakeError for a full disk.
    """
    started = time.monotonic()
    check_fields(mapping, ALIASES[kind], kind)
    files = discover(paths)
    with explained(), workspace(lake) as folder:
        with duckdb.connect(str(folder / "staging.duckdb")) as con:
            confine(con, folder, config)
            notes = stage(con, kind, files, mapping, config, folder)
        with writing(lake) as con:
            confine(con, folder, config)
            con.execute(f"attach {quote(str(folder / 'staging.duckdb'))} as staging (read_only)")
            counts, reasons = merge(con, kind)
    n_rest = counts["n_read"] - counts["n_new"] - counts["n_changed"] - counts["n_rejected"]
    return Summary(
        kind=kind,
        files=len(files),
        read=counts["n_read"],
        new=counts["n_new"],
        changed=counts["n_changed"],
        duplicate=n_rest,
        rejected=counts["n_rejected"],
        values_refused=counts["n_values"],
        cut=counts["n_cut"],
        seconds=round(time.monotonic() - started, 2),
        reasons=reasons,
        notes=notes,
    )


def confine(con: duckdb.DuckDBPyConnection, folder: Path, config: IngestConfig) -> None:
    """Keep memory constant: what does not fit goes to the folder. Times without a zone are UTC."""
    con.execute(f"set memory_limit = {quote(f'{config.memory_mb}MB')}")
    con.execute(f"set temp_directory = {quote(str(folder / 'spill'))}")
    con.execute("set timezone = 'UTC'")
    con.execute("set enable_progress_bar = false")  # it would go to stdout, where the result goes


@contextmanager
def workspace(lake: Lake) -> Iterator[Path]:
    """A folder for this run's intermediate rows; also removes those of runs that were killed."""
    root = lake.lock_path.parent / "staging"
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / "sweep.lock", timeout=lake.lock_timeout_s):
        _sweep(root)
        folder = Path(tempfile.mkdtemp(dir=root))
        alive = FileLock(f"{folder}.lock")
        alive.acquire()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        alive.release()
        Path(alive.lock_file).unlink(missing_ok=True)


def _sweep(root: Path) -> None:
    for folder in root.iterdir():
        if folder.is_dir():
            lock = FileLock(f"{folder}.lock")
            try:
                with lock.acquire(timeout=0):
                    shutil.rmtree(folder, ignore_errors=True)
            except Timeout:  # its run is still at work
                continue
            Path(lock.lock_file).unlink(missing_ok=True)


def define_macros(con: duckdb.DuckDBPyConnection) -> None:
    """The functions of sql/ingest/macros, for this connection."""
    for name in MACROS:
        con.execute(statement(f"ingest/macros/{name}"))


def prepare(con: duckdb.DuckDBPyConnection, mapping: ColumnMapping, config: IngestConfig) -> str:
    """The macros and what they look up, for this connection; gives the zone of times without one. Raises UserError for none such."""
    define_macros(con)
    for name, value in (("separator", mapping.separator), ("time_format", mapping.time_format)):
        con.execute(statement(f"ingest/variables/{name}"), {"value": value})
    con.execute(statement("ingest/variables/null_words_as_ids"), {"value": mapping.null_words_as_ids or config.null_words_as_ids})
    return set_zones(con, mapping.time_zone or config.time_zone, mapping.time_format)


def stage(
    con: duckdb.DuckDBPyConnection, kind: Kind, files: Sequence[Path], mapping: ColumnMapping, config: IngestConfig, folder: Path
) -> list[str]:
    """Map and check every row of the files into the table staged; says what was guessed, mended and is doubtful.

    Every file's columns are resolved before the first file is staged, so that a wrong mapping costs no time.
    """
    zone = prepare(con, mapping, config)
    for name in ("create_files", "create_malformed", f"create_staged_{kind}"):
        con.execute(statement(f"ingest/{name}"))
    notes: list[str] = []
    fields = set(mapping.constants)
    contents: list[Content] = []
    for file in files:
        contents.append(check_content(file))
        chosen, guessed = resolved(con, inspect(con, file, mapping), kind, mapping)
        fields |= set(chosen)
        notes += guessed
    notes = _shortened(notes)
    for number, (file, content) in enumerate(zip(files, contents, strict=True)):
        with mended(con, file, content, mapping, folder) as (source, found):
            notes += _line_notes(source, found)
            with reading_of(file):
                map_columns(con, source, kind, resolved(con, source, kind, mapping)[0], mapping)
                _stage_file(con, kind, number, source, mapping, config)
            if found.lost:
                _add_lost(con, number, source, found)
    notes += zone_notes(con, zone) if kind == "events" else []
    return notes + _hints(con, kind, mapping, fields)


@contextmanager
def mended(
    con: duckdb.DuckDBPyConnection, path: Path, content: Content, mapping: ColumnMapping, folder: Path
) -> Iterator[tuple[Source, Mended]]:
    """A file as DuckDB can read it: itself, or for a while a copy in the folder whose stray quotes and overlong lines swallow no row."""
    source = inspect(con, path, mapping)
    has_quotes = source.format == "text" and content.has_quotes and not mapping.has_no_quotes
    if source.format not in ("text", "json_lines") or not (content.is_odd or (has_quotes and has_stray_quotes(con, source))):
        yield inspect(con, path, mapping), Mended()
        return
    copy = folder / f"lines{''.join(path.suffixes[-2:]).lower().removesuffix('.gz')[-8:]}"
    with reading_of(path):
        delimiter = source.delimiter if source.format == "text" else NO_DELIMITER
        n_columns = len(source.columns) if source.format == "text" else 1
        found = mend(path, copy, delimiter.encode(), n_columns, has_quotes=has_quotes)
    yield inspect(con, path, mapping, copy), found
    copy.unlink()


def read_whole(con: duckdb.DuckDBPyConnection, path: Path, mapping: ColumnMapping, folder: Path) -> pl.DataFrame:
    """Every row of a file that can be read, under the names that the file gives its columns."""
    with mended(con, path, check_content(path), mapping, folder) as (source, _):
        names = sql_names(source.columns)
        return rows_of(con, source)[0].pl().select(names).rename(dict(zip(names, source.columns, strict=True)))


def _line_notes(source: Source, found: Mended) -> list[str]:
    """What was odd about the quotes of a file; lines are counted from 1 below the header."""
    name, n_header = visible_line(source.path.name), int(source.has_header)
    notes = []
    if found.n_stray:
        notes.append(
            f"{name}: {found.n_stray:,} lines have a quote that is not closed where its field ends; it was taken as text "
            f"(the first is {_line(found.first_stray - n_header)}); if the file has no quoting at all, say so with --no-quotes"
        )
    if found.n_doubtful:
        notes.append(
            f"{name}: {found.n_doubtful:,} quoted texts span lines that could be rows of their own "
            f"(the first is {_line(found.first_doubtful - n_header)}); if the file has no quoting, say so with --no-quotes"
        )
    if found.lost:
        notes.append(
            f"{name}: {len(found.lost):,} lines cannot be split into columns (the first is {_line(found.lost[0].line - n_header)})"
        )
    return notes


def _line(number: int) -> str:
    return f"line {number}" if number else "the header"


def _add_lost(con: duckdb.DuckDBPyConnection, number: int, source: Source, found: Mended) -> None:
    """Gives the placeholders of lost lines the reason and the text of the line itself."""
    lost = [
        {"line": one.line - int(source.has_header and source.format == "text"), "text": one.text, "rule": one.rule} for one in found.lost
    ]
    con.execute(statement("ingest/name_lost"), {"file_no": number, "lost": lost})


def resolved(con: duckdb.DuckDBPyConnection, source: Source, kind: Kind, mapping: ColumnMapping) -> tuple[dict[str, str], list[str]]:
    """Which column is which field, and what was guessed; a source of searches alone needs no items, one without rows nothing."""
    if not source.columns:
        return {}, [f"{source.path.name}: no rows"]
    chosen, notes = resolve(con, source, mapping, ALIASES[kind], ())
    required = [name for name in REQUIRED[kind] if name != "item_id" or "query" not in chosen]
    resolve(con, source, mapping, ALIASES[kind], required)
    return chosen, notes


def map_columns(con: duckdb.DuckDBPyConnection, source: Source, kind: Kind, chosen: Mapping[str, str], mapping: ColumnMapping) -> None:
    """Leave the rows of a source in the view mapped: every field as text (null where it has no column) and the row as JSON."""
    rows, place = rows_of(con, source, named=bool(mapping.predicate))
    null = duckdb.ConstantExpression(None).cast("varchar")
    fields = []
    for name in ALIASES[kind]:
        if name in mapping.constants:
            expression = duckdb.ConstantExpression(mapping.constants[name])
        elif name in chosen:
            expression = text_of(source, chosen[name], place)
        else:
            expression = null
        if name == "context" and mapping.context:
            expression = as_json(source, sorted(mapping.context), place)
        fields.append(expression.cast("varchar").alias(name))
    document = _column(place, 0)
    is_object = duckdb.FunctionExpression("is_json_object", document) if source.is_json else duckdb.ConstantExpression(True)
    whole_row = document if source.is_json else as_json(source, list(source.columns), place)
    predicate = duckdb.SQLExpression(f"try({mapping.predicate})") if mapping.predicate else duckdb.ConstantExpression(True)
    verdicts = [is_object.alias("is_document"), predicate.alias("passes"), whole_row.cast("varchar").alias("row_json")]
    try:
        rows.select(*fields, *verdicts).create_view("mapped", replace=True)
        con.view("mapped").limit(N_PEEKED).create_view("first_rows", replace=True)
    except duckdb.Error as error:
        if not mapping.predicate:
            raise
        columns = ", ".join(source.columns) + (
            "" if source.format == "parquet" else "; all are text: compare numbers as in price::double > 5"
        )
        raise UserError(
            f"--where {mapping.predicate!r} does not fit {source.path.name}: {str(error).splitlines()[0]}; its columns are {columns}"
        ) from error


def rows_of(con: duckdb.DuckDBPyConnection, source: Source, *, named: bool = True) -> tuple[duckdb.DuckDBPyRelation, str]:
    """The rows of the file whose view source_rows is, and what the names of its columns begin with: their places follow.

    Of JSON the one column is the whole document. named: whether the columns are there under the names of the file as well. Names that
    differ in case only, which are one name in SQL, are then numbered.
    """
    rows = con.view("source_rows")
    names = sql_names(source.columns) if named else []
    place = "c"
    while any(name.lower().startswith(place) for name in names):
        place = f"_{place}"
    rows = rows.select(*(duckdb.SQLExpression(f"#{number + 1}").alias(f"{place}{number}") for number in range(len(rows.columns))))
    if source.is_json:
        rows = rows.filter(~duckdb.FunctionExpression("tidy", _column(place, 0)).isnull())
    if not named:
        return rows, place
    if source.is_json:
        columns = [_within(_column(place, 0), pointer(key)) for key in source.columns]
    else:
        columns = [_column(place, number) for number in range(len(names))]
    return rows.select(duckdb.StarExpression(), *(one.alias(name) for one, name in zip(columns, names, strict=True))), place


def sql_names(columns: Iterable[str]) -> list[str]:
    """The names of columns in SQL, where case makes no difference and no name is empty."""
    names = [name or "column" for name in columns]
    lower = Counter(name.lower() for name in names)
    found: list[str] = []
    taken = set(lower)
    for name in names:
        numbered = name if lower[name.lower()] == 1 else f"{name}_{sum(one.lower().startswith(name.lower()) for one in found) + 1}"
        while lower[name.lower()] > 1 and numbered.lower() in taken:
            numbered += "_"
        taken.add(numbered.lower())
        found.append(numbered)
    return found


def _column(place: str, number: int) -> duckdb.Expression:
    """A column by its place, so that whatever the file calls it, no parser reads it."""
    return duckdb.ColumnExpression(f"{place}{number}")


def _within(document: duckdb.Expression, path: str) -> duckdb.Expression:
    parsed = duckdb.FunctionExpression("json_or_null", document)
    return duckdb.FunctionExpression("json_extract_string", parsed, duckdb.ConstantExpression(path))


def text_of(source: Source, path: str, place: str) -> duckdb.Expression:
    """A column, or what a path leads to in it, as text: floats without a needless '.0', nested values as JSON."""
    split = split_path(source, path)
    assert split is not None, path
    column, inner = split
    if source.is_json:
        return _within(_column(place, 0), pointer(column) + inner)
    number = list(source.columns).index(column)
    text = as_text(_column(place, number), source.columns[column])
    return _within(text, inner) if inner else text


def as_text(expression: duckdb.Expression, kind: str) -> duckdb.Expression:
    """A value of a DuckDB type as text."""
    if kind.startswith(("FLOAT", "DOUBLE")):
        return duckdb.FunctionExpression("plain_number", expression.cast("double"))
    if kind.startswith("DECIMAL"):
        return duckdb.FunctionExpression("plain_decimal", expression.cast("varchar"))
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION")):
        return duckdb.FunctionExpression("to_json", expression).cast("varchar")
    return expression.cast("varchar")


def as_json(source: Source, columns: Sequence[str], place: str) -> duckdb.Expression:
    """Columns as one JSON object of texts."""
    by_lower = {name.lower(): name for name in source.columns}
    parts: list[duckdb.Expression] = []
    for name in columns:
        own = name if name in source.columns else by_lower[name.lower()]
        parts += [duckdb.ConstantExpression(own), text_of(source, own, place)]
    return duckdb.FunctionExpression("json_object", *parts)


def _stage_file(
    con: duckdb.DuckDBPyConnection, kind: Kind, number: int, source: Source, mapping: ColumnMapping, config: IngestConfig
) -> None:
    con.execute(statement("ingest/add_file"), {"file_no": number, "source": str(source.path)})
    con.execute(statement("ingest/peek_rows"))
    con.execute(statement("ingest/variables/decimal_mark"), {"value": decimal_mark(con, kind)})
    params: dict[str, object] = {"file_no": number, "predicate": mapping.predicate, "max_chars": config.max_text_chars}
    if kind == "events":
        con.execute(statement("ingest/variables/day_first"), {"value": day_order(con, mapping.time_format)})
        params["latest"] = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=config.future_tolerance_hours)
        params["earliest"] = datetime(max(config.earliest_year, 1), 1, 1)
    con.execute(statement("ingest/drop_reject_errors"))
    con.execute(statement("ingest/drop_reject_scans"))
    try:
        con.execute(statement(f"ingest/stage_{kind}"), params)
    except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
        if mapping.time_format and "format" in str(error).lower():
            raise UserError(
                f"--time-format {mapping.time_format!r} is no strptime format: {error}; an example is '%m/%d/%Y %H:%M'"
            ) from error
        raise
    if source.format in ("text", "json_lines"):
        con.execute(statement("ingest/add_malformed"), {"file_no": number, "n_header": int(source.format == "text" and source.has_header)})


def decimal_mark(con: duckdb.DuckDBPyConnection, kind: Kind) -> str | None:
    """The mark between whole and fraction in the numbers of the view mapped; None where they do not decide it."""
    if con.execute(statement(f"ingest/peek_decimal_mark_{kind}")).fetchone() == (0,):
        return None
    row = con.execute(statement(f"ingest/find_decimal_mark_{kind}")).fetchone()
    return row[0] if row else None


def _shortened(notes: Sequence[str]) -> list[str]:
    return list(notes) if len(notes) <= 8 else [*notes[:8], f"and {len(notes) - 8} more like these"]


def _hints(con: duckdb.DuckDBPyConnection, kind: Kind, mapping: ColumnMapping, fields: set[str]) -> list[str]:
    if mapping.separator and not fields & {"categories", "tags"}:
        told = f"--split {mapping.separator!r} splits nothing: no column is categories or tags"
        return [f"{told}; choose one with --map categories=COLUMN (--map-items in a backtest or replay), or leave --split out"]
    if kind == "events" or mapping.separator:
        return []
    row = con.execute(statement("ingest/find_unsplit")).fetchone()
    return [f"categories such as {row[0]!r} look like several in one text; split them with --split '|'"] if row else []


def merge(con: duckdb.DuckDBPyConnection, kind: Kind) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Bring the staged rows into the lake; counts of what became of them, and the most frequent reasons of refusal.

    Statements that would write nothing are not run: a run without news leaves no snapshot.
    """
    define_macros(con)
    con.execute(statement("ingest/find_refused"))
    if kind == "events":
        con.execute(statement("ingest/judge_events"))
        con.execute(statement("ingest/add_conflicts"))
    else:
        con.execute(statement("ingest/find_incoming_items"))
    con.execute(statement("ingest/find_unnoted"))
    con.execute("set threads = 1")  # an insert by several threads does not keep the order of the rows
    counts = _dicts(con.execute(statement(f"ingest/summarise_{kind}")))[0]
    if counts["n_new"]:
        con.execute(statement(f"ingest/insert_{kind}"))
    if counts["n_changed"]:
        con.execute(statement("ingest/update_items"))
    if con.execute("select count(*) from unnoted").fetchall() != [(0,)]:
        con.execute(statement("ingest/insert_rejected"))
    return counts, _dicts(con.execute(statement("ingest/count_reasons"), {"n": N_REASONS}))


def _dicts(cursor: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
