"""Moves landed files to a folder by outcome and day; the reason of a failure or refusal goes next to the file."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tasks.ingest.landed import Landed

ERROR = ".error.txt"
REFUSED = ".rejected.csv"


def move(file: Path, landing: Path, landed: Landed, refused: Path | None = None) -> Landed:
    """Move a file to the folder of its outcome. A file that cannot be moved gets the outcome stuck and does not stop the others.

    refused: the table of its refused rows, which moves with it.
    """
    folder = landing / landed.outcome / datetime.now(UTC).date().isoformat() / landed.kind
    try:
        _move_to(folder, file, landed.error, refused)
    except OSError as error:
        if os.path.lexists(file):
            problem = f"cannot move it to {folder}: {error.strerror or error}; move it away, or let the user who runs this do so"
            return replace(landed, outcome="stuck", error=f"{landed.error}; {problem}" if landed.error else problem)
    return landed


def delete(file: Path, landed: Landed) -> Landed:
    """Delete a file that was taken in. A file that cannot be deleted gets the outcome stuck and does not stop the others."""
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        problem = f"cannot delete it: {error.strerror or error}; delete it, or let the user who runs this do so"
        return replace(landed, outcome="stuck", error=problem)
    return landed


def _move_to(folder: Path, file: Path, reason: str, refused: Path | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    target, note = _free_names(folder, file.name, ERROR if refused is None else REFUSED)
    try:
        if refused is not None:  # before the file moves: after a kill in between, the next run writes the table again
            shutil.copyfile(refused, note)
        elif reason:
            note.write_text(f"{reason}\n", encoding="utf-8")
        shutil.move(file, target)
    except OSError:
        if os.path.lexists(file):  # the move may have copied the file, and the next run would copy it again
            target.unlink(missing_ok=True)
            note.unlink(missing_ok=True)
        raise


def _free_names(folder: Path, name: str, ending: str) -> tuple[Path, Path]:
    """Free paths for a file and for the note with its reason; names are cut to the limit of the file system."""
    n_bytes = os.pathconf(folder, "PC_NAME_MAX")
    copies = 1
    while True:
        target = folder / _fitting("" if copies == 1 else f"{copies}-", name, "", n_bytes)
        note = folder / _fitting("" if copies == 1 else f"{copies}-", name, ending, n_bytes)
        is_own = note.name == f"{target.name}{ending}"  # then a note without its file is the leftover of a killed run
        if not os.path.lexists(target) and (is_own or not os.path.lexists(note)):
            return target, note
        copies += 1


def _fitting(before: str, name: str, after: str, n_bytes: int) -> str:
    """before + name + after, in at most n_bytes: a long name is cut before its suffixes, so that the suffixes stay."""
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
