"""Warm users and items, and the segment of each event."""

from __future__ import annotations

import numpy as np

from models.metrics.segments import SEGMENTS, segment_masks, warm_masks
from tests.models.planted import make_events, random_events


def test_each_of_the_four_combinations_has_its_segment() -> None:
    masks = segment_masks(np.array([True, True, False, False]), np.array([True, False, True, False]))
    assert tuple(masks) == SEGMENTS
    assert SEGMENTS[0] == "all"
    assert masks["all"].all()
    assert {name: mask.nonzero()[0].tolist() for name, mask in masks.items() if name != "all"} == {
        "warm_user_warm_item": [0],
        "warm_user_cold_item": [1],
        "cold_user_warm_item": [2],
        "cold_user_cold_item": [3],
    }


def test_every_event_is_in_exactly_one_segment_besides_all() -> None:
    events = random_events(n_users=80)
    users, items = warm_masks(events.before(int(np.median(events.time))))
    masks = segment_masks(users[events.user], items[events.item])
    assert np.sum([masks[name] for name in SEGMENTS[1:]], axis=0).tolist() == [1] * len(events)


def test_users_and_items_are_warm_only_by_an_event_in_the_past() -> None:
    users, items = warm_masks(make_events([(0, 2, 1), (2, 0, 9)], n_items=4).before(5))
    assert users.tolist() == [True, False, False]
    assert items.tolist() == [False, False, True, False]
