"""The landing folder: files put there are taken in and moved to done/, unreadable ones to failed/ with the reason."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from models.errors import UserError
from tasks.config import IngestConfig
from tasks.ingest.ingestion import Kind, Summary, ingest
from tasks.ingest.sources import ColumnMapping, shown
from tasks.lake import Lake, LakeError

KINDS: tuple[Kind, ...] = ("items", "events")  # events mean more once their items are known
UNFINISHED = (".tmp", ".part", ".partial", ".crdownload")
SETTLED_SECONDS = 2.0
SKEW_SECONDS = 1800.0
"""Further in the future than any clock is wrong a file was not written just now: it comes from an archive of another time zone."""
MAPPING = ColumnMapping(separator="|")


@dataclass(frozen=True)
class Landed:
    """What became of one file: done, failed, gone before it could be read, or stuck where it cannot be moved away."""

    kind: Kind
    file: str
    outcome: str
    read: int = 0
    new: int = 0
    changed: int = 0
    duplicate: int = 0
    rejected: int = 0
    seconds: float = 0.0
    error: str = ""


def open_landing(config: IngestConfig, home: Path) -> Path:
    """The landing folder with its subfolders, created where missing. Raises UserError where that cannot be."""
    landing = Path(config.landing).expanduser() if config.landing else home.resolve() / "landing"
    try:
        for kind in KINDS:
            (landing / kind).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot make the landing folder {landing}: {error.strerror}; make it, or set MINUTEHAND_INGEST__LANDING to another"
        ) from error
    return landing


def waiting(landing: Path) -> list[tuple[Kind, Path]]:
    """Files to take in, items first, each kind by name; hidden, half-written and very young ones are left for the next time."""
    return [(kind, file) for kind in KINDS for file in sorted((landing / kind).rglob("*")) if _is_settled(file, landing / kind)]


def _is_settled(file: Path, folder: Path) -> bool:
    is_hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    if is_hidden or file.name.lower().endswith(UNFINISHED):
        return False
    try:
        age = time.time() - file.stat().st_mtime
        return file.is_file() and (age >= SETTLED_SECONDS or age <= -SKEW_SECONDS)
    except FileNotFoundError:  # another run has just taken it in
        return False
    except OSError:  # whoever takes it in tells why it cannot be read
        return True


@contextmanager
def turn(landing: Path, wait_s: float = 0) -> Iterator[bool]:
    """Whether this process may empty the landing folder: one at a time may, and whoever comes too late finds it empty next time."""
    lock = FileLock(landing / ".lock")
    try:
        lock.acquire(timeout=wait_s)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def take_in_together(lake: Lake, landing: Path, kind: Kind, files: Sequence[Path], config: IngestConfig) -> list[Landed]:
    """Ingest files of one kind at a stroke, then move them away; where one of them cannot be read, each by itself."""
    if len(files) == 1:
        return [take_in(lake, landing, kind, files[0], config)]
    try:
        summary = ingest(lake, kind, [str(file) for file in files], MAPPING, config)
    except LakeError:
        raise
    except UserError:
        return [take_in(lake, landing, kind, file, config) for file in files]
    moved = [_move(file, landing, Landed(kind, shown(file.name), "done")) for file in files]
    together = Landed(kind, f"{files[0].name} and {len(files) - 1} more", "done", **_counts(summary))
    return [together, *(file for file in moved if file.outcome == "stuck")]


def take_in(lake: Lake, landing: Path, kind: Kind, file: Path, config: IngestConfig) -> Landed:
    """Ingest one file of the landing folder, then move it away.

    Killed between the two, the next run finds only duplicates and moves it. What is the lake's fault, not the file's, is raised.
    """
    try:
        summary = ingest(lake, kind, [str(file)], MAPPING, config)
    except LakeError:
        raise
    except UserError as error:
        if not os.path.lexists(file):  # taken in by an earlier attempt of this run, or taken back by whoever put it there
            return Landed(kind, shown(file.name), "gone", error="it is no longer there; put it back if it was not taken in")
        return _move(file, landing, Landed(kind, shown(file.name), "failed", error=shown(str(error))))
    return _move(file, landing, Landed(kind, shown(file.name), "done", **_counts(summary)))


def _counts(summary: Summary) -> dict[str, Any]:
    return {name: getattr(summary, name) for name in ("read", "new", "changed", "duplicate", "rejected", "seconds")}


def _move(file: Path, landing: Path, landed: Landed) -> Landed:
    """Move a file to done/ or failed/; one that cannot be moved is stuck, and does not stop the others."""
    folder = landing / landed.outcome / datetime.now(UTC).date().isoformat() / landed.kind
    try:
        _move_to(folder, file, landed.error)
    except OSError as error:
        if os.path.lexists(file):
            told = f"cannot move it to {folder}: {error.strerror or error}; move it away, or let the user who runs this do so"
            return replace(landed, outcome="stuck", error=f"{landed.error}; {told}" if landed.error else told)
    return landed


def _move_to(folder: Path, file: Path, reason: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / file.name
    copies = 1
    while os.path.lexists(target):
        copies += 1
        target = folder / f"{copies}-{file.name}"
    told = target.with_name(f"{target.name}.error.txt")
    try:
        if reason:  # before the file goes: killed in between, the next run says it again
            told.write_text(f"{reason}\n", encoding="utf-8")
        shutil.move(file, target)
    except OSError:
        if os.path.lexists(file):  # it may have been copied, and the next run would copy it once more
            target.unlink(missing_ok=True)
            told.unlink(missing_ok=True)
        raise
