"""Who is in which arm of an experiment: a keyed hash decides, so no row says it and every process knows it."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

N_BYTES = 8
"""The first bytes of the hash are read as a number below 2^64."""


def arm_of(key: bytes, experiment: str, user_id: str, share: float) -> bool:
    """Whether a user is in the challenger's arm, which has this share of all users.

    HMAC-SHA256 of the experiment and the user. Experiments of different names divide the users independently of each other, and a larger
    share keeps everybody who was in the challenger's arm.
    """
    text = f"{len(experiment)}:{experiment}:{user_id}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hmac.digest(key, text, "sha256")[:N_BYTES], "big") < share * 2 ** (8 * N_BYTES)


def arms_of(key: bytes, experiment: str, user_ids: Iterable[str], share: float) -> NDArray[np.bool_]:
    """`arm_of` for many users."""
    return np.fromiter((arm_of(key, experiment, user_id, share) for user_id in user_ids), np.bool_)
