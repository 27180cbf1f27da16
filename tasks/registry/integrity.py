"""Whether the files of a version are those that were registered."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from tasks.registry.errors import DamagedError

DIGEST, DAMAGED = "sha256", "damaged"
"""Tags of a version: the digest of its checkpoint, and what was found wrong with it."""


def digest_of(folder: Path) -> str:
    """One SHA-256 over the names and contents of all files of a checkpoint."""
    whole = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        with file.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        whole.update(f"{file.relative_to(folder).as_posix()}\0{content}\n".encode())
    return whole.hexdigest()


def demand_whole(what: str, folder: Path, tags: Mapping[str, str]) -> None:
    """Raises DamagedError unless the checkpoint of a version is the registered one. A version of before digests were kept passes."""
    if DIGEST not in tags:
        return
    try:
        found = digest_of(folder)
    except OSError as error:
        raise DamagedError(f"{what} is damaged: {folder} cannot be read ({error.strerror or error})") from error
    if found != tags[DIGEST]:
        raise DamagedError(f"{what} is damaged: a file in {folder} is cut, missing or altered since it was registered")
