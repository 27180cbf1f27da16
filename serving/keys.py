"""The keys of the API: one file of the home holds the hash of each key and its roles, never the key itself."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from models.errors import UserError
from tasks.access import MASKS, Access

log = logging.getLogger("minutehand.serving")
Role = Literal["events", "read", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
MARK = "mh_"
"""Every key begins with it, so that a scanner of secrets finds a key in code or logs."""


class Key(BaseModel):
    """One key, as the file holds it. sha256: hash of the key, which is 256 random bits, so that a plain hash is enough."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str
    name: str
    roles: tuple[Role, ...]
    sha256: str
    created_at: datetime

    def may(self, role: Role) -> bool:
        """Whether the key opens requests of a role; an admin key opens all."""
        return role in self.roles or "admin" in self.roles


class KeysError(UserError):
    """The file of the keys cannot be read or changed as asked."""


FILE = TypeAdapter(tuple[Key, ...])


class Keys:
    """The keys of one home. A running server sees a change of the file at its next request."""

    def __init__(self, home: Path, access: Access = "owner") -> None:
        self.file = home.resolve() / "keys.json"
        self.mark = self.file.with_suffix(".needed")
        self.access: Access = access
        self._stamp: tuple[int, ...] | None = None
        self._keys: tuple[Key, ...] = ()

    def all(self) -> tuple[Key, ...] | None:
        """The keys, oldest first; None before the first was made. Raises KeysError for a file that cannot be read, or is gone."""
        try:
            found = self.file.stat()
            stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
            if stamp != self._stamp:
                self._keys, self._stamp = FILE.validate_json(self.file.read_bytes()), stamp
        except FileNotFoundError:
            self._stamp, self._keys = None, ()
            if self.mark.exists():
                raise KeysError(
                    f"{self.file} is gone, and this API had keys; restore it, or add new ones: minutehand keys add read; to answer "
                    f"everybody on this machine without a key, delete {self.mark}, too"
                ) from None
            return None
        except (OSError, ValidationError) as error:
            self._stamp = None
            why = error.strerror if isinstance(error, OSError) else "it does not hold keys"
            raise KeysError(f"cannot read {self.file}: {why}; restore it, or delete it and add new keys") from error
        return self._keys

    def find(self, secret: str) -> Key | None:
        """The key with this text; None if there is none. Takes the same time wherever the key stands."""
        digest, found = hashed(secret), None
        for key in self.all() or ():
            if hmac.compare_digest(digest, key.sha256):
                found = key
        return found

    def add(self, roles: Iterable[Role], name: str = "") -> tuple[str, Key]:
        """Make a key; gives its text, which is stored nowhere, and its row."""
        secret, wanted = MARK + secrets.token_urlsafe(32), tuple(role for role in ROLES if role in set(roles))
        with self._changing():
            keys = (self.all() or ()) if self.file.exists() else ()
            if name and any(name in (key.name, key.id) for key in keys):
                raise KeysError(f"there is a key named {name!r}; choose another name, or revoke that one: minutehand keys revoke {name}")
            digest = hashed(secret)
            key = Key(id=digest[:8], name=name, roles=wanted, sha256=digest, created_at=datetime.now(UTC))
            self._write((*keys, key))
        return secret, key

    def revoke(self, which: str) -> Key:
        """Delete the key with this id or name. Without any key left, the file stays, and every request is refused."""
        with self._changing():
            keys = self.all() or ()
            found = [key for key in keys if which and which in (key.id, key.name)]
            if not found:
                raise KeysError(f"there is no key {which!r}; `minutehand keys list` shows those that exist")
            self._write(tuple(key for key in keys if key != found[0]))
        return found[0]

    def _changing(self) -> FileLock:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self.file.with_suffix(".lock"))

    def _write(self, keys: tuple[Key, ...]) -> None:
        self.mark.touch(mode=0o600)
        fresh = self.file.with_suffix(".json.tmp")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640 & ~MASKS[self.access]), "wb") as sink:
            sink.write(FILE.dump_json(keys, indent=2) + b"\n")
            sink.flush()
            os.fsync(sink.fileno())
        fresh.replace(self.file)


def hashed(secret: str) -> str:
    """The hash by which a key is stored."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
