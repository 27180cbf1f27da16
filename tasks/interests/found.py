"""The interests of users, ready to publish, the same way for a night and for a minute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from models.events import Events, Floats, Ints
from models.interests.users import LONG, SHORT, find_interests, last_events, priors_of
from models.interests.vocabulary import Interests
from models.ranking.prior import HALF_LIVES_H
from models.version.checkpoint import Checkpoint
from tasks.interests.descriptions import descriptions
from tasks.interests.rows import FoundInterests
from tasks.lake import Lake

POPULARITY = {SHORT: HALF_LIVES_H.index(24.0), LONG: HALF_LIVES_H.index(1000.0)}
"""The popularity that tells what everybody is interested in, by horizon."""


def find(
    interests: Interests, user_ids: Sequence[str], events: Events, popularity: Floats, now: int, max_events: int, items: Ints | None = None
) -> FoundInterests:
    """The interests of users by their last max_events events. popularity: [items, features] at `now`, in unix seconds.

    items: as in FoundInterests.
    """
    known = last_events(events, len(user_ids), max_events)
    priors = priors_of(interests, {horizon: popularity[:, column] for horizon, column in POPULARITY.items()})
    return FoundInterests(interests, user_ids, find_interests(interests, known, len(user_ids), now, priors), items)


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
