"""The landing folder: its files are ingested and moved to done/, or to partial/ or failed/ together with the reasons."""

from __future__ import annotations

import errno
import os
import pwd
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from models.errors import UserError
from models.visible import visible_line
from tasks.config import IngestConfig
from tasks.ingest import mapping_files
from tasks.ingest.fields import Kind
from tasks.ingest.ingestion import Counts, ingest, workspace
from tasks.ingest.landed import Landed
from tasks.ingest.log_names import segment_of
from tasks.ingest.mapping_files import MappingError
from tasks.ingest.moving import REFUSED, delete, move
from tasks.ingest.sources import ColumnMapping
from tasks.lake import Lake, LakeError

KINDS: tuple[Kind, ...] = ("items", "events")  # items first, so that events find their items
UNFINISHED = (".tmp", ".part", ".partial", ".crdownload")
SETTLED_SECONDS = 2.0
SKEW_SECONDS = 1800.0
"""A file with a modification time this far in the future was not written just now: it comes from an archive of another time zone."""


def open_landing(config: IngestConfig, home: Path) -> Path:
    """The landing folder with its subfolders, created if missing. Raises UserError if they cannot be created."""
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
    """Files to ingest: items first, each kind sorted by name. Hidden, half-written and very recent files wait for the next run."""
    return [(kind, file) for kind in KINDS for file in sorted((landing / kind).rglob("*")) if _is_ready(landing, kind, file)]


def _is_ready(landing: Path, kind: Kind, file: Path) -> bool:
    if mapping_files.is_mapping(file) or not _is_settled(file, landing / kind):
        return False
    if segment_of(file) is not None:
        return True
    mapping = mapping_files.find(landing, kind, file)
    return mapping is None or _is_settled(mapping, landing)


def _is_settled(file: Path, folder: Path) -> bool:
    is_hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    if is_hidden or file.name.lower().endswith(UNFINISHED):
        return False
    try:
        state = file.lstat()
        is_linked_file = stat.S_ISLNK(state.st_mode) and file.is_file()
        age = time.time() - (file.stat() if is_linked_file else state).st_mtime
        return not stat.S_ISDIR(state.st_mode) and (age >= SETTLED_SECONDS or age <= -SKEW_SECONDS)
    except FileNotFoundError:  # another run has just taken it in
        return False
    except OSError:  # the ingest will report why the file cannot be read
        return True


@contextmanager
def turn(landing: Path, wait_s: float = 0) -> Iterator[bool]:
    """A lock for emptying the landing folder; yields whether this process holds it. Only one process at a time does."""
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


def ingest_landed_files(
    lake: Lake, landing: Path, kind: Kind, files: Sequence[Path], config: IngestConfig, oldest: datetime | None = None
) -> list[Landed]:
    """Ingest files of one kind, one ingest per mapping file, then move them away; if a file is unreadable, ingest each one separately.

    oldest: events from before this time (UTC) are refused. Files with an invalid mapping file stay where they are. No mapping file
    applies to the log of the API, whose columns are known.
    """
    groups: dict[Path | None, list[Path]] = {}
    segments = [file for file in files if segment_of(file) is not None]
    for file in files:
        if segment_of(file) is None:
            groups.setdefault(mapping_files.find(landing, kind, file), []).append(file)
    landed = []
    for path, some in groups.items():
        try:
            mapping = read_mapping(landing, kind, path, config)
        except MappingError as error:
            landed += [Landed(kind, visible_line(file.name), "waiting", error=visible_line(str(error))) for file in some]
            continue
        landed += _ingest_files(lake, landing, kind, some, mapping, config, oldest)
    return landed + (_ingest_files(lake, landing, kind, segments, ColumnMapping(is_log=True), config, oldest) if segments else [])


def ingest_landed_file(lake: Lake, landing: Path, kind: Kind, file: Path, config: IngestConfig) -> Landed:
    """Ingest one file of the landing folder, then move it away."""
    (landed,) = ingest_landed_files(lake, landing, kind, [file], config)
    return landed


def read_mapping(landing: Path, kind: Kind, path: Path | None, config: IngestConfig) -> ColumnMapping:
    """The mapping of a mapping file; links follow the same rules as links to data files."""
    if path is not None:
        try:
            check_kind(path, landing, follow_links=config.follow_links)
        except UserError as error:
            raise MappingError(str(error)) from error
    return mapping_files.read(landing, kind, path)


def _ingest_files(
    lake: Lake, landing: Path, kind: Kind, files: Sequence[Path], mapping: ColumnMapping, config: IngestConfig, oldest: datetime | None
) -> list[Landed]:
    """Ingest files with the same mapping, then move them away; if one of several is unreadable, ingest each one separately.

    After a kill between the two steps, the next run finds only duplicates and already recorded refusals, and moves the files. An error
    of the lake, rather than of a file, is raised.
    """
    try:
        for file in files:
            check_kind(file, landing, follow_links=config.follow_links)
        sources = [str(file.resolve()) for file in files]
        with workspace(lake) as folder:
            summary = ingest(lake, kind, [str(file) for file in files], mapping, config, folder, oldest)
            counts = {file: summary.by_file[source] for file, source in zip(files, sources, strict=True)}
            is_clear = config.pseudonyms and kind == "events" and not mapping.is_log
            return _moved(landing, kind, counts, summary.seconds, holds_clear_ids=is_clear)
    except LakeError:
        raise
    except UserError as error:
        if len(files) > 1:
            return [landed for file in files for landed in _ingest_files(lake, landing, kind, [file], mapping, config, oldest)]
        return [_failed(landing, kind, files[0], error)]


def _failed(landing: Path, kind: Kind, file: Path, error: UserError) -> Landed:
    if not os.path.lexists(file):  # ingested by an earlier attempt of this run, or removed by its owner
        return Landed(kind, visible_line(file.name), "gone", error="it is no longer there; put it back if it was not taken in")
    return move(file, landing, Landed(kind, visible_line(file.name), "failed", error=visible_line(str(error))))


def _moved(landing: Path, kind: Kind, files: Mapping[Path, Counts], seconds: float, *, holds_clear_ids: bool) -> list[Landed]:
    """Move ingested files. Files without refusals share one entry in the result; each other file has its own entry.

    holds_clear_ids: whether the lake holds only pseudonyms of the ids in the files; files without refusals are then deleted.
    """

    def put_away(file: Path, landed: Landed) -> Landed:
        return delete(file, landed) if holds_clear_ids else move(file, landing, landed)

    whole = [file for file, counts in files.items() if counts.refused is None]
    partial = [_partial(landing, kind, file, counts, seconds) for file, counts in files.items() if counts.refused is not None]
    if not whole:
        return partial
    name = visible_line(whole[0].name)
    totals = {
        name: sum(getattr(files[file], name) for file in whole) for name in ("read", "new", "changed", "duplicate", "rejected", "barred")
    }
    if len(whole) == 1:
        return [put_away(whole[0], Landed(kind, name, "done", **totals, seconds=seconds)), *partial]
    together = Landed(kind, f"{name} and {len(whole) - 1} more", "done", **totals, seconds=seconds)
    moved = [put_away(file, Landed(kind, visible_line(file.name), "done")) for file in whole]
    return [together, *(file for file in moved if file.outcome == "stuck"), *partial]


def _partial(landing: Path, kind: Kind, file: Path, counts: Counts, seconds: float) -> Landed:
    name = visible_line(file.name)
    n_refused = counts.rejected - counts.barred
    refused = f"{n_refused:,} of {counts.read:,} rows" if n_refused else f"{counts.values_refused:,} values"
    remedy = "correct the file, or the mapping (options that a reason names are keys of mapping.toml), and put the file here again"
    error = f"{refused} were refused; {name}{REFUSED} next to it in partial/ says which and why; {remedy}"
    numbers = {field: getattr(counts, field) for field in ("read", "new", "changed", "duplicate", "rejected", "barred")}
    return move(file, landing, Landed(kind, name, "partial", **numbers, seconds=seconds, error=error), counts.refused)


def check_kind(file: Path, landing: Path, *, follow_links: bool) -> None:
    """Raises UserError for anything but a regular file, and for forbidden links.

    People who can write to the landing folder may lack permission to read other files, so a link must not give them access.
    follow_links: whether a link may lead out of the landing folder to a file that the owner of the link may read.
    """
    name = visible_line(file.name)
    state = file.lstat() if os.path.lexists(file) else None
    if state is None:
        return  # the file has just been removed: reading it will report that
    if not stat.S_ISLNK(state.st_mode):
        if not stat.S_ISREG(state.st_mode):
            raise UserError(f"{name} is no regular file but a pipe, a socket or a device; put a file there")
        return
    try:
        target = file.resolve(strict=True)
    except FileNotFoundError as error:
        raise UserError(f"{name} is a link to nothing ({visible_line(os.readlink(file))}); put the file itself there") from error
    except (OSError, RuntimeError) as error:  # Python 3.11 and 3.12 report a loop as a RuntimeError
        if isinstance(error, OSError) and error.errno != errno.ELOOP:
            raise UserError(f"cannot read {name}: {error.strerror}; put the file itself there") from error
        raise UserError(f"{name} is a link that leads back to itself; put the file itself there") from error
    if target.is_dir():
        raise UserError(f"{name} is a link to a folder; put the files themselves there")
    if not target.is_file():
        raise UserError(f"{name} is a link to something that is no regular file; put a file there")
    is_inside = target.is_relative_to(landing.resolve())
    if not is_inside and not follow_links:
        raise UserError(
            f"{name} is a link out of the landing folder; put the file itself there, or let links be followed with "
            "MINUTEHAND_INGEST__FOLLOW_LINKS=true"
        )
    if not may_read(state.st_uid, target):
        raise UserError(f"{name} is a link to a file that the owner of the link may not read; put the file itself there")


def may_read(uid: int, target: Path) -> bool:
    """Whether the permissions of a file and of its parent folders let a user read it."""
    if uid == 0:
        return True
    try:
        user = pwd.getpwuid(uid)
        groups = set(os.getgrouplist(user.pw_name, user.pw_gid))
    except KeyError:  # this machine does not know the owner
        groups = set()

    def allows(path: Path, wanted: int) -> bool:
        state = path.stat()
        shift = 6 if state.st_uid == uid else 3 if state.st_gid in groups else 0
        return bool(state.st_mode >> shift & wanted)

    return allows(target, 4) and all(allows(folder, 1) for folder in target.parents)
