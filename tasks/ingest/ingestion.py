"""Files become rows of raw.events and raw.items: mapped, checked, deduplicated, in one lake transaction."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import duckdb
from filelock import FileLock, Timeout

from models.errors import UserError
from tasks.config import IngestConfig
from tasks.ingest.sources import (
    DOCUMENT,
    EVENT_ALIASES,
    ITEM_ALIASES,
    ColumnMapping,
    Source,
    check_fields,
    check_packing,
    discover,
    inspect,
    reading_of,
    resolve,
)
from tasks.lake import Lake, explained, quote, statement, writing

Kind = Literal["events", "items"]
ALIASES = {"events": EVENT_ALIASES, "items": ITEM_ALIASES}
REQUIRED: dict[Kind, tuple[str, ...]] = {"events": ("user_id", "item_id", "occurred_at"), "items": ("item_id",)}
MACROS = ("tidy", "plain_number", "as_id", "as_time", "as_list", "json_or_null", "is_json_object", "explain", "content")
N_REASONS = 5


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
            notes = stage(con, kind, files, mapping, config)
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


def stage(con: duckdb.DuckDBPyConnection, kind: Kind, files: Sequence[Path], mapping: ColumnMapping, config: IngestConfig) -> list[str]:
    """Map and check every row of the files into the table staged; says what was guessed about columns.

    Every file's columns are resolved before the first file is staged, so that a wrong mapping costs no time.
    """
    define_macros(con)
    for name in ("create_files", "create_malformed", f"create_staged_{kind}"):
        con.execute(statement(f"ingest/{name}"))
    con.execute(statement("ingest/variables/separator"), {"value": mapping.separator})
    con.execute(statement("ingest/variables/time_format"), {"value": mapping.time_format})
    notes: list[str] = []
    fields = set(mapping.constants)
    for file in files:
        check_packing(file)
        chosen, guessed = resolved(inspect(con, file), kind, mapping)
        fields |= set(chosen)
        notes += guessed
    for number, file in enumerate(files):
        source = inspect(con, file)
        with reading_of(file):
            map_columns(con, source, kind, resolved(source, kind, mapping)[0], mapping)
            _stage_file(con, kind, number, source, mapping, config)
    return _shortened(notes) + _hints(con, kind, mapping, fields)


def resolved(source: Source, kind: Kind, mapping: ColumnMapping) -> tuple[dict[str, str], list[str]]:
    """Which column is which field, and what was guessed; a source of searches alone needs no items, one without rows nothing."""
    if not source.columns:
        return {}, [f"{source.path.name}: no rows"]
    chosen, notes = resolve(source, mapping, ALIASES[kind], ())
    required = [name for name in REQUIRED[kind] if name != "item_id" or "query" not in chosen]
    resolve(source, mapping, ALIASES[kind], required)
    return chosen, notes


def map_columns(con: duckdb.DuckDBPyConnection, source: Source, kind: Kind, chosen: Mapping[str, str], mapping: ColumnMapping) -> None:
    """Leave the rows of a source in the view mapped: every field as text (null where it has no column) and the row as JSON."""
    is_json = source.format.startswith("json")
    rows = con.view("source_documents" if is_json else "source_rows")
    null = duckdb.ConstantExpression(None).cast("varchar")
    fields = []
    for name in ALIASES[kind]:
        if name in mapping.constants:
            expression = duckdb.ConstantExpression(mapping.constants[name])
        elif name in chosen:
            expression = as_text(chosen[name], source.columns[chosen[name]])
        else:
            expression = null
        if name == "context" and mapping.context:
            expression = as_json(source, sorted(mapping.context))
        fields.append(expression.cast("varchar").alias(name))
    document = duckdb.ColumnExpression(DOCUMENT)
    is_object = duckdb.FunctionExpression("is_json_object", document) if is_json else duckdb.ConstantExpression(True)
    whole_row = document if is_json else as_json(source, list(source.columns))
    predicate = duckdb.SQLExpression(f"try({mapping.predicate})") if mapping.predicate else duckdb.ConstantExpression(True)
    verdicts = [is_object.alias("is_document"), predicate.alias("passes"), whole_row.cast("varchar").alias("row_json")]
    try:
        rows.select(*fields, *verdicts).create_view("mapped", replace=True)
    except duckdb.Error as error:
        if not mapping.predicate:
            raise
        columns = ", ".join(source.columns) + (
            "" if source.format == "parquet" else "; all are text: compare numbers as in price::double > 5"
        )
        raise UserError(
            f"--where {mapping.predicate!r} does not fit {source.path.name}: {str(error).splitlines()[0]}; its columns are {columns}"
        ) from error


def as_text(column: str, kind: str) -> duckdb.Expression:
    """A column as text; floats without a needless '.0', lists as JSON."""
    expression = duckdb.ColumnExpression(column)
    if kind.startswith(("FLOAT", "DOUBLE", "DECIMAL")):
        return duckdb.FunctionExpression("plain_number", expression.cast("double"))
    if kind.endswith("]"):
        return duckdb.FunctionExpression("to_json", expression).cast("varchar")
    return expression.cast("varchar")


def as_json(source: Source, columns: Sequence[str]) -> duckdb.Expression:
    """Columns as one JSON object of texts."""
    by_lower = {name.lower(): name for name in source.columns}
    parts: list[duckdb.Expression] = []
    for name in columns:
        own = by_lower[name.lower()]
        parts += [duckdb.ConstantExpression(own), as_text(own, source.columns[own])]
    return duckdb.FunctionExpression("json_object", *parts)


def _stage_file(
    con: duckdb.DuckDBPyConnection, kind: Kind, number: int, source: Source, mapping: ColumnMapping, config: IngestConfig
) -> None:
    con.execute(statement("ingest/add_file"), {"file_no": number, "source": str(source.path)})
    params: dict[str, object] = {"file_no": number, "predicate": mapping.predicate, "max_chars": config.max_text_chars}
    if kind == "events":
        params["latest"] = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=config.future_tolerance_hours)
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
        con.execute(statement("ingest/add_malformed"), {"file_no": number, "n_header": int(source.format == "text")})


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
