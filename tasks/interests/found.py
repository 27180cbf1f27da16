"""The interests of users, ready to publish, the same way for a night and for a minute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from models.events import Events, Ints
from models.interests.capture import Capture
from models.interests.users import find_interests, last_events
from models.interests.vocabulary import Interests
from models.version.checkpoint import Checkpoint
from tasks.interests.descriptions import descriptions
from tasks.interests.rows import FoundInterests
from tasks.lake import Lake


def find(
    interests: Interests, capture: Capture, user_ids: Sequence[str], events: Events, now: int, max_events: int, items: Ints | None = None
) -> FoundInterests:
    """The interests of users by their last max_events events, at `now` in unix seconds. items: as in FoundInterests."""
    known = last_events(events, len(user_ids), max_events)
    return FoundInterests(interests, user_ids, find_interests(interests, capture, known, len(user_ids), now), items)


def on_catalog(capture: Capture, old: Sequence[str], new: Sequence[str]) -> Capture:
    """The capture with its items in the order of another catalogue. old: the items of its version, those it does not know at the end."""
    row = {item_id: n for n, item_id in enumerate(old)}
    return capture.on_items(np.array([row.get(item_id, len(old)) for item_id in new], np.int64))


def with_popular_interests(version: Checkpoint, events: Events, now: int) -> Checkpoint:
    """The version that knows which interests are popular after more events, at `now` in unix seconds."""
    if version.interests is None or version.capture is None:
        return version
    return replace(version, capture=version.capture.with_events(events, version.interests.shares, now))


def with_descriptions(lake: Lake, version: Checkpoint, item_ids: Sequence[str], snapshot: int, text: dict[str, np.ndarray]) -> Checkpoint:
    """The version after some of its items have got a description, or another one. text: vectors of the encoder by item id."""
    row = {item_id: n for n, item_id in enumerate(version.catalog.item_ids)}
    known = [item_id for item_id in item_ids if item_id in row]
    if version.interests is None or not known:
        return version
    vectors = np.zeros((len(known), version.interests.vectors.shape[1]), np.float32)
    for place, item_id in enumerate(known):
        if item_id in text:
            vectors[place] = text[item_id]
    rows = np.array([row[item_id] for item_id in known], np.int64)
    grown = version.interests.with_items(rows, descriptions(lake, known, snapshot), vectors)
    return replace(version, interests=grown)
