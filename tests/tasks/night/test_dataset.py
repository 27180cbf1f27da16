"""Loading the dataset of a night: which rows count, in which order, at which snapshot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.errors import UserError
from tasks.event_types import EVENT_WEIGHTS
from tasks.lake import Lake, LakeConfig, locate, migrate, newest_snapshot
from tasks.night.dataset import Dataset, load_dataset
from tests.lakes import Event, put


@pytest.fixture
def lake(home: Path) -> Lake:
    lake = locate(LakeConfig(), home)
    migrate(lake)
    return lake


def _load(lake: Lake, snapshot: int | None = None, weights: dict[str, float] = EVENT_WEIGHTS) -> Dataset:
    return load_dataset(lake, newest_snapshot(lake) if snapshot is None else snapshot, weights, "none")


def _stream(data: Dataset, user: str) -> list[str]:
    """The items of a user, oldest first."""
    return [data.catalog.item_ids[item] for item in data.events.item[data.events.user == data.user_ids.index(user)]]


EVENTS: list[Event] = [("ben", "c", 3), ("ann", "b", 2), ("ann", "a", 1), ("ben", None, 4)]


def test_events_are_grouped_by_user_and_sorted_by_time_for_any_order_in_the_lake(lake: Lake) -> None:
    put(lake, EVENTS)
    data = _load(lake)
    assert (_stream(data, "ann"), _stream(data, "ben")) == (["a", "b"], ["c"])


def test_events_at_the_same_time_keep_lake_order(lake: Lake) -> None:
    put(lake, [("ann", item, 1) for item in "dbca"])
    assert _stream(_load(lake), "ann") == ["d", "b", "c", "a"]


def test_the_catalog_has_items_with_a_description_or_an_event_and_titles_fall_back_to_ids(lake: Lake) -> None:
    put(lake, EVENTS, {"a": "Red tent", "z": None}, unavailable=["z"])
    data = _load(lake)
    assert data.catalog.item_ids == ("a", "b", "c", "z")
    assert data.titles == ("Red tent", "b", "c", "z")
    assert data.catalog.is_available.tolist() == [True, True, True, False]


def test_event_types_without_weight_add_no_event_and_no_user(lake: Lake) -> None:
    put(lake, EVENTS)
    put(lake, [("cat", "a", 9), ("ann", "c", 9)], event_type="return")
    data = _load(lake)
    assert data.user_ids == ("ann", "ben")
    assert data.kinds == ("other", "view")
    assert np.all(data.events.kind == 1)


def test_weights_come_from_the_settings_and_are_1_for_other_types(lake: Lake) -> None:
    put(lake, [("ann", "a", 1)])
    put(lake, [("ann", "b", 2)], event_type="gift")
    assert _load(lake, weights={"view": 0.5}).events.weight.tolist() == [0.5, 1.0]


def test_an_event_type_named_other_counts_as_an_unknown_type(lake: Lake) -> None:
    put(lake, [("ann", "a", 1)])
    put(lake, [("ann", "b", 2)], event_type="other")
    data = _load(lake)
    assert data.kinds == ("other", "view")
    assert data.events.kind.tolist() == [1, 0]


def test_a_pinned_snapshot_has_no_later_rows(lake: Lake) -> None:
    put(lake, EVENTS)
    snapshot = newest_snapshot(lake)
    put(lake, [("dan", "q", 5)], {"q": "Green tent"})
    data = _load(lake, snapshot)
    assert "dan" not in data.user_ids
    assert "q" not in data.catalog.item_ids
    assert data.describe() == {
        "n_events": 3,
        "n_users": 2,
        "n_items": 3,
        "since": "2026-01-01T01:00:00+00:00",
        "until": "2026-01-01T03:00:00+00:00",
    }


def test_a_lake_without_an_event_on_an_item_raises_an_error_that_names_the_command(lake: Lake) -> None:
    put(lake, [("ann", None, 1)], {"a": "Red tent"}, event_type="search")
    with pytest.raises(UserError, match="minutehand ingest events FILE"):
        _load(lake)
