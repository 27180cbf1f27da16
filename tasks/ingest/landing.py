"""The landing folder: files put there are taken in and moved to done/, or with their reasons to partial/ or failed/."""

from __future__ import annotations

import errno
import os
import pwd
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from models.errors import UserError
from models.visible import visible_line
from tasks.config import IngestConfig
from tasks.ingest import mapping_files
from tasks.ingest.fields import Kind
from tasks.ingest.ingestion import Counts, ingest, workspace
from tasks.ingest.landed import Landed
from tasks.ingest.mapping_files import MappingError
from tasks.ingest.moving import REFUSED, move
from tasks.ingest.sources import ColumnMapping
from tasks.lake import Lake, LakeError

KINDS: tuple[Kind, ...] = ("items", "events")  # events mean more once their items are known
UNFINISHED = (".tmp", ".part", ".partial", ".crdownload")
SETTLED_SECONDS = 2.0
SKEW_SECONDS = 1800.0
"""Further in the future than any clock is wrong a file was not written just now: it comes from an archive of another time zone."""


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
    return [(kind, file) for kind in KINDS for file in sorted((landing / kind).rglob("*")) if _is_ready(landing, kind, file)]


def _is_ready(landing: Path, kind: Kind, file: Path) -> bool:
    if mapping_files.is_mapping(file) or not _is_settled(file, landing / kind):
        return False
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
    except OSError:  # taking it in tells why it cannot be read
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


def ingest_landed_files(lake: Lake, landing: Path, kind: Kind, files: Sequence[Path], config: IngestConfig) -> list[Landed]:
    """Ingest files of one kind at a stroke for each mapping file, then move them away; where one cannot be read, each by itself.

    Files whose mapping file says something that no option says stay where they are.
    """
    groups: dict[Path | None, list[Path]] = {}
    for file in files:
        groups.setdefault(mapping_files.find(landing, kind, file), []).append(file)
    landed = []
    for path, some in groups.items():
        try:
            mapping = read_mapping(landing, kind, path, config)
        except MappingError as error:
            landed += [Landed(kind, visible_line(file.name), "waiting", error=visible_line(str(error))) for file in some]
            continue
        landed += _ingest_files(lake, landing, kind, some, mapping, config)
    return landed


def ingest_landed_file(lake: Lake, landing: Path, kind: Kind, file: Path, config: IngestConfig) -> Landed:
    """Ingest one file of the landing folder, then move it away."""
    (landed,) = ingest_landed_files(lake, landing, kind, [file], config)
    return landed


def read_mapping(landing: Path, kind: Kind, path: Path | None, config: IngestConfig) -> ColumnMapping:
    """What a mapping file says; a link is followed where one to a file of rows would be."""
    if path is not None:
        try:
            check_kind(path, landing, follow_links=config.follow_links)
        except UserError as error:
            raise MappingError(str(error)) from error
    return mapping_files.read(landing, kind, path)


def _ingest_files(
    lake: Lake, landing: Path, kind: Kind, files: Sequence[Path], mapping: ColumnMapping, config: IngestConfig
) -> list[Landed]:
    """Ingest files of one mapping, then move them away; where one of several cannot be read, each by itself.

    Killed between the two, the next run finds only duplicates and rows that are noted, and moves them. What is the lake's fault, not
    that of a file, is raised.
    """
    try:
        for file in files:
            check_kind(file, landing, follow_links=config.follow_links)
        sources = [str(file.resolve()) for file in files]
        with workspace(lake) as folder:
            summary = ingest(lake, kind, [str(file) for file in files], mapping, config, refused_to=folder)
            counts = {file: summary.by_file[source] for file, source in zip(files, sources, strict=True)}
            return _moved(landing, kind, counts, summary.seconds)
    except LakeError:
        raise
    except UserError as error:
        if len(files) > 1:
            return [landed for file in files for landed in _ingest_files(lake, landing, kind, [file], mapping, config)]
        return [_failed(landing, kind, files[0], error)]


def _failed(landing: Path, kind: Kind, file: Path, error: UserError) -> Landed:
    if not os.path.lexists(file):  # taken in by an earlier attempt of this run, or taken back by whoever put it there
        return Landed(kind, visible_line(file.name), "gone", error="it is no longer there; put it back if it was not taken in")
    return move(file, landing, Landed(kind, visible_line(file.name), "failed", error=visible_line(str(error))))


def _moved(landing: Path, kind: Kind, files: Mapping[Path, Counts], seconds: float) -> list[Landed]:
    """Move files that were taken in: those whose every row got in are one entry, each of the others is one of its own."""
    whole = [file for file, counts in files.items() if counts.refused is None]
    partial = [_partial(landing, kind, file, counts, seconds) for file, counts in files.items() if counts.refused is not None]
    if not whole:
        return partial
    name = visible_line(whole[0].name)
    totals = {name: sum(getattr(files[file], name) for file in whole) for name in ("read", "new", "changed", "duplicate")}
    if len(whole) == 1:
        return [move(whole[0], landing, Landed(kind, name, "done", **totals, seconds=seconds)), *partial]
    together = Landed(kind, f"{name} and {len(whole) - 1} more", "done", **totals, seconds=seconds)
    moved = [move(file, landing, Landed(kind, visible_line(file.name), "done")) for file in whole]
    return [together, *(file for file in moved if file.outcome == "stuck"), *partial]


def _partial(landing: Path, kind: Kind, file: Path, counts: Counts, seconds: float) -> Landed:
    name = visible_line(file.name)
    refused = f"{counts.rejected:,} of {counts.read:,} rows" if counts.rejected else f"{counts.values_refused:,} values"
    remedy = "correct the file, or the mapping (options that a reason names are keys of mapping.toml), and put the file here again"
    told = f"{refused} were refused; {name}{REFUSED} beside it in partial/ says which and why; {remedy}"
    numbers = {field: getattr(counts, field) for field in ("read", "new", "changed", "duplicate", "rejected")}
    return move(file, landing, Landed(kind, name, "partial", **numbers, seconds=seconds, error=told), counts.refused)


def check_kind(file: Path, landing: Path, *, follow_links: bool) -> None:
    """Refuses what is no file, and links that nobody may follow: who can write to the landing folder may not be able to read the rest.

    follow_links: whether a link may lead out of the landing folder, to what its owner may read.
    """
    name = visible_line(file.name)
    state = file.lstat() if os.path.lexists(file) else None
    if state is None:
        return  # it has just been taken away: reading it tells so
    if not stat.S_ISLNK(state.st_mode):
        if not stat.S_ISREG(state.st_mode):
            raise UserError(f"{name} is no regular file but a pipe, a socket or a device; put a file there")
        return
    try:
        target = file.resolve(strict=True)
    except FileNotFoundError as error:
        raise UserError(f"{name} is a link to nothing ({visible_line(os.readlink(file))}); put the file itself there") from error
    except (OSError, RuntimeError) as error:  # Python 3.11 and 3.12 tell a loop as a RuntimeError
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
    """Whether a user may read a file by the permissions of the file and of the folders above it."""
    if uid == 0:
        return True
    try:
        user = pwd.getpwuid(uid)
        groups = set(os.getgrouplist(user.pw_name, user.pw_gid))
    except KeyError:  # an owner whom this machine does not know
        groups = set()

    def allows(path: Path, wanted: int) -> bool:
        state = path.stat()
        shift = 6 if state.st_uid == uid else 3 if state.st_gid in groups else 0
        return bool(state.st_mode >> shift & wanted)

    return allows(target, 4) and all(allows(folder, 1) for folder in target.parents)
