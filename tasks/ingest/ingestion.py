"""Ingests files into raw.events and raw.items: maps, checks and deduplicates their rows, in one lake transaction."""

from __future__ import annotations

import csv
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
from filelock import FileLock, Timeout

from models.visible import visible_json, visible_line
from tasks.config import OPTIONAL_COLUMNS, IngestConfig
from tasks.ingest.columns import check_fields
from tasks.ingest.encodings import check_encoding, decoded
from tasks.ingest.erased import refuse_erased, refuse_old
from tasks.ingest.fields import ALIASES, Kind
from tasks.ingest.log_names import LogKind, segment_of
from tasks.ingest.sources import ColumnMapping, discover, literal
from tasks.ingest.staging import define_macros, look_into, stage
from tasks.lake import NOTHING_FETCHED, Lake, explained, has_catalog, quote, reading, statement, writing
from tasks.privacy.border import Border, border_of, enter

N_REASONS = 5
N_AT_ONCE = 10_000
SHOWN = (visible_line, visible_line, visible_json)
"""Formatters for reason, value and row_json of a refused row."""


@dataclass(frozen=True)
class Counts:
    """Row counts of one file. barred: rejected rows that no correction gets in, those of erased people and those that are too old.

    refused: CSV table of the other refused rows and values, None if there are none.
    """

    read: int
    new: int
    changed: int
    duplicate: int
    rejected: int
    barred: int
    values_refused: int
    refused: Path | None


@dataclass(frozen=True)
class Summary:
    """Row counts of one run; read = new + changed + duplicate + rejected. by_file: counts by path, if requested."""

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
    by_file: Mapping[str, Counts] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """The counts only, for a table."""
        return {name: value for name, value in asdict(self).items() if name not in ("reasons", "notes", "by_file")}


def ingest(
    lake: Lake,
    kind: Kind,
    paths: Sequence[str],
    mapping: ColumnMapping,
    config: IngestConfig,
    refused_to: Path | None = None,
    oldest: datetime | None = None,
) -> Summary:
    """Ingest files, globs and folders into raw.events or raw.items; refused rows go to raw.rejected.

    refused_to: folder for the CSV table of each file's refused rows. oldest: events from before this time (UTC) are refused.
    Ingesting the same rows again is a no-op. The whole run is one transaction: after a kill at any point, the next run starts from the
    beginning.
    Raises UserError for an unreadable file and for a mapping that does not fit; LakeError for a full disk.
    """
    started = time.monotonic()
    check_fields(mapping, ALIASES[kind], kind)
    if mapping.encoding:
        check_encoding(mapping.encoding, mapping.place)
    files = discover(paths)
    with explained(), workspace(lake) as folder:
        with duckdb.connect(str(folder / "staging.duckdb"), config=NOTHING_FETCHED) as con:
            confine(con, folder, config)
            if mapping.encoding:
                read = [decoded(file, mapping.encoding, folder / f"decoded-{number}") for number, file in enumerate(files)]
            else:
                read = files
            forbid_all_but(con, [*read, folder])
            border = border_of(lake, config) if kind == "events" else Border()
            border.set_on(con)
            plan = look_into(con, kind, read, mapping, config)
            has_standing = has_refused(lake, kind)
            notes = plan.notes + stage(con, plan, mapping, config, folder, keeps_rows=has_standing, sources=files)
            notes += left_out(con, plan.fields, config) if kind == "events" else []
        with writing(lake) as con:
            confine(con, folder, config)
            if kind == "events":
                enter(con, border)
                refuse_erased(con, lake, folder / "staging.duckdb")
                refuse_old(folder / "staging.duckdb", oldest)
            con.execute(f"attach {quote(str(folder / 'staging.duckdb'))} as staging (read_only)")
            counts, reasons = merge(con, kind, has_standing=has_standing, is_log=mapping.is_log)
            record_segments(con, kind, files)
            by_file = count_files(con, kind, refused_to) if refused_to is not None else {}
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
        by_file=by_file,
    )


def left_out(con: duckdb.DuckDBPyConnection, fields: Set[str], config: IngestConfig) -> list[str]:
    """Notes about columns and context keys of the staged events that the settings leave out."""
    columns = [name for name in OPTIONAL_COLUMNS if name in fields and config.kept_columns is not None and name not in config.kept_columns]
    keys = [visible_line(name) for (name,) in con.execute(statement("ingest/context_left_out")).fetchall()]
    found = {"KEEP_COLUMNS": ", ".join(columns), "KEEP_CONTEXT": ", ".join(f"context.{name}" for name in keys)}
    return [f"{names} dropped before anything was stored, by MINUTEHAND_INGEST__{setting}" for setting, names in found.items() if names]


def confine(con: duckdb.DuckDBPyConnection, folder: Path, config: IngestConfig) -> None:
    """Limit the memory of a connection: data beyond the limit spill to the folder. Also sets the time zone to UTC."""
    con.execute(f"set memory_limit = {quote(f'{config.memory_mb}MB')}")
    con.execute(f"set temp_directory = {quote(str(folder / 'spill'))}")
    con.execute("set timezone = 'UTC'")
    con.execute("set enable_progress_bar = false")  # the bar would mix with the result on stdout


def forbid_all_but(con: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> None:
    """Restrict the connection to these files and folders, so that a predicate cannot read others."""
    files = {name for path in paths for name in (str(path), literal(path)) if not path.is_dir()}
    con.execute(statement("ingest/allow_files"), {"files": sorted(files)})
    con.execute(statement("ingest/allow_folders"), {"folders": [str(path) for path in paths if path.is_dir()]})
    con.execute("set enable_external_access = false")


@contextmanager
def workspace(lake: Lake) -> Iterator[Path]:
    """A folder for the intermediate rows of this run; also deletes the folders of killed runs."""
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
            except Timeout:  # its run is still active
                continue
            Path(lock.lock_file).unlink(missing_ok=True)


def merge(
    con: duckdb.DuckDBPyConnection, kind: Kind, *, has_standing: bool, is_log: bool = False
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Merge the staged rows into the lake; returns row counts and the most frequent reasons of refusal.

    has_standing: whether the lake has refused rows that the staged rows may correct. Statements that would write nothing are skipped, so
    that a run without changes leaves no snapshot. is_log: see ColumnMapping.
    """
    define_macros(con)
    con.execute(statement("ingest/variables/is_log"), {"value": is_log})
    con.execute(statement("ingest/find_noted"))
    con.execute(statement("ingest/find_refused"))
    if kind == "events":
        con.execute(statement("ingest/judge_events"))
        con.execute(statement("ingest/add_conflicts"))
    else:
        con.execute(statement("ingest/find_incoming_items"))
    con.execute(statement("ingest/find_unnoted"), {"kind": kind})
    n_settled = find_settled(con, kind) if has_standing else 0
    con.execute("set threads = 1")  # an insert with several threads does not preserve the order of the rows
    counts = _dicts(con.execute(statement(f"ingest/summarise_{kind}")))[0]
    if counts["n_new"]:
        con.execute(statement(f"ingest/insert_{kind}"))
    if counts["n_changed"]:
        con.execute(statement("ingest/update_items"))
    if n_settled:
        con.execute(statement("ingest/delete_settled"))
    if con.execute("select count(*) from unnoted").fetchall() != [(0,)]:
        con.execute(statement("ingest/insert_rejected"))
    return counts, _dicts(con.execute(statement("ingest/count_reasons"), {"n": N_REASONS}))


def record_segments(con: duckdb.DuckDBPyConnection, kind: LogKind, files: Sequence[Path]) -> None:
    """Record which segments of the API's log the staged files are, and the number of their lines."""
    segments = [segment_of(file) for file in files]
    if not any(segments):
        return
    con.execute(statement("ingest/find_positions"), {"segments": segments, "kind": kind})
    if con.execute("select count(*) from fresh_positions").fetchall() != [(0,)]:
        con.execute(statement("ingest/insert_positions"))


def count_files(con: duckdb.DuckDBPyConnection, kind: Kind, folder: Path) -> dict[str, Counts]:
    """Row counts of each file by path; also writes a table of each file's refused rows to the folder."""
    found = {}
    for number, row in enumerate(_dicts(con.execute(statement(f"ingest/count_files_{kind}")))):
        counts = {name: row[f"n_{name}"] for name in ("read", "new", "changed", "rejected", "barred")}
        duplicate = row["n_read"] - row["n_new"] - row["n_changed"] - row["n_rejected"]
        refused = folder / f"{number}.csv" if row["n_rejected"] > row["n_barred"] or row["n_values"] else None
        if refused is not None:
            _write_refused(con, row["source"], refused)
        found[row["source"]] = Counts(**counts, duplicate=duplicate, values_refused=row["n_values"], refused=refused)
    return found


def _write_refused(con: duckdb.DuckDBPyConnection, source: str, file: Path) -> None:
    """Write the table of refused rows without control characters, so that a terminal can show it safely."""
    cursor = con.execute(statement("ingest/refused_of"), {"source": source})
    with file.open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out)
        table.writerow([column[0] for column in cursor.description or []])
        while rows := cursor.fetchmany(N_AT_ONCE):
            table.writerows((line, *(text and shown(text) for text, shown in zip(texts, SHOWN, strict=True))) for line, *texts in rows)


def find_settled(con: duckdb.DuckDBPyConnection, kind: Kind) -> int:
    """Fill the table settled with refused rows of the lake that the staged rows resolve; returns their number."""
    con.execute(statement(f"ingest/find_known_{kind}"))
    con.execute(statement("ingest/find_settled"), {"kind": kind})
    return _count(con.execute("select count(*) from settled"))


def has_refused(lake: Lake, kind: Kind) -> bool:
    """Whether raw.rejected has rows of this kind."""
    if not has_catalog(lake):
        return False
    with reading(lake) as con:
        return _count(con.execute(statement("ingest/count_standing"), {"kind": kind})) > 0


def _count(cursor: duckdb.DuckDBPyConnection) -> int:
    ((n_rows,),) = cursor.fetchall()
    return int(n_rows)


def _dicts(cursor: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
