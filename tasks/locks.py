"""Who may work in a home, whoever started it: one night at a time, and one publisher of lists at a time.

A night has its own turn from beginning to end, and the publishing turn for its hand-over only, so minutes go on beside it.
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
    """Somebody else has the turn in this home."""


@dataclass(frozen=True)
class Turn:
    """folder: of temporary files. is_clean: whether the turn before came to its end, so that there is nothing to mend."""

    folder: Path
    is_clean: bool


@contextmanager
def take(home: Path) -> Iterator[Path]:
    """Hold the turn of the nights for as long as the block lasts, however the process ends; gives the folder of its temporary files.

    Temporary files of the block, MLflow's included, lie in that folder and not in the machine's: the next turn sweeps
    away what a killed one left. Raises BusyError while another process, or another block of this one, has the turn.
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
    """Hold the turn of those who change the lists and the live model, as `take` does that of the nights.

    A turn that was killed or broke off with an error is not clean: the next one is told.
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
            f"lists are being published in {home}{_signature(folder / 'running.json')}; the next run takes up whatever is new"
        ) from error


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
    """Who has the turn and since when; empty in the moment before it signs."""
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
