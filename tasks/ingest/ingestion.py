"""Files become rows of raw.events and raw.items: mapped, checked, deduplicated, in one lake transaction."""

from __future__ import annotations

import csv
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from filelock import FileLock, Timeout

from models.visible import visible_json, visible_line
from tasks.config import IngestConfig
from tasks.ingest.columns import check_fields
from tasks.ingest.encodings import check_encoding, decoded
from tasks.ingest.fields import ALIASES, Kind
from tasks.ingest.sources import ColumnMapping, discover, literal
from tasks.ingest.staging import define_macros, look_into, stage
from tasks.lake import NOTHING_FETCHED, Lake, explained, has_catalog, quote, reading, statement, writing

N_REASONS = 5
N_AT_ONCE = 10_000
SHOWN = (visible_line, visible_line, visible_json)
"""How reason, value and row_json of a refused row are written."""


@dataclass(frozen=True)
class Counts:
    """What became of the rows of one file. refused: the table of those that were, as CSV; None where there are none."""

    read: int
    new: int
    changed: int
    duplicate: int
    rejected: int
    values_refused: int
    refused: Path | None


@dataclass(frozen=True)
class Summary:
    """What became of the rows of one run; rows read = new + changed + duplicate + rejected. by_file: by path, where it was asked for."""

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
        """The numbers alone, for a table."""
        return {name: value for name, value in asdict(self).items() if name not in ("reasons", "notes", "by_file")}


def ingest(
    lake: Lake, kind: Kind, paths: Sequence[str], mapping: ColumnMapping, config: IngestConfig, refused_to: Path | None = None
) -> Summary:
    """Take files, globs and folders into raw.events or raw.items; refused rows go to raw.rejected.

    refused_to: the folder for a table of the refused rows of each file. The same rows again change nothing. All of it is one
    transaction: killed at any point, the next run starts afresh.
    Raises UserError for a file that cannot be read, whatever ails it, and for a mapping that does not fit; LakeError for a full disk.
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
            plan = look_into(con, kind, read, mapping, config)
            has_standing = has_refused(lake, kind)
            notes = plan.notes + stage(con, plan, mapping, config, folder, keeps_rows=has_standing, sources=files)
        with writing(lake) as con:
            confine(con, folder, config)
            con.execute(f"attach {quote(str(folder / 'staging.duckdb'))} as staging (read_only)")
            counts, reasons = merge(con, kind, has_standing=has_standing)
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


def confine(con: duckdb.DuckDBPyConnection, folder: Path, config: IngestConfig) -> None:
    """Keep memory constant: what does not fit goes to the folder. Times without a zone are UTC."""
    con.execute(f"set memory_limit = {quote(f'{config.memory_mb}MB')}")
    con.execute(f"set temp_directory = {quote(str(folder / 'spill'))}")
    con.execute("set timezone = 'UTC'")
    con.execute("set enable_progress_bar = false")  # it would go to stdout, where the result goes


def forbid_all_but(con: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> None:
    """Let the connection reach these files and folders only, whatever a predicate asks for."""
    files = {name for path in paths for name in (str(path), literal(path)) if not path.is_dir()}
    con.execute(statement("ingest/allow_files"), {"files": sorted(files)})
    con.execute(statement("ingest/allow_folders"), {"folders": [str(path) for path in paths if path.is_dir()]})
    con.execute("set enable_external_access = false")


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


def merge(con: duckdb.DuckDBPyConnection, kind: Kind, *, has_standing: bool) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Bring the staged rows into the lake; counts of what became of them, and the most frequent reasons of refusal.

    has_standing: whether rows that were refused before may be among them. Statements that would write nothing are not run: a run without
    news leaves no snapshot.
    """
    define_macros(con)
    con.execute(statement("ingest/find_noted"))
    con.execute(statement("ingest/find_refused"))
    if kind == "events":
        con.execute(statement("ingest/judge_events"))
        con.execute(statement("ingest/add_conflicts"))
    else:
        con.execute(statement("ingest/find_incoming_items"))
    con.execute(statement("ingest/find_unnoted"), {"kind": kind})
    n_settled = find_settled(con, kind) if has_standing else 0
    con.execute("set threads = 1")  # an insert by several threads does not keep the order of the rows
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


def count_files(con: duckdb.DuckDBPyConnection, kind: Kind, folder: Path) -> dict[str, Counts]:
    """What became of the rows of each file by its path, and of those that were refused a table in the folder."""
    found = {}
    for number, row in enumerate(_dicts(con.execute(statement(f"ingest/count_files_{kind}")))):
        counts = {name: row[f"n_{name}"] for name in ("read", "new", "changed", "rejected")}
        duplicate = row["n_read"] - row["n_new"] - row["n_changed"] - row["n_rejected"]
        refused = folder / f"{number}.csv" if row["n_rejected"] or row["n_values"] else None
        if refused is not None:
            _write_refused(con, row["source"], refused)
        found[row["source"]] = Counts(**counts, duplicate=duplicate, values_refused=row["n_values"], refused=refused)
    return found


def _write_refused(con: duckdb.DuckDBPyConnection, source: str, file: Path) -> None:
    """Write the table, fit to be shown on a terminal: no control character of the data is in it."""
    cursor = con.execute(statement("ingest/refused_of"), {"source": source})
    with file.open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out)
        table.writerow([column[0] for column in cursor.description or []])
        while rows := cursor.fetchmany(N_AT_ONCE):
            table.writerows((line, *(text and shown(text) for text, shown in zip(texts, SHOWN, strict=True))) for line, *texts in rows)


def find_settled(con: duckdb.DuckDBPyConnection, kind: Kind) -> int:
    """How many of the rows that the lake has refused are settled by the staged ones, and are in the table settled."""
    con.execute(statement(f"ingest/find_known_{kind}"))
    con.execute(statement("ingest/find_settled"), {"kind": kind})
    return _count(con.execute("select count(*) from settled"))


def has_refused(lake: Lake, kind: Kind) -> bool:
    """Whether the lake has refused rows of this kind, and not taken them in since."""
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
