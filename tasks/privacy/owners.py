"""Owners of replay windows: numbers that stand for people inside model versions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from models.events import Ints
from tasks.privacy.keyed import load_keys


def owners_of(home: Path, user_ids: Sequence[str]) -> Ints:
    """The owner of each user: the first eight bytes of the digest of the id."""
    keys = load_keys(home)
    return np.array([owner_of(keys.digest(user_id)) for user_id in user_ids], np.int64)


def owner_of(digest: str) -> int:
    """The owner that belongs to a digest."""
    return int.from_bytes(bytes.fromhex(digest.partition("-")[2][:16]), "big", signed=True)


def owners_of_digests(digests: Iterable[str]) -> frozenset[int]:
    return frozenset(owner_of(digest) for digest in digests)
