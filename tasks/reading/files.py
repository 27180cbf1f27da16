"""Files for people, written atomically and never over those of minutehand."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from models.errors import UserError
from tasks.access import OURS, current_mask
from tasks.lake import Lake, is_disk_full

FOR_PEOPLE = {"landing", "shop"}
"""Folders of the home where an export may go."""


def write_text(lake: Lake, file: Path, text: str, *, force: bool = False) -> None:
    """Write a text file for a person, atomically. Raises UserError as `export` does."""
    demand_free(lake, file, force=force)
    try:
        with replacing(file, force=force) as fresh:
            fresh.write_text(text, encoding="utf-8")
    except OSError as error:
        if is_disk_full(error):
            raise
        raise UserError(f"cannot write {file}: {error.strerror or error}; name a file in a folder that you may write to") from error


def demand_free(lake: Lake, file: Path, *, force: bool) -> None:
    target = file.resolve()
    if any(target.is_relative_to(Path(folder).resolve()) for folder in (lake.lock_path.parent, lake.data_path)):
        raise UserError(f"--out {file} is in the lake itself; name a file somewhere else")
    home = lake.lock_path.parent.resolve().parent
    if target.is_relative_to(home) and set(target.relative_to(home).parts[:1]) & (OURS - FOR_PEOPLE):
        raise UserError(f"--out {file} is where minutehand keeps its own files; name a file somewhere else")
    if file.is_dir():
        raise UserError(f"--out {file} is a folder; name a file")
    if not force and os.path.lexists(file):
        raise UserError(f"{file} is there already; name another file, or overwrite it with --force")


@contextmanager
def replacing(file: Path, *, force: bool) -> Iterator[Path]:
    """A temporary file in the same folder; it is renamed to the file when the block ends without an error."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".minutehand-", suffix=".tmp")
    os.close(descriptor)
    fresh = Path(name)
    try:
        yield fresh
        fresh.chmod(0o666 & ~current_mask())
        if force:
            with suppress(FileNotFoundError):
                fresh.chmod(stat.S_IMODE(file.stat().st_mode))
        else:
            _demand_still_free(file)
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)


def _demand_still_free(file: Path) -> None:
    """Reserve the name, so that a file that another process creates at the same moment is not overwritten."""
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError as error:
        raise UserError(f"another process has just created {file}; name another file, or overwrite it with --force") from error
