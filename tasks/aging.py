"""Retention by age: deletes rows and files that are older than the settings allow, and counts what is kept.

A day ends at midnight UTC. So a row goes with the first upkeep of the day after it has reached its age, and files are rewritten once a day.
"""

from __future__ import annotations

import logging
import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from tasks.config import IngestConfig, RetentionConfig
from tasks.lake import Lake, named_files, reading, statement, writing
from tasks.retention import MOST_DAYS

logger = logging.getLogger("minutehand.upkeep")
PRUNED = {
    "prune_events": "events",
    "prune_rejected": "rejected",
    "prune_served": "served",
    "prune_positions": "served",
    "prune_outcomes": "served",
    "prune_list_history": "lists",
    "prune_freshness": "freshness",
    "prune_prequential": "figures",
    "prune_health": "figures",
    "prune_online": "figures",
}
"""Statements of sql/maintain that delete old rows, and the setting (without `_days`) of each."""
TABLES = tuple(dict.fromkeys(PRUNED.values()))


@dataclass(frozen=True)
class Kept:
    """What is kept under one setting. days: 0 if for ever. n_due: rows, or files, that the next upkeep deletes.

    n_bytes: in files, of all snapshots. bytes_per_day: what a day more costs, on the average of the days that are kept.
    """

    setting: str
    holds: tuple[str, ...]
    days: int
    n_rows: int
    n_bytes: int
    oldest: datetime | None
    n_due: int
    bytes_per_day: int


def landing_of(config: IngestConfig, home: Path) -> Path:
    """The landing folder, which may not exist yet."""
    return Path(config.landing).expanduser() if config.landing else home / "landing"


def landing_outside(config: IngestConfig, home: Path) -> list[Path]:
    """The landing folder, if it exists and is not below the home folder."""
    landing = landing_of(config, home).resolve()
    return [landing] if landing.exists() and not landing.is_relative_to(home.resolve()) else []


def days_of(retention: RetentionConfig, setting: str) -> int:
    """The days of a setting; 0 if for ever."""
    days: int = getattr(retention, f"{setting}_days")
    return days


def cutoff(clock: datetime, days: int) -> datetime:
    """The time before which data has reached an age; data of a day goes together."""
    return (clock - timedelta(days=days or MOST_DAYS)).replace(hour=0, minute=0, second=0, microsecond=0)


def oldest_kept(retention: RetentionConfig, clock: datetime) -> datetime | None:
    """The time from which events are kept; None if all are. An ingest refuses older ones, which the next upkeep would delete."""
    return cutoff(clock, retention.events_days) if retention.events_days else None


def prune(lake: Lake, retention: RetentionConfig, clock: datetime) -> dict[str, int]:
    """Delete the rows that are too old, table by table in a transaction each; returns the number of rows by setting."""
    counts: dict[str, int] = defaultdict(int)
    for name, setting in PRUNED.items():
        days = days_of(retention, setting)
        if days:
            with writing(lake) as con:
                (found,) = con.execute(statement(f"maintain/{name}"), {"older_than": cutoff(clock, days)}).fetchone() or (0,)
            counts[setting] += found
    return dict(counts)


def prune_files(home: Path, landing: Path, retention: RetentionConfig, clock: datetime) -> dict[str, int]:
    """Delete the files of landing/done, reports and logs that are too old; returns the number of files by setting.

    A log that is being written is copied to a file of its day first and emptied, as its writer has it open.
    """
    counts = {"landing": 0, "reports": 0, "logs": 0}
    for folder in _old_days(landing, cutoff(clock, retention.landing_days).date()) if retention.landing_days else ():
        counts["landing"] += sum(path.is_file() for path in folder.rglob("*"))
        shutil.rmtree(folder)
    for report in _old_reports(home, cutoff(clock, retention.reports_days)) if retention.reports_days else ():
        report.unlink(missing_ok=True)
        counts["reports"] += 1
    if retention.logs_days:
        _rotate(home / "logs", clock)
        for log in _old_logs(home / "logs", cutoff(clock, retention.logs_days)):
            log.unlink(missing_ok=True)
            counts["logs"] += 1
    logger.info("files that were too old: %s", counts)
    return counts


def _old_days(landing: Path, before: date) -> Iterator[Path]:
    """The folders of landing/done of the days before a day; other folders are not ours."""
    for folder in sorted((landing / "done").glob("*")):
        with suppress(ValueError):
            if folder.is_dir() and not folder.is_symlink() and date.fromisoformat(folder.name) < before:
                yield folder


def _old_reports(home: Path, before: datetime) -> list[Path]:
    return [report for report in sorted((home / "reports").glob("*.html")) if _written(report) < before]


def _rotate(logs: Path, clock: datetime) -> None:
    """Move what logs contain from earlier days to files of the previous day."""
    yesterday = (clock - timedelta(days=1)).date().isoformat()
    for log in sorted(logs.glob("*.log")):
        past = log.with_suffix(f".{yesterday}.log")
        is_rotated = log.stem.count(".") > 0 or past.exists()
        if not is_rotated and log.stat().st_size and _written(log) >= cutoff(clock, 1):
            shutil.copy2(log, past)
            log.write_bytes(b"")


def _old_logs(logs: Path, before: datetime) -> list[Path]:
    return [log for log in sorted(logs.glob("*.*.log")) if _written(log) < before]


def overview(lake: Lake, home: Path, landing: Path, retention: RetentionConfig, clock: datetime) -> list[Kept]:
    """What is kept under each setting, in the order of the settings."""
    kept: dict[str, list[tuple[str, int, datetime | None, int]]] = defaultdict(list)
    n_bytes: dict[str, int] = defaultdict(int)
    with reading(lake) as con:
        before = {setting: cutoff(clock, days_of(retention, setting)) for setting in TABLES}
        for setting, table, n_rows, oldest, n_due in con.execute(statement("maintain/count_aged"), before).fetchall():
            kept[setting].append((table, n_rows, oldest, n_due))
        for file in named_files(con, lake):
            n_bytes[file.table] += file.n_bytes
        (n_snapshots, first) = con.execute("select count(*), min(snapshot_time)::timestamp from lake.snapshots()").fetchone() or (0, None)
    rows = [_of_tables(setting, kept[setting], n_bytes, days_of(retention, setting), clock) for setting in TABLES]
    done = [path for path in (landing / "done").rglob("*") if path.is_file()]
    days = [folder.name for folder in _old_days(landing, date.max)]
    first_day = datetime.fromisoformat(min(days)) if days else None
    n_old = sum(path.is_file() for folder in _old_days(landing, cutoff(clock, retention.landing_days).date()) for path in folder.rglob("*"))
    logs = sorted((home / "logs").glob("*.log"))
    first_log = min((_written(log) for log in logs), default=None)
    prefect = [path for path in (home / "prefect").glob("prefect.db*") if path.is_file()]
    old_logs = _old_logs(home / "logs", cutoff(clock, retention.logs_days))
    rows.append(_kept("landing", ("landing/done",), retention.landing_days, len(done), _bytes(done), first_day, n_old, clock))
    reports = sorted((home / "reports").glob("*.html"))
    first_report = min((_written(report) for report in reports), default=None)
    n_old_reports = len(_old_reports(home, cutoff(clock, retention.reports_days)))
    rows.append(_kept("reports", ("reports",), retention.reports_days, len(reports), _bytes(reports), first_report, n_old_reports, clock))
    held = ("logs", "prefect")
    rows.append(_kept("logs", held, retention.logs_days, len(logs), _bytes([*logs, *prefect]), first_log, len(old_logs), clock))
    rows.append(_kept("snapshots", ("lake",), retention.snapshots_days, n_snapshots, sum(n_bytes.values()), first, 0, clock))
    return rows


def _of_tables(
    setting: str, tables: list[tuple[str, int, datetime | None, int]], n_bytes: dict[str, int], days: int, clock: datetime
) -> Kept:
    oldest = min((moment for _, _, moment, _ in tables if moment is not None), default=None)
    names = tuple(table for table, *_ in tables)
    n_rows, n_due = sum(n for _, n, _, _ in tables), sum(n for *_, n in tables)
    return _kept(setting, names, days, n_rows, sum(n_bytes[name] for name in names), oldest, n_due, clock)


def _kept(
    setting: str, holds: tuple[str, ...], days: int, n_rows: int, n_bytes: int, oldest: datetime | None, n_due: int, clock: datetime
) -> Kept:
    age = 1.0 if oldest is None else max((clock - oldest) / timedelta(days=1), 1.0)
    return Kept(setting, holds, days, n_rows, n_bytes, oldest, n_due if days else 0, round(n_bytes / age))


def _written(file: Path) -> datetime:
    return datetime.fromtimestamp(file.stat().st_mtime, UTC).replace(tzinfo=None)


def _bytes(paths: list[Path]) -> int:
    return sum(path.stat().st_size for path in paths)
