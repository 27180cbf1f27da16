"""Locks of a lake: one nightly run, one publisher of lists, and one writer at a time.

A night holds its own lock from start to end, and the publishing lock only for its hand-over, so minutes continue during a night. The locks
are files of the home. If the catalog is on PostgreSQL, where several homes may share a lake, each is a lock of the database as well.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from models.errors import UserError
from tasks import advisory

PAUSE_S = 900.0
"""How long a night waits for an erasure that rewrites files."""


class Locked(Protocol):
    """What the locks need of a lake."""

    @property
    def home(self) -> Path: ...
    @property
    def catalog(self) -> str: ...
    @property
    def shown_catalog(self) -> str: ...
    @property
    def is_sqlite(self) -> bool: ...
    @property
    def lock_path(self) -> Path: ...
    @property
    def lock_timeout_s(self) -> int: ...


class BusyError(UserError):
    """Another process holds the lock of this lake."""


@dataclass(frozen=True)
class Turn:
    """A held lock. folder: for temporary files. is_clean: whether the previous holder finished, so that nothing needs repair."""

    folder: Path
    is_clean: bool


@contextmanager
def take(lake: Locked) -> Iterator[Path]:
    """Hold the nightly lock for the duration of the block; yields the folder of its temporary files.

    The lock is released even if the process is killed. Temporary files of the block, including MLflow's, go to that folder, and the
    next holder deletes those of a killed run. Raises BusyError while another process, or another block of this one, holds the lock. The
    end of night_paused is waited for.
    """
    folder, until = _nightly(lake), "wait until it is done, or stop it, and run this again"
    is_running = (folder / "running.json").exists() or (not lake.is_sqlite and advisory.is_signed(lake.catalog, "night"))
    with _held(lake, "night", 0 if is_running else PAUSE_S, until) as hold, _temporary_files_in(folder / "tmp"):
        _sign(folder / "running.json", hold)
        try:
            yield folder / "tmp"
        finally:
            _sign_off(folder / "running.json", hold)


@contextmanager
def publishing_turn(lake: Locked, wait_s: float = 0) -> Iterator[Turn]:
    """Hold the lock for changes of the lists and the live model, as `take` holds the nightly lock.

    After a holder that was killed or failed with an error, the next holder's `is_clean` is false.
    """
    file = _minute(lake) / "running.json"
    with _held(lake, "publisher", wait_s, "the next run processes all new events") as hold, _temporary_files_in(file.parent / "tmp"):
        is_clean = not file.exists() and (hold is None or hold.was_finished)
        _sign(file, hold)
        yield Turn(file.parent / "tmp", is_clean)
        _sign_off(file, hold)


@contextmanager
def publishing_paused(lake: Locked, wait_s: float) -> Iterator[None]:
    """Hold the lock of publishing_turn for a change that is none of a publisher's; what a killed publisher left stays for the next one."""
    with _held(lake, "publisher", wait_s, "nothing was changed, run this again afterwards"):
        yield


@contextmanager
def night_paused(lake: Locked) -> Iterator[None]:
    """Hold the nightly lock for a change that is none of a night's. Raises BusyError while a night is under way."""
    with _held(lake, "night", 0, "this continues after it"):
        yield


@contextmanager
def writing_turn(lake: Locked) -> Iterator[None]:
    """Hold the writer's lock for the duration of the block; waits for it up to the lock timeout of the lake."""
    held_by = f"another writer has held {{}} for over {lake.lock_timeout_s} s; wait for it, or raise MINUTEHAND_LAKE__LOCK_TIMEOUT_S"
    try:
        with FileLock(lake.lock_path, timeout=lake.lock_timeout_s):
            if lake.is_sqlite:
                yield
                return
            with advisory.hold(lake.catalog, "writer", lake.lock_timeout_s):
                yield
    except Timeout as error:
        raise BusyError(held_by.format(lake.lock_path)) from error
    except advisory.HeldError as error:
        raise BusyError(held_by.format(f"the writer's lock of {lake.shown_catalog}{error.holder}")) from error


@contextmanager
def arrivals_turn(lake: Locked, wait_s: float = 0) -> Iterator[bool]:
    """Hold the lock of the files that arrive in a bucket, which several homes may empty; yields whether this process holds it."""
    if lake.is_sqlite:
        yield True
        return
    with ExitStack() as held:
        try:
            held.enter_context(advisory.hold(lake.catalog, "arrivals", wait_s))
        except advisory.HeldError:
            is_mine = False
        else:
            is_mine = True
        yield is_mine


def demand_held(lake: Locked) -> None:
    """Raises LostError if a lock that this process holds in the lake was lost; to be called right before a commit.

    A lock that is a file ends with its process alone.
    """
    if not lake.is_sqlite:
        advisory.demand_held(lake.catalog)


def _nightly(lake: Locked) -> Path:
    return lake.home.resolve() / "nightly"


def _minute(lake: Locked) -> Path:
    return lake.home.resolve() / "minute"


@contextmanager
def _held(lake: Locked, name: str, wait_s: float, remedy: str) -> Iterator[advisory.Hold | None]:
    """Hold the lock of a night or a publisher. Yields that of the database, if the catalog is on PostgreSQL."""
    folder, what = (_nightly(lake), "a night is under way") if name == "night" else (_minute(lake), "lists are being published")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=wait_s):
            if lake.is_sqlite:
                yield None
                return
            with advisory.hold(lake.catalog, name, wait_s) as hold:
                yield hold
    except Timeout as error:
        raise BusyError(f"{what} in {lake.home}{_signature(folder / 'running.json')}; {remedy}") from error
    except advisory.HeldError as error:
        raise BusyError(f"{what} in {lake.shown_catalog}{error.holder}; {remedy}") from error


def _sign(file: Path, hold: advisory.Hold | None) -> None:
    whole = file.with_suffix(".json.tmp")
    whole.write_text(json.dumps({"pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}), encoding="utf-8")
    whole.replace(file)
    if hold is not None:
        hold.sign()


def _sign_off(file: Path, hold: advisory.Hold | None) -> None:
    if hold is not None:
        hold.sign_off()
    file.unlink(missing_ok=True)


def _signature(file: Path) -> str:
    """The process that holds the lock, and since when; empty until the holder has signed."""
    with suppress(FileNotFoundError, json.JSONDecodeError, KeyError):
        signed = json.loads(file.read_text(encoding="utf-8"))
        return f" (process {signed['pid']}, since {signed['since']})"
    return ""


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    before = tempfile.tempdir
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)
