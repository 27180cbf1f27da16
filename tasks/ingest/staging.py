"""Stages the rows of files in a separate database, mapped and checked: each row is good, or has the rule that it breaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl

from models.errors import UserError
from models.visible import visible_line
from tasks.config import IngestConfig
from tasks.ingest.columns import N_LISTED, resolve, split_path
from tasks.ingest.fields import ALIASES, REQUIRED, Kind
from tasks.ingest.lines import Content, Repaired, repair
from tasks.ingest.mapped import map_columns, n_with_more, rows_of, sql_names
from tasks.ingest.sources import NO_DELIMITER, ColumnMapping, Source, check_content, has_stray_quotes, inspect, reading_of
from tasks.ingest.times import day_order, set_zones, zone_notes
from tasks.lake import statement

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
    "shown",
    "json_step",
    "one_differs",
    "line_goes_on",
    "content",
    "hmac",
    "key_number",
    "pseudonym",
    "keeps",
    "context_left_out",
    "context_kept",
)


def define_macros(con: duckdb.DuckDBPyConnection) -> None:
    """Define the macros of sql/ingest/macros on a connection."""
    for name in MACROS:
        con.execute(statement(f"ingest/macros/{name}"))


def prepare(con: duckdb.DuckDBPyConnection, mapping: ColumnMapping, config: IngestConfig) -> str:
    """Define the macros and their variables on a connection; returns the zone of times without one.

    Raises UserError for an unknown zone.
    """
    define_macros(con)
    for name, value in (("separator", mapping.separator), ("time_format", mapping.time_format)):
        con.execute(statement(f"ingest/variables/{name}"), {"value": value})
    con.execute(statement("ingest/variables/null_words_as_ids"), {"value": mapping.null_words_as_ids or config.null_words_as_ids})
    return set_zones(con, mapping.time_zone or config.time_zone, mapping.time_format)


WANTED: Mapping[Kind, tuple[Sequence[str], str]] = {
    "items": (("title", "description"), "no column is title or description"),
    "events": (("event_type", "query"), "every event is a view, as no column is event_type"),
}
"""Fields that most files of a kind have, and a note about the effect if none of them has a column."""


@dataclass(frozen=True)
class Plan:
    """Findings about files before their rows are read: contents, fields with a column, the zone of times, and notes."""

    kind: Kind
    files: Sequence[Path]
    contents: Sequence[Content]
    fields: frozenset[str]
    zone: str
    notes: list[str]


def look_into(con: duckdb.DuckDBPyConnection, kind: Kind, files: Sequence[Path], mapping: ColumnMapping, config: IngestConfig) -> Plan:
    """Resolve the columns of every file before any row is staged, so that a wrong mapping fails early.

    Also defines the macros and their variables on the connection.
    """
    zone = prepare(con, mapping, config)
    notes: list[str] = []
    fields = set(mapping.constants)
    contents: list[Content] = []
    for file in files:
        contents.append(check_content(file))
        chosen, guessed = resolved(con, inspect(con, file, mapping), kind, mapping)
        fields |= set(chosen)
        notes += guessed
    return Plan(kind, files, contents, frozenset(fields), zone, _shortened(notes))


def stage(
    con: duckdb.DuckDBPyConnection,
    plan: Plan,
    mapping: ColumnMapping,
    config: IngestConfig,
    folder: Path,
    *,
    keeps_rows: bool,
    sources: Sequence[Path],
) -> list[str]:
    """Map and check every row of the files into the table staged; returns notes about repairs and doubtful values.

    keeps_rows: whether to store the original text of good rows too, as for refused rows. sources: original paths of the files, which may
    be copies.
    """
    kind = plan.kind
    for name in ("create_files", "create_malformed", f"create_staged_{kind}"):
        con.execute(statement(f"ingest/{name}"))
    con.execute(statement("ingest/variables/keeps_rows"), {"value": keeps_rows})
    notes: list[str] = []
    for number, (file, content) in enumerate(zip(plan.files, plan.contents, strict=True)):
        with repaired(con, file, content, mapping, folder) as (source, found):
            notes += _line_notes(source, found)
            with reading_of(file):
                chosen = resolved(con, source, kind, mapping)[0]
                notes += _elements_left_out(con, source, chosen)
                map_columns(con, source, kind, chosen, mapping)
                con.execute(statement("ingest/add_file"), {"file_no": number, "source": str(sources[number])})
                _stage_file(con, kind, number, source, mapping, config)
            if found.lost:
                _add_lost(con, number, source, found)
    notes += zone_notes(con, plan.zone) if kind == "events" else []
    return notes + _hints(con, kind, mapping, plan.fields)


@contextmanager
def repaired(
    con: duckdb.DuckDBPyConnection, path: Path, content: Content, mapping: ColumnMapping, folder: Path
) -> Iterator[tuple[Source, Repaired]]:
    """A file that DuckDB can read: the file itself, or a temporary copy in which stray quotes and overlong lines swallow no rows."""
    source = inspect(con, path, mapping)
    has_quotes = source.format == "text" and content.has_quotes and not mapping.has_no_quotes
    if source.format not in ("text", "json_lines") or not (content.is_odd or (has_quotes and has_stray_quotes(con, source))):
        yield inspect(con, path, mapping), Repaired()
        return
    copy = folder / f"lines{''.join(path.suffixes[-2:]).lower().removesuffix('.gz')[-8:]}"
    with reading_of(path):
        delimiter = source.delimiter if source.format == "text" else NO_DELIMITER
        n_columns = len(source.columns) if source.format == "text" else 1
        found = repair(path, copy, delimiter.encode(), n_columns, has_quotes=has_quotes)
    yield inspect(con, path, mapping, copy), found
    copy.unlink()


def read_whole(con: duckdb.DuckDBPyConnection, path: Path, mapping: ColumnMapping, folder: Path) -> pl.DataFrame:
    """Every readable row of a file, with the column names of the file."""
    with repaired(con, path, check_content(path), mapping, folder) as (source, _):
        names = sql_names(source.columns)
        return rows_of(con, source)[0].pl().select(names).rename(dict(zip(names, source.columns, strict=True)))


def _elements_left_out(con: duckdb.DuckDBPyConnection, source: Source, chosen: Mapping[str, str]) -> list[str]:
    """Notes about paths such as items[0].item_id that leave out elements of an array."""
    counts = {path: n_with_more(con, source, path) for path in chosen.values() if "[" in path}
    return [
        f"{source.path.name}: {n:,} rows have more elements than the one that {path} takes; map [*] instead to get one row per element"
        for path, n in counts.items()
        if n
    ]


def _line_notes(source: Source, found: Repaired) -> list[str]:
    """Notes about odd quotes in a file; line 1 is the first line below the header."""
    name, n_header = visible_line(source.path.name), int(source.has_header)
    notes = []
    if found.n_stray:
        notes.append(
            f"{name}: {found.n_stray:,} lines have a quote that is not closed where its field ends; it was taken as text "
            f"(the first is {_line(found.first_stray - n_header)}); if the file has no quoting at all, use --no-quotes"
        )
    if found.n_doubtful:
        notes.append(
            f"{name}: {found.n_doubtful:,} quoted texts span lines that could be rows of their own "
            f"(the first is {_line(found.first_doubtful - n_header)}); if the file has no quoting, use --no-quotes"
        )
    if found.lost:
        notes.append(
            f"{name}: {len(found.lost):,} lines cannot be split into columns (the first is {_line(found.lost[0].line - n_header)})"
        )
    return notes


def _line(number: int) -> str:
    return f"line {number}" if number else "the header"


def _add_lost(con: duckdb.DuckDBPyConnection, number: int, source: Source, found: Repaired) -> None:
    """Replace the placeholders of lost lines with the reason and the text of each line."""
    lost = [
        {"line": one.line - int(source.has_header and source.format == "text"), "text": one.text, "rule": one.rule} for one in found.lost
    ]
    con.execute(statement("ingest/name_lost"), {"file_no": number, "lost": lost})


def resolved(con: duckdb.DuckDBPyConnection, source: Source, kind: Kind, mapping: ColumnMapping) -> tuple[dict[str, str], list[str]]:
    """The column of each field, and notes. A file with queries needs no item_id, and a file without rows needs no columns."""
    if not source.columns:
        return {}, [f"{source.path.name}: no rows"]
    chosen, notes = resolve(con, source, mapping, ALIASES[kind], ())
    required = [name for name in REQUIRED[kind] if name != "item_id" or "query" not in chosen]
    resolve(con, source, mapping, ALIASES[kind], required)
    return chosen, notes + _left_out(source, kind, chosen, mapping)


def _left_out(source: Source, kind: Kind, chosen: Mapping[str, str], mapping: ColumnMapping) -> list[str]:
    """A note about unused columns of a file if one of them may be the title of items or the type of events."""
    wanted, effect = WANTED[kind]
    used = {(split_path(source, path) or (path, ""))[0] for path in (*chosen.values(), *mapping.context)}
    rest = [visible_line(column) for column in source.columns if column not in used]
    if not rest or set(wanted) & (mapping.columns.keys() | chosen.keys() | mapping.constants.keys()):
        return []
    names = ", ".join(rest[:N_LISTED]) + (", ..." if len(rest) > N_LISTED else "")
    are = "is" if len(rest) == 1 else "are"
    return [f"{source.path.name}: {effect}, and {names} {are} left out; map one with {mapping.place.map(wanted[0], 'COLUMN')}"]


def _stage_file(
    con: duckdb.DuckDBPyConnection, kind: Kind, number: int, source: Source, mapping: ColumnMapping, config: IngestConfig
) -> None:
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
            option = f"{mapping.place.option('time-format')} {mapping.time_format!r}{mapping.place.within}"
            raise UserError(f"{option} is no strptime format: {error}; an example is '%m/%d/%Y %H:%M'") from error
        raise
    if source.format in ("text", "json_lines"):
        con.execute(statement("ingest/add_malformed"), {"file_no": number, "n_header": int(source.format == "text" and source.has_header)})


def decimal_mark(con: duckdb.DuckDBPyConnection, kind: Kind) -> str | None:
    """The decimal mark in the numbers of the view mapped; None if the numbers do not decide it."""
    if con.execute(statement(f"ingest/peek_decimal_mark_{kind}")).fetchone() == (0,):
        return None
    row = con.execute(statement(f"ingest/find_decimal_mark_{kind}")).fetchone()
    return row[0] if row else None


def _shortened(notes: Sequence[str]) -> list[str]:
    return list(notes) if len(notes) <= 8 else [*notes[:8], f"and {len(notes) - 8} more like these"]


def _hints(con: duckdb.DuckDBPyConnection, kind: Kind, mapping: ColumnMapping, fields: Set[str]) -> list[str]:
    if mapping.separator and not fields & {"categories", "tags"}:
        problem = f"--split {mapping.separator!r} splits nothing: no column is categories or tags"
        return [f"{problem}; choose one with --map categories=COLUMN (--map-items in a backtest or replay), or leave --split out"]
    if kind == "events" or mapping.separator:
        return []
    row = con.execute(statement("ingest/find_unsplit")).fetchone()
    return [f"categories such as {row[0]!r} look like several in one text; split them with --split '|'"] if row else []
