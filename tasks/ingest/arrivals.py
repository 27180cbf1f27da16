"""A landing folder in an object store: files are fetched into the landing folder of the home, ingested there, and put away as objects.

The object is the file until its outcome is in the store. A kill is repaired by the next run:

| killed                           | left behind                                 | repair                                               |
| -------------------------------- | ------------------------------------------- | ---------------------------------------------------- |
| while or after fetching          | copies in the landing folder of the home    | `fetch` deletes them, and fetches the objects again  |
| after the ingest                 | objects whose rows the lake has             | they are ingested again, and every row is a duplicate|
| before the outcome is uploaded   | files in done/ of the home                  | `fetch` uploads them first                           |
| before the object is deleted     | the object, and an equal one in done/       | ingested again; no second copy goes to done/         |
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from itertools import islice
from pathlib import Path, PurePosixPath

from models.errors import UserError
from tasks.config import IngestConfig, StoreConfig
from tasks.ingest import mapping_files
from tasks.ingest.log_names import LogKind
from tasks.store import Bucket, Entry, delete, download, entries, is_remote, place_of, read, size, tag, upload, write

KINDS: tuple[LogKind, ...] = ("items", "aliases", "events", "served")
OUTCOMES = ("done", "partial", "failed")
UNFINISHED = (".tmp", ".part", ".partial", ".crdownload")
FETCHED = ".fetched.json"
"""The names of the copies that the last run fetched."""
MOST_FILES = 1000
"""A run fetches at most this many objects of a kind; the next one fetches the others."""
AGE_S = 60.0
"""Age of a copy: an object appears when it is complete, so it needs no time to settle."""


def bucket_of(config: IngestConfig, store: StoreConfig) -> Bucket | None:
    """The landing folder in an object store; None if the landing folder is on this machine."""
    if not is_remote(config.landing):
        return None
    place = place_of(config.landing, store)
    if not isinstance(place, Bucket) or not place.name:
        raise UserError(f"MINUTEHAND_INGEST__LANDING is {config.landing}, which names no bucket; write s3://bucket/prefix/")
    return place


def is_waiting(bucket: Bucket) -> bool:
    """Whether an object waits that may change lists. Asks for one page of each kind, unless a page has nothing but mapping files."""
    return any(any(True for _ in _files(bucket, kind)) for kind in KINDS if kind != "served")


def fetch(bucket: Bucket, landing: Path) -> dict[str, Entry]:
    """Copy waiting objects and their mapping files into the landing folder of the home; returns the objects by name.

    The caller holds the turn of the landing folder. Puts away first what a killed run has left.
    """
    for name in json.loads((read(landing, FETCHED) or b"[]").decode()):
        (landing / name).unlink(missing_ok=True)
    _upload_outcomes(bucket, landing)
    waiting = {entry.name: entry for kind in KINDS for entry in islice(_files(bucket, kind), MOST_FILES)}
    mappings = [
        entry.name for kind in ("items", "events") for entry in entries(bucket, f"{kind}/") if _is_mapping(entry) and _stays_below(entry)
    ]
    names = [mapping_files.NAME, *mappings, *waiting]
    (landing / FETCHED).write_text(json.dumps(names), encoding="utf-8")
    for name in names:
        if download(bucket, name, landing / name):
            os.utime(landing / name, (time.time() - AGE_S,) * 2)
    return waiting


def put_away(bucket: Bucket, landing: Path, fetched: dict[str, Entry]) -> None:
    """Upload the outcomes, then delete the objects that were ingested; one that was replaced meanwhile stays for the next run."""
    _upload_outcomes(bucket, landing)
    gone = [entry for name, entry in fetched.items() if not os.path.lexists(landing / name)]
    delete(bucket, [entry.name for entry in gone if tag(bucket, entry.name) == entry.tag])


def prune(bucket: Bucket, before: date) -> int:
    """Delete the objects of done/ of the days before a day; returns their number."""
    old = []
    for entry in entries(bucket, "done/"):
        with suppress(ValueError):
            if date.fromisoformat(PurePosixPath(entry.name).parts[1]) < before:
                old.append(entry.name)
    delete(bucket, old)
    return len(old)


def put_aside(bucket: Bucket, name: str, content: bytes) -> None:
    """Put a file into the landing folder, unless one of that name and size waits there."""
    if size(bucket, name) != len(content):
        write(bucket, name, content)


def _files(bucket: Bucket, kind: LogKind) -> Iterator[Entry]:
    for entry in entries(bucket, f"{kind}/"):
        is_hidden = any(part.startswith(".") for part in PurePosixPath(entry.name).parts)
        if not is_hidden and not entry.name.lower().endswith(UNFINISHED) and not _is_mapping(entry) and _stays_below(entry):
            yield entry


def _stays_below(entry: Entry) -> bool:
    """Whether the name of an object leads to a place below the landing folder of the home."""
    return ".." not in entry.name.split("/")


def _is_mapping(entry: Entry) -> bool:
    return mapping_files.is_mapping(Path(entry.name))


def _upload_outcomes(bucket: Bucket, landing: Path) -> None:
    """Upload the files of done/, partial/ and failed/, notes before their files, and delete them here."""
    for outcome in OUTCOMES:
        found = sorted((path for path in (landing / outcome).rglob("*") if path.is_file()), key=lambda path: (-len(path.name), path.name))
        for path in found:
            name = _free_name(bucket, path, path.relative_to(landing).as_posix())
            if name is not None:
                upload(bucket, path, name)
            path.unlink()


def _free_name(bucket: Bucket, path: Path, name: str) -> str | None:
    """A name that no object has; None if the object of that name has the same content."""
    parent, own = PurePosixPath(name).parent, PurePosixPath(name).name
    copies = 1
    while tag(bucket, name) is not None:
        with tempfile.TemporaryDirectory() as folder:
            other = Path(folder) / "other"
            if download(bucket, name, other) and other.read_bytes() == path.read_bytes():
                return None
        copies += 1
        name = (parent / f"{copies}-{own}").as_posix()
    return name
