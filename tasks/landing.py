"""The landing folder: files put there are taken in and moved to done/, unreadable ones to failed/ with the reason."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.errors import UserError
from tasks.config import IngestConfig
from tasks.ingestion import Kind, ingest
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
    if is_hidden or file.name.lower().endswith(UNFINISHED) or not file.is_file():
        return False
    return time.time() - file.stat().st_mtime >= SETTLED_SECONDS


def take_in(lake: Lake, landing: Path, kind: Kind, file: Path, config: IngestConfig) -> Landed:
    """Ingest one file of the landing folder, then move it away.

    Killed between the two, the next run finds only duplicates and moves it. What is the lake's fault, not the file's, is raised.
    """
    try:
        summary = ingest(lake, kind, [str(file)], MAPPING, config)
    except LakeError:
        raise
    except UserError as error:
        moved = _move(file, landing, "failed", kind)
        moved.with_name(f"{moved.name}.error.txt").write_text(f"{error}\n", encoding="utf-8")
        return Landed(kind, file.name, "failed", error=str(error))
    _move(file, landing, "done", kind)
    numbers: dict[str, Any] = {name: getattr(summary, name) for name in ("read", "new", "changed", "duplicate", "rejected", "seconds")}
    return Landed(kind, file.name, "done", **numbers)


def _move(file: Path, landing: Path, outcome: str, kind: Kind) -> Path:
    folder = landing / outcome / datetime.now(UTC).date().isoformat() / kind
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / file.name
    copies = 1
    while target.exists():
        copies += 1
        target = folder / f"{copies}-{file.name}"
    shutil.move(file, target)
    return target
