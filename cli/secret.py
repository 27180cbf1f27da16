"""The secret of a home: the servers of `minutehand up` require it, and the home's processes send it.

It lies in one file of the home that only its owner can read, or the group too where the settings let it.
A deleted file leads to a new secret at the next start.
"""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from models.errors import UserError
from tasks.access import MASKS, UNFINISHED_SECRET, Access

USER = "minutehand"
CLIENT_VARIABLE = "PREFECT_API_AUTH_STRING"
SERVER_VARIABLE = "PREFECT_SERVER_API_AUTH_STRING"


def secret_file(home: Path) -> Path:
    """Where the secret of a home lies, as one line `minutehand:...`."""
    return home.resolve() / "secret"


def make_secret(home: Path, access: Access = "owner") -> str:
    """The secret of the home; a new random one if it does not exist yet."""
    file = secret_file(home)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f"{UNFINISHED_SECRET}{secrets.token_hex(8)}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640 & ~MASKS[access]), "w", encoding="ascii") as sink:
            sink.write(f"{USER}:{secrets.token_urlsafe(32)}\n")
        with suppress(FileExistsError, FileNotFoundError):  # another process was faster, and its secret is used
            os.link(fresh, file)
    for left in file.parent.glob(f"{UNFINISHED_SECRET}*"):  # the file of this process, and files of killed processes
        with suppress(OSError):
            left.unlink()
    return read_secret(home, access)


def read_secret(home: Path, access: Access = "owner") -> str:
    """The secret of the home as `minutehand:...`; UserError where it is missing, malformed or readable by others than access says."""
    file = secret_file(home)
    try:
        with file.open(encoding="utf-8") as source:
            mode = stat.S_IMODE(os.fstat(source.fileno()).st_mode)
            secret = source.read().strip()
    except FileNotFoundError as error:
        raise UserError(f"there is no {file}; stop `minutehand up` and start it again, which makes a new one") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {file}: {error}; delete it, and the next `minutehand up` makes a new one") from error
    if mode & MASKS[access]:
        raise UserError(f"{file} can be read by other users (mode {mode:o}); delete it, and the next `minutehand up` makes a new one")
    user, _, password = secret.partition(":")
    if user != USER or len(password) < 32 or not password.isascii() or not password.isprintable():
        raise UserError(f"{file} does not hold a secret of this program; delete it, and the next `minutehand up` makes a new one")
    return secret
