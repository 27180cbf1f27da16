"""Segments of the events to predict, by warm or cold user and item."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.events import Events

SEGMENTS = ("all", "warm_user_warm_item", "warm_user_cold_item", "cold_user_warm_item", "cold_user_cold_item")
Mask = NDArray[np.bool_]


def warm_masks(past: Events) -> tuple[Mask, Mask]:
    """Masks of the users and of the items that have an event in the past."""
    return np.bincount(past.user, minlength=past.n_users) > 0, np.bincount(past.item, minlength=past.n_items) > 0


def segment_masks(warm_user: Mask, warm_item: Mask) -> dict[str, Mask]:
    """Masks of the events by segment, in the order of SEGMENTS. warm_user, warm_item: [events] whether the event's user or item is warm."""
    masks = (
        np.ones(len(warm_user), bool),
        warm_user & warm_item,
        warm_user & ~warm_item,
        ~warm_user & warm_item,
        ~warm_user & ~warm_item,
    )
    return dict(zip(SEGMENTS, masks, strict=True))
