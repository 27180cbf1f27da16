"""Takes erased people out of what is neither a table nor a model: landed files, the log of the API, reports, databases of runs."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath

from tasks.privacy.files import vacuum_file
from tasks.privacy.keyed import load_keys
from tasks.privacy.redaction import People, blank_out, redact_data_file, redact_database, redact_text_file
from tasks.store import Bucket, Place, download, entries, upload

logger = logging.getLogger("minutehand.erasure")
SWEPT = "erasures.swept"
"""A file whose time says up to when landed files were looked through."""
OPEN_S = 60.0
"""The API may still write to a segment that is younger than this."""
REPORTS = (".md", ".html", ".txt", ".json", ".csv")
OUTCOMES = ("done", "partial", "failed")
TEMPORARY = ("minute/tmp", "nightly/tmp", "tmp")


def redact(home: Path, landing: Place, digests: Collection[str], artifacts: Place | None = None) -> dict[str, int]:
    """Take people out of every log of a home; returns the number of places by kind of store. artifacts: those that are not in the home."""
    people = People(load_keys(home), digests)
    counts = {
        "landed_rows": _redact_landed(landing, people),
        "api_log_lines": sum(redact_data_file(file, people) for file in _segments(home)),
        "reports": sum(redact_text_file(file, people) for file in _reports(home)) + _redact_reports(artifacts, people),
        "log_lines": sum(blank_out(file, people) for file in _files(home / "logs")),
        "database_values": sum(_redact_database(file, people) for file in _databases(home)),
    }
    return {name: n for name, n in counts.items() if n}


def sweep(home: Path, landing: Place, digests: Collection[str]) -> int:
    """Take late rows of erased people out of files that landed since the last sweep; returns the number of rows."""
    mark = home / SWEPT
    since = mark.stat().st_mtime if mark.exists() else 0.0
    began = time.time()
    people = People(load_keys(home), digests)
    n_rows = _redact_landed(landing, people, since - 1)
    mark.touch()
    _set_time(mark, began)
    return n_rows


def remove_leftovers(home: Path, staging: Path) -> None:
    """Delete temporary folders of killed runs. The caller holds the locks of nights and of publishing."""
    for name in TEMPORARY[:2]:
        shutil.rmtree(home / name, ignore_errors=True)
    for file in staging.glob("*.fresh"):
        file.unlink(missing_ok=True)


def _landed(landing: Path) -> Iterator[Path]:
    for outcome in OUTCOMES:
        yield from _files(landing / outcome)


def _redact_landed(landing: Place, people: People, since: float = 0.0) -> int:
    """Take people out of the files that were put away since a time; returns the number of rows. An object is replaced as a whole."""
    if isinstance(landing, Path):
        return sum(redact_data_file(file, people) for file in _landed(landing) if file.stat().st_ctime >= since)
    names = [entry.name for outcome in OUTCOMES for entry in entries(landing, f"{outcome}/") if entry.written >= since]
    return _redact_objects(landing, names, lambda file: redact_data_file(file, people))


def _redact_reports(artifacts: Place | None, people: People) -> int:
    """As _reports, for artifacts in an object store."""
    if artifacts is None or isinstance(artifacts, Path):
        return 0
    paths = [PurePosixPath(entry.name) for entry in entries(artifacts)]
    names = [str(path) for path in paths if path.suffix in REPORTS and "checkpoint" not in path.parts and path.parts[1:2] != ("models",)]
    names = [name for name in names if not name.startswith("models/")]
    return _redact_objects(artifacts, names, lambda file: redact_text_file(file, people))


def _redact_objects(bucket: Bucket, names: Sequence[str], redact_file: Callable[[Path], int]) -> int:
    """Redact copies of objects, and replace each object whose copy has changed; returns the sum of what redact_file returns."""
    total = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            copy = Path(folder) / PurePosixPath(name).name
            if download(bucket, name, copy) and (n_found := redact_file(copy)):
                upload(bucket, copy, name)
                total += n_found
            copy.unlink(missing_ok=True)
    return total


def _segments(home: Path) -> Iterator[Path]:
    """Segments of the API's log that are closed; those that wait for the ingest are refused there."""
    before = time.time() - OPEN_S
    yield from (file for file in _files(home / "serving" / "events") if file.suffix == ".jsonl" and file.stat().st_mtime < before)


def _reports(home: Path) -> Iterator[Path]:
    """Artifacts of runs; checkpoints name no people, and their files must not change."""
    for file in _files(home / "mlflow" / "artifacts"):
        if file.suffix in REPORTS and "checkpoint" not in file.parts and "models" not in file.relative_to(home).parts[3:4]:
            yield file


def _databases(home: Path) -> Iterator[Path]:
    yield from (file for file in (home / "prefect" / "prefect.db", home / "mlflow" / "mlflow.db") if file.exists())


def _redact_database(file: Path, people: People) -> int:
    n_values = redact_database(file, people)
    try:
        vacuum_file(file)
    except sqlite3.OperationalError as error:
        logger.warning("%s keeps its free pages for now (%s); the next erasure tries again", file, error)
    return n_values


def _files(folder: Path) -> Iterator[Path]:
    yield from (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


def _set_time(file: Path, moment: float) -> None:
    os.utime(file, (moment, moment))
