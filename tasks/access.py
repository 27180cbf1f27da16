"""Who of this machine may read what is written: its owner alone, or a group of the owner's choice."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Literal

Access = Literal["owner", "group"]
MASKS: dict[Access, int] = {"owner": 0o077, "group": 0o007}
OTHERS = 0o077
"""Permissions of all but the owner."""
# fmt: off
OURS = frozenset({
    "huggingface", "lake", "landing", "logs", "matplotlib", "minute", "mlflow", "nightly", "prefect", "secret", "shop", "tmp",
    "up.json", "up.json.tmp", "up.lock",
})
# fmt: on
"""What may lie at the top of a home."""
SECRET = "secret"
"""The one that is left as it is. If others could read it, it has to be refused, and closing it would hide that."""
UNFINISHED_SECRET = ".secret."
"""What the names of secrets begin with that whoever was making them did not finish, because they were killed."""


def keep(home: Path, access: Access) -> None:
    """From here on, this process and those it starts write files that the owner alone, or the group too, can read.

    For the owner alone, an existing home of theirs is closed to others as well. A folder in which something else lies stays open;
    what is ours in it is closed.
    """
    os.umask(MASKS[access])
    if access == "owner":
        for path in open_to_others(home):
            with suppress(OSError):  # somebody was faster, or the file system has no permissions
                path.chmod(stat.S_IMODE(path.stat().st_mode) & ~OTHERS)


def as_if_written(folder: Path) -> None:
    """Give copies in a folder, which have the permissions of what they were copied from, those of files that this process writes."""
    mask = current_mask()
    for path in folder.rglob("*"):
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~mask)


def current_mask() -> int:
    """The permissions that this process takes from what it writes."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def open_to_others(home: Path) -> list[Path]:
    """Of a home and what lies at its top but the secret, what belongs to this user and gives others any permission."""
    home = home.resolve()
    try:
        entries = sorted(home.iterdir())
    except OSError:  # not there yet, or not ours to look into
        return []
    ours = [entry for entry in entries if entry.name.startswith(UNFINISHED_SECRET) or entry.name in OURS]
    ours = [entry for entry in ours if not entry.is_symlink()]
    return [path for path in ([home, *ours] if len(ours) == len(entries) else ours) if path.name != SECRET and _is_open(path)]


def _is_open(path: Path) -> bool:
    with suppress(OSError):
        found = path.stat()
        return found.st_uid == os.geteuid() and bool(found.st_mode & OTHERS) and not found.st_mode & stat.S_ISVTX
    return False
