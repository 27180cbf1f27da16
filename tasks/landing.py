"""The landing folder: files put there are taken in and moved to done/, unreadable ones to failed/ with the reason."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from models.errors import UserError
from tasks.config import IngestConfig
from tasks.ingestion import Kind, Summary, ingest
from tasks.lake import Lake, LakeError
from tasks.sources import ColumnMapping

KINDS: tuple[Kind, ...] = ("items", "events")  # events mean more once their items are known
UNFINISHED = (".tmp", ".part", ".partial", ".crdownload")
SETTLED_SECONDS = 2.0
MAPPING = ColumnMapping(separator="|")


@dataclass(frozen=True)
class Landed:
    """What became of one file: done or failed."""

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
    """The landing folder with its subfolders, created where missing."""
    landing = Path(config.landing).expanduser() if config.landing else home.resolve() / "landing"
    for kind in KINDS:
        (landing / kind).mkdir(parents=True, exist_ok=True)
    return landing


def waiting(landing: Path) -> list[tuple[Kind, Path]]:
    """Files to take in, items first, each kind by name; hidden, half-written and very young ones are left for the next time."""
    return [(kind, file) for kind in KINDS for file in sorted((landing / kind).rglob("*")) if _is_settled(file, landing / kind)]


def _is_settled(file: Path, folder: Path) -> bool:
    is_hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    if is_hidden or file.name.lower().endswith(UNFINISHED):
        return False
    try:
        return file.is_file() and time.time() - file.stat().st_mtime >= SETTLED_SECONDS
    except FileNotFoundError:  # another run has just taken it in
        return False


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
    for file in files:
        _move(file, landing, "done", kind)
    return [Landed(kind, f"{files[0].name} and {len(files) - 1} more", "done", **_counts(summary))]


def take_in(lake: Lake, landing: Path, kind: Kind, file: Path, config: IngestConfig) -> Landed:
    """Ingest one file of the landing folder, then move it away.

    Killed between the two, the next run finds only duplicates and moves it. What is the lake's fault, not the file's, is raised.
    """
    try:
        summary = ingest(lake, kind, [str(file)], MAPPING, config)
    except LakeError:
        raise
    except UserError as error:
        _move(file, landing, "failed", kind, reason=str(error))
        return Landed(kind, file.name, "failed", error=str(error))
    _move(file, landing, "done", kind)
    return Landed(kind, file.name, "done", **_counts(summary))


def _counts(summary: Summary) -> dict[str, Any]:
    return {name: getattr(summary, name) for name in ("read", "new", "changed", "duplicate", "rejected", "seconds")}


def _move(file: Path, landing: Path, outcome: str, kind: Kind, reason: str = "") -> None:
    folder = landing / outcome / datetime.now(UTC).date().isoformat() / kind
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / file.name
    copies = 1
    while target.exists():
        copies += 1
        target = folder / f"{copies}-{file.name}"
    if reason:  # before the file goes: killed in between, the next run says it again
        target.with_name(f"{target.name}.error.txt").write_text(f"{reason}\n", encoding="utf-8")
    shutil.move(file, target)
