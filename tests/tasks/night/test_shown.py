"""Impressions without outcome on their way from the lake to training."""

from __future__ import annotations

from datetime import UTC

import pytest

from models.config import TrainConfig
from tasks.lake import Lake
from tasks.night.dataset import load_dataset
from tasks.night.shown import read_shown, read_tried
from tests.tasks.online.made import NOON, WEIGHTS, act, count, serve
from tests.tasks.publish.test_night import snapshot_of


@pytest.mark.slow
def test_impressions_without_outcome_of_known_users_are_read_by_rows_of_the_dataset_only_if_they_have_a_weight(
    lake: Lake,
) -> None:
    serve(lake, "r1", None, ["a", "b", "c"])
    for user, item in (("u", "a"), ("u", "b"), ("u", "c"), ("stranger", "a")):
        act(lake, 0, user, item, recommendation_id="r1")
    act(lake, 1, "u", "c", "click", recommendation_id="r1")
    act(lake, 2, "v", "a", "view")
    act(lake, 3, "u", "b", "view")
    count(lake)
    data = load_dataset(lake, snapshot_of(lake), WEIGHTS, "none")
    assert read_shown(lake, data, TrainConfig(), 24) is None
    found = read_shown(lake, data, TrainConfig(shown_weight=0.5), 24)
    assert found is not None
    names = [(data.user_ids[user], data.catalog.item_ids[item]) for user, item in zip(found.user, found.item, strict=True)]
    assert sorted(names) == [("u", "a"), ("u", "b")]
    assert (found.window_s, found.weight, set(found.time)) == (86_400, 0.5, {int(NOON.replace(tzinfo=UTC).timestamp())})


@pytest.mark.slow
def test_only_impressions_in_slots_for_new_items_say_which_of_them_people_want(lake: Lake) -> None:
    serve(lake, "r1", None, ["a", "b", "c"], propensities=[1.0, 0.25, 0.5])
    for user in ("u", "v", "w"):
        for item in ("a", "b", "c") if user != "w" else ("a", "b"):
            act(lake, 0, user, item, recommendation_id="r1")
    for item in ("a", "b"):
        act(lake, 1, "u", item, "click", recommendation_id="r1")
    count(lake)
    usual = (1 + 1) / (5 + 20)
    found = {item: (round(expected, 6), chosen) for item, (expected, chosen) in read_tried(lake, snapshot_of(lake)).items()}
    assert found == {"b": (round(3 * usual, 6), 1.0), "c": (round(2 * usual, 6), 0.0)}
