"""Names of the files that the API hands over: segments of its log, one file per segment and kind."""

from __future__ import annotations

import re
import secrets
import time
from pathlib import Path
from typing import Literal

LogKind = Literal["events", "items", "aliases", "served"]
FOLDER = "api"
SEGMENT = re.compile(r"api-(\d{20}(?:-[0-9a-f]{8})?)\.jsonl")
"""Name of a handed-over file, with the name of the segment; earlier versions named it by the time alone."""


def new_segment() -> str:
    """A name for a segment that begins now: names sort by time, and those of two servers that feed one lake never clash."""
    return f"{time.time_ns():020d}-{secrets.token_hex(4)}"


def folder_of(landing: Path, kind: LogKind) -> Path:
    """The folder within the landing folder that takes the segments of one kind."""
    return landing / kind / FOLDER


def segment_of(file: Path) -> str | None:
    """The name of the segment that a file is a copy of; None for any other file."""
    found = SEGMENT.fullmatch(file.name)
    return found[1] if found and file.parent.name == FOLDER else None
