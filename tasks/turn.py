"""One night at a time in one home, whoever started it: the schedule, the command line or Python."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from models.errors import UserError


class BusyError(UserError):
    """Another night is under way in this home."""


@contextmanager
def take(home: Path) -> Iterator[Path]:
    """Hold the turn for as long as the block lasts, however the process ends; gives the folder of its temporary files.

    Temporary files of the block, MLflow's included, lie in that folder and not in the machine's: the next turn sweeps
    away what a killed one left. Raises BusyError while another process, or another block of this one, has the turn.
    """
    folder = home.resolve() / "nightly"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0), _signed(folder / "running.json"), _temporary_files_in(folder / "tmp"):
            yield folder / "tmp"
    except Timeout as error:
        raise BusyError(
            f"a night is under way in {home}{_signature(folder / 'running.json')}; wait until it is done, or stop it, and run this again"
        ) from error


@contextmanager
def _signed(file: Path) -> Iterator[None]:
    whole = file.with_suffix(".json.tmp")
    whole.write_text(json.dumps({"pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}), encoding="utf-8")
    whole.replace(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


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
