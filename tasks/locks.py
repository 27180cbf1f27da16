"""Per-home process locks: one nightly run, and one publisher of lists, at a time.

A night holds its own lock from start to end, and the publishing lock only for its hand-over, so minutes continue during a night.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from models.errors import UserError


class BusyError(UserError):
    """Another process holds the lock of this home."""


@dataclass(frozen=True)
class Turn:
    """A held lock. folder: for temporary files. is_clean: whether the previous holder finished, so that nothing needs repair."""

    folder: Path
    is_clean: bool


@contextmanager
def take(home: Path) -> Iterator[Path]:
    """Hold the nightly lock for the duration of the block; yields the folder of its temporary files.

    The lock is released even if the process is killed. Temporary files of the block, including MLflow's, go to that folder, and the
    next holder deletes those of a killed run. Raises BusyError while another process, or another block of this one, holds the lock.
    """
    folder = home.resolve() / "nightly"
    try:
        with _held(folder, 0), _temporary_files_in(folder / "tmp"):
            _sign(folder / "running.json")
            try:
                yield folder / "tmp"
            finally:
                (folder / "running.json").unlink(missing_ok=True)
    except Timeout as error:
        raise BusyError(
            f"a night is under way in {home}{_signature(folder / 'running.json')}; wait until it is done, or stop it, and run this again"
        ) from error


@contextmanager
def publishing_turn(home: Path, wait_s: float = 0) -> Iterator[Turn]:
    """Hold the lock for changes of the lists and the live model, as `take` holds the nightly lock.

    After a holder that was killed or failed with an error, the next holder's `is_clean` is false.
    """
    folder = home.resolve() / "minute"
    try:
        with _held(folder, wait_s), _temporary_files_in(folder / "tmp"):
            is_clean = not (folder / "running.json").exists()
            _sign(folder / "running.json")
            yield Turn(folder / "tmp", is_clean)
            (folder / "running.json").unlink()
    except Timeout as error:
        raise BusyError(
            f"lists are being published in {home}{_signature(folder / 'running.json')}; the next run processes all new events"
        ) from error


@contextmanager
def publishing_paused(home: Path, wait_s: float) -> Iterator[None]:
    """Hold the lock of publishing_turn for a change that is none of a publisher's; what a killed publisher left stays for the next one."""
    folder = home.resolve() / "minute"
    try:
        with _held(folder, wait_s):
            yield
    except Timeout as error:
        raise BusyError(
            f"lists are being published in {home}{_signature(folder / 'running.json')}; nothing was changed, run this again afterwards"
        ) from error


@contextmanager
def night_paused(home: Path) -> Iterator[None]:
    """Hold the nightly lock for a change that is none of a night's. Raises BusyError while a night is under way."""
    folder = home.resolve() / "nightly"
    try:
        with _held(folder, 0):
            yield
    except Timeout as error:
        raise BusyError(f"a night is under way in {home}{_signature(folder / 'running.json')}; this continues after it") from error


@contextmanager
def _held(folder: Path, wait_s: float) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock", timeout=wait_s):
        yield


def _sign(file: Path) -> None:
    whole = file.with_suffix(".json.tmp")
    whole.write_text(json.dumps({"pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}), encoding="utf-8")
    whole.replace(file)


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
