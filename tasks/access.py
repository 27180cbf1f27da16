"""File permissions: either only the owner can read what minutehand writes, or also a group that the owner chooses."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Literal

Access = Literal["owner", "group"]
MASKS: dict[Access, int] = {"owner": 0o077, "group": 0o007}
OTHERS = 0o077
"""Permission bits of everybody except the owner."""
# fmt: off
OURS = frozenset({
    "erasures.jsonl", "erasures.swept", "huggingface", "keys.json", "keys.json.tmp", "keys.lock", "lake", "landing", "logs", "matplotlib",
    "minute", "mlflow", "nightly", "prefect", "privacy-keys.json", "reports", "scenarios.toml", "secret", "serving", "shop", "tmp",
    "training", "up.json", "up.json.tmp", "up.lock",
})
# fmt: on
"""Names of minutehand's files and folders at the top level of a home."""
SECRET = "secret"
"""The secret keeps its permissions: if others could read it, it must be refused, and closing it would hide that."""
UNFINISHED_SECRET = ".secret."
"""Name prefix of an incomplete secret, left by a process that was killed while it wrote the secret."""


def keep(home: Path, access: Access) -> None:
    """Sets the umask of this process and its children, so that only the owner, or also the group, can read new files.

    With access "owner", an existing home is closed to others as well. If the home folder also contains foreign files, the folder
    itself stays open and only minutehand's own entries are closed.
    """
    os.umask(MASKS[access])
    if access == "owner":
        for path in open_to_others(home):
            with suppress(OSError):  # another process removed the file, or the file system has no permissions
                path.chmod(stat.S_IMODE(path.stat().st_mode) & ~OTHERS)


def as_if_written(folder: Path) -> None:
    """Apply this process's umask to the files in a folder: copies keep the permissions of their originals otherwise."""
    mask = current_mask()
    for path in folder.rglob("*"):
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~mask)


def current_mask() -> int:
    """The umask of this process."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def open_to_others(home: Path) -> list[Path]:
    """The home folder and its top-level entries, except the secret, that this user owns and that give others any permission."""
    home = home.resolve()
    try:
        entries = sorted(home.iterdir())
    except OSError:  # the home does not exist yet, or this user may not list it
        return []
    ours = [entry for entry in entries if entry.name.startswith(UNFINISHED_SECRET) or entry.name in OURS]
    ours = [entry for entry in ours if not entry.is_symlink()]
    return [path for path in ([home, *ours] if len(ours) == len(entries) else ours) if path.name != SECRET and _is_open(path)]


def _is_open(path: Path) -> bool:
    with suppress(OSError):
        found = path.stat()
        return found.st_uid == os.geteuid() and bool(found.st_mode & OTHERS) and not found.st_mode & stat.S_ISVTX
    return False
