"""Keyed digests of ids: the keys of a home, and the digest that stands for an id where the id itself must not."""

from __future__ import annotations

import hmac
import json
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import UserError

NAME = "privacy-keys.json"
N_BYTES = 32
"""Length of a key."""
DIGEST = re.compile(r"([1-9][0-9]{0,8})-[0-9a-f]{32}")
"""A digest: the number of its key, then 128 bits."""


class PrivacyKeysError(UserError):
    """The file of the keys cannot be read."""


@dataclass(frozen=True, repr=False)
class Keys:
    """The keys of a home by number. current: the number under which new digests are made."""

    current: int
    secrets: dict[int, bytes]

    def digest(self, user_id: str, number: int | None = None) -> str:
        """The digest of an id under one key, by default the current one: the key's number, and half of an HMAC-SHA256.

        Under the first key, it is the HMAC of the id; under each later key, the HMAC of the digest before. So a rotation can rewrite
        digests whose ids nobody knows. A digest under a key of this home stands for the id that it was made of.
        """
        return self.chain(user_id, number)[-1]

    def digests(self, user_id: str) -> tuple[str, ...]:
        """The digests of an id under all keys, the current one last. Digests before a given digest are unknown and left out."""
        return self.chain(user_id, None)

    def chain(self, user_id: str, number: int | None) -> tuple[str, ...]:
        """The digests of an id under all keys up to a number."""
        held = self.number_of(user_id)
        found = [user_id] if held is not None else []
        for each in sorted(self.secrets):
            if (held is None or each > held) and each <= (number or self.current):
                found.append(f"{each}-{_hmac(self.secrets[each], found[-1] if found else user_id)}")
        return tuple(found)

    def number_of(self, user_id: str) -> int | None:
        """The number of the key under which an id is a digest; None for any other id."""
        match = DIGEST.fullmatch(user_id)
        return int(match[1]) if match and int(match[1]) in self.secrets else None


def keys_file(home: Path) -> Path:
    """Where the keys of a home are."""
    return home.resolve() / NAME


def load_keys(home: Path) -> Keys:
    """The keys of a home; the first one is made if there is no file. Raises PrivacyKeysError for a file that holds no keys."""
    file = keys_file(home)
    if not file.exists():
        _create(file, Keys(1, {1: secrets.token_bytes(N_BYTES)}))
    try:
        keys = _parsed(json.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise PrivacyKeysError(f"cannot read {file}: {error.strerror}; give this user the right to read it") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:  # not the text of the error, which may hold a part of a key
        raise PrivacyKeysError(
            f"{file} holds no keys of this program; restore it from a backup, because digests under lost keys match nobody"
        ) from error
    return keys


def add_key(home: Path) -> Keys:
    """Add a random key and make it the current one. The caller holds the lock of the home's writers."""
    keys = load_keys(home)
    number = max(keys.secrets) + 1
    grown = Keys(number, {**keys.secrets, number: secrets.token_bytes(N_BYTES)})
    file = keys_file(home)
    fresh = _written(file, grown)
    fresh.replace(file)
    return grown


def _create(file: Path, keys: Keys) -> None:
    """Write the first keys, unless another process was faster."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = _written(file, keys)
    with suppress(FileExistsError):
        os.link(fresh, file)
    fresh.unlink()


def _written(file: Path, keys: Keys) -> Path:
    """A complete file next to the file of the keys, on disk."""
    fresh = file.with_name(f"{NAME}.{secrets.token_hex(8)}.tmp")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as sink:
        json.dump({"current": keys.current, "keys": {str(n): secret.hex() for n, secret in sorted(keys.secrets.items())}}, sink, indent=2)
        sink.write("\n")
        sink.flush()
        os.fsync(sink.fileno())
    return fresh


def _parsed(text: Any) -> Keys:
    held = {int(number): bytes.fromhex(secret) for number, secret in text["keys"].items()}
    if text["current"] not in held or any(len(secret) != N_BYTES or number < 1 for number, secret in held.items()):
        raise ValueError
    return Keys(text["current"], held)


def _hmac(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256").hex()[:32]
