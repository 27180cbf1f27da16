"""The interests of users, ready to publish, the same way for a night and for a minute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from models.events import Events, Ints, offsets_of
from models.interests.capture import Capture
from models.interests.users import Spoken, find_interests, last_events
from models.interests.vocabulary import Interests
from models.interests.words import SHARPNESS_TOWERS, in_words
from models.ranking.searches import USUAL_GATE, Searches, gate
from models.text.towers import Words
from models.version.checkpoint import Checkpoint
from tasks.interests.descriptions import descriptions
from tasks.interests.rows import FoundInterests
from tasks.lake import Lake

TRUST = 0.4
"""Share of a fresh search in the short horizon.

Chosen on 714 events after a search, validation period of a simulated shop: the cross-entropy of the next item's topic is 1.27 nats with
0.3 to 0.5, and 1.46 without searches.
"""


def find(
    interests: Interests,
    capture: Capture,
    user_ids: Sequence[str],
    events: Events,
    now: int,
    max_events: int,
    items: Ints | None = None,
    spoken: Spoken | None = None,
) -> FoundInterests:
    """The interests of users by their last max_events events and their searches, at `now` in unix seconds. items: as in FoundInterests."""
    known = last_events(events, len(user_ids), max_events)
    return FoundInterests(interests, user_ids, find_interests(interests, capture, known, len(user_ids), now, spoken), items)


def spoken_of(
    interests: Interests, words: Words | None, searches: Searches | None, events: Events, n_users: int, now: int
) -> Spoken | None:
    """What the searches of users say about their interests at a time; it fades as a search fades in lists. None without searches."""
    if words is None or searches is None or not len(searches):
        return None
    offsets = offsets_of(events, n_users)
    start, stop = offsets[:-1], offsets[1:]
    asked = searches.asked(events, np.arange(n_users), np.full(n_users, now), (start, stop))
    users = np.flatnonzero(asked.vectors.any(1))
    probability = in_words(interests, words.cosine(asked.vectors[users]).numpy(), SHARPNESS_TOWERS)
    fading = gate(asked.features(is_new=stop == start), torch.from_numpy(USUAL_GATE)).numpy()[users, 0]
    return Spoken(users, probability, (TRUST * fading).astype(np.float32))


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
