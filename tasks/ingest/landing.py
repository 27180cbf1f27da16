"""The landing folder: files put there are taken in and moved to done/, unreadable ones to failed/ with the reason."""

from __future__ import annotations

import errno
import os
import pwd
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from models.errors import UserError
from models.visible import visible_line
from tasks.config import IngestConfig
from tasks.ingest.fields import Kind
from tasks.ingest.ingestion import Summary, ingest
from tasks.ingest.sources import ColumnMapping
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


def take_in_together(lake: Lake, landing: Path, kind: Kind, files: Sequence[Path], config: IngestConfig) -> list[Landed]:
    """Ingest files of one kind at a stroke, then move them away; where one of them cannot be read, each by itself."""
    if len(files) == 1:
        return [take_in(lake, landing, kind, files[0], config)]
    try:
        for file in files:
            check_kind(file, landing, follow_links=config.follow_links)
        summary = ingest(lake, kind, [str(file) for file in files], MAPPING, config)
    except LakeError:
        raise
    except UserError:
        return [take_in(lake, landing, kind, file, config) for file in files]
    moved = [_move(file, landing, Landed(kind, visible_line(file.name), "done")) for file in files]
    together = Landed(kind, f"{files[0].name} and {len(files) - 1} more", "done", **_counts(summary))
    return [together, *(file for file in moved if file.outcome == "stuck")]


def take_in(lake: Lake, landing: Path, kind: Kind, file: Path, config: IngestConfig) -> Landed:
    """Ingest one file of the landing folder, then move it away.

    Killed between the two, the next run finds only duplicates and moves it. What is the lake's fault, not the file's, is raised.
    """
    try:
        check_kind(file, landing, follow_links=config.follow_links)
        summary = ingest(lake, kind, [str(file)], MAPPING, config)
    except LakeError:
        raise
    except UserError as error:
        if not os.path.lexists(file):  # taken in by an earlier attempt of this run, or taken back by whoever put it there
            return Landed(kind, visible_line(file.name), "gone", error="it is no longer there; put it back if it was not taken in")
        return _move(file, landing, Landed(kind, visible_line(file.name), "failed", error=visible_line(str(error))))
    return _move(file, landing, Landed(kind, visible_line(file.name), "done", **_counts(summary)))


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
    target, told = _free_names(folder, file.name)
    try:
        if reason:  # before the file goes: killed in between, the next run says it again
            told.write_text(f"{reason}\n", encoding="utf-8")
        shutil.move(file, target)
    except OSError:
        if os.path.lexists(file):  # it may have been copied, and the next run would copy it once more
            target.unlink(missing_ok=True)
            told.unlink(missing_ok=True)
        raise


def _free_names(folder: Path, name: str) -> tuple[Path, Path]:
    """Paths that are free for a file and for the reason beside it; a name is cut where the file system takes no longer one."""
    n_bytes = os.pathconf(folder, "PC_NAME_MAX")
    copies = 1
    while True:
        target = folder / _fitting("" if copies == 1 else f"{copies}-", name, "", n_bytes)
        told = folder / _fitting("" if copies == 1 else f"{copies}-", name, ".error.txt", n_bytes)
        is_own = told.name == f"{target.name}.error.txt"  # then a reason without its file is what a killed run left
        if not os.path.lexists(target) and (is_own or not os.path.lexists(told)):
            return target, told
        copies += 1


def _fitting(before: str, name: str, after: str, n_bytes: int) -> str:
    """before + name + after, of at most n_bytes: what is too much is cut from the middle, so that the suffixes stay."""
    suffix = "".join(Path(name).suffixes[-2:])[-12:]
    stem = os.fsencode(name)[: len(os.fsencode(name)) - len(os.fsencode(suffix))]
    room = n_bytes - len(os.fsencode(before + suffix + after))
    if len(stem) <= room:
        return before + name + after
    cut = stem[:room]
    while cut and not _is_whole(cut) and len(stem[:room]) - len(cut) < 4:
        cut = cut[:-1]
    return before + os.fsdecode(cut) + suffix + after


def _is_whole(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
