"""Ownership of a data folder, or of a prefix of an object store: a small mark among the Parquet files holds the id of their catalog.

A DuckLake catalog knows its data folder only as a path. Without the mark, a new catalog over old files, or a second catalog over the
files of the first, would treat every file that it does not know as an orphan of a killed writer.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from models.errors import UserError
from tasks.store import Place, StoreError, entries, exists, read, write

logger = logging.getLogger("minutehand.lake")
NAME = "minutehand.json"
ELSEWHERE = "name an empty folder by MINUTEHAND_LAKE__DATA_PATH"


class FolderError(UserError):
    """The data folder belongs to another catalog, or this catalog wrote to another folder."""


@dataclass(frozen=True)
class Identity:
    """The identity of a catalog.

    catalog: its id since its creation. data_path: its data folder so far. snapshot, committed_at: its newest snapshot and the commit
    time of that snapshot, in microseconds. known_at: commit time of the requested snapshot, None if the catalog does not have it.
    """

    catalog: str
    data_path: str
    snapshot: int
    committed_at: int
    known_at: int | None


@dataclass(frozen=True)
class Mark:
    """The content of the mark file.

    since: time (UTC) from which only this catalog is known to have written here. folder, address: paths of the data folder and of the
    SQLite catalog at the last write. snapshot, committed_at: snapshot of the last write and its commit time. moved_to: where the lake
    is, if it was moved away from here or is still on its way to here; then nothing may be written here.
    """

    catalog: str
    since: str
    folder: str
    address: str
    snapshot: int
    committed_at: int
    moved_to: str = ""


def read_mark(folder: Place) -> Mark | None:
    """The mark of a folder; None if the mark is missing or unreadable."""
    try:
        return Mark(**json.loads((read(folder, NAME) or b"").decode("utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError):
        return None


def check_free(folder: Place, address: str) -> None:
    """Raises FolderError if the data folder of a new catalog already contains the files of another catalog."""
    found = NAME if exists(folder, NAME) else _a_parquet_file(folder)
    if found is not None:
        raise FolderError(
            f"there is no catalog at {address}, but {folder} has the files of one, such as {found}: a new catalog would not know "
            f"them; restore the catalog from a backup, or {ELSEWHERE}"
        )


def check_moved(folder: Place, identity: Identity, mark: Mark | None, named: Callable[[], list[str]]) -> None:
    """Raises FolderError unless a folder belongs to the catalog although its path differs from the one in the catalog.

    The mark decides. A folder from a version without marks belongs to the catalog if it has every file that the catalog names.
    """
    if mark is not None:
        _check_id(folder, identity, mark)
    elif not _has_all(folder, named()):
        raise FolderError(
            f"the catalog keeps its files in {identity.data_path}, and {folder} does not have them; "
            "move that folder here, or name it by MINUTEHAND_LAKE__DATA_PATH"
        )


def claim(folder: Place, address: str, identity: Identity, mark: Mark | None, now: datetime | None = None) -> Mark:
    """The mark of a folder, for a catalog that is about to write. A folder without a mark gets one.

    Raises FolderError if the folder belongs to another catalog. A catalog that does not know the snapshot of the last write was restored
    from an older copy; files written since that copy are not its own.
    """
    moment = (now or datetime.now(UTC)).isoformat()
    if mark is None:
        mark = Mark(identity.catalog, moment, str(folder), address, identity.snapshot, identity.committed_at)
        _write(folder, mark, is_first=not exists(folder, NAME))
        return mark
    check_owner(folder, address, identity, mark)
    if not _knows(identity, mark):
        logger.warning(
            "the catalog at %s is older than the files in %s: it does not know snapshot %d; no file written before now will be swept away",
            address or identity.catalog,
            folder,
            mark.snapshot,
        )
        mark = replace(mark, since=moment)
    return mark


def check_owner(folder: Place, address: str, identity: Identity, mark: Mark) -> None:
    """Raises FolderError if the mark of a folder names another catalog, or if the catalog at the address is a copy of the named one."""
    _check_id(folder, identity, mark)
    if mark.moved_to:
        raise FolderError(
            f"the lake of {folder} was moved to {mark.moved_to}: name that one by MINUTEHAND_LAKE__CATALOG and MINUTEHAND_LAKE__DATA_PATH; "
            f"to go on with the old one instead, delete moved_to from {NAME} there"
        )
    if _is_in_use(folder, address, mark):
        raise FolderError(
            f"{folder} belongs to the catalog at {mark.address}, of which the one at {address} is a copy: a folder has one catalog; "
            "give the copy a copy of the folder and name that by MINUTEHAND_LAKE__DATA_PATH, or delete the catalog that is not needed"
        )


def record(folder: Place, address: str, mark: Mark, identity: Identity) -> None:
    """Record the newest commit of the catalog in the mark. A failed write is ignored: the mark can lag without any loss."""
    current = read_mark(folder)
    moved_to = current.moved_to if current else ""  # a move sets it while the writer's transaction is open
    fresh = Mark(mark.catalog, mark.since, str(folder), address, identity.snapshot, identity.committed_at, moved_to)
    if fresh != current:
        with suppress(OSError, FolderError, StoreError):
            _write(folder, fresh)


def expect(folder: Place, address: str, identity: Identity, source: str) -> None:
    """Mark a folder as the one to which a catalog at source is being moved. Raises FolderError if it belongs to another catalog."""
    mark = read_mark(folder)
    if mark is not None:
        _check_id(folder, identity, mark)
    now = datetime.now(UTC).isoformat()
    _write(folder, Mark(identity.catalog, now, str(folder), address, identity.snapshot, identity.committed_at, source))


def retire(folder: Place, moved_to: str) -> None:
    """Record that the lake is elsewhere now; empty: it is here."""
    mark = read_mark(folder)
    if mark is not None:
        _write(folder, replace(mark, moved_to=moved_to))


def parquet_files(folder: Path) -> Iterator[Path]:
    """Every Parquet file in a folder and its subfolders."""
    for root, _, names in os.walk(folder):
        yield from (Path(root) / name for name in names if name.endswith(".parquet"))


def _a_parquet_file(folder: Place) -> str | None:
    if isinstance(folder, Path):
        return next((path.name for path in parquet_files(folder)), None)
    return next((Path(entry.name).name for entry in entries(folder) if entry.name.endswith(".parquet")), None)


def _has_all(folder: Place, paths: list[str]) -> bool:
    """Whether all these files exist; those of an object store by one listing."""
    if isinstance(folder, Path):
        return all(Path(path).exists() for path in paths)
    there = {f"{folder}{entry.name}" for entry in entries(folder)}
    return all(path in there for path in paths)


def _check_id(folder: Place, identity: Identity, mark: Mark) -> None:
    if mark.catalog != identity.catalog:
        raise FolderError(
            f"{folder} belongs to another catalog{f', at {mark.address}' if mark.address else ''} ({NAME} in it says so): "
            f"a folder has one catalog; restore that catalog from a backup, or {ELSEWHERE}"
        )


def _is_in_use(folder: Place, address: str, mark: Mark) -> bool:
    """Whether a catalog file other than this one wrote here last and still exists; false if the folder itself is a copy."""
    if not mark.address or mark.address == address or mark.folder != str(folder):
        return False
    there = Path(mark.address)
    return there.is_file() and there.stat().st_size > 0 and not there.samefile(address)


def _knows(identity: Identity, mark: Mark) -> bool:
    """Whether the catalog has the snapshot of the mark, or had it before upkeep expired it."""
    if identity.known_at is None:
        return mark.snapshot < identity.snapshot
    return identity.known_at == mark.committed_at


def _write(folder: Place, mark: Mark, *, is_first: bool = False) -> None:
    """Write the mark atomically. is_first: raise FolderError if another catalog has written a mark in the meantime."""
    content = (json.dumps(asdict(mark), indent=2) + "\n").encode()
    try:
        if isinstance(folder, Path):
            folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise FolderError(f"{folder} is not a folder; move that file away and restore the folder from a backup, or {ELSEWHERE}") from error
    try:
        write(folder, NAME, content, is_first=is_first)
    except FileExistsError as error:
        raise FolderError(f"another catalog has just taken {folder}; {ELSEWHERE}") from error
