"""Groups of users, and the worst of them."""

from __future__ import annotations

import numpy as np

from models.metrics.groups import LEAST_EVENTS, LEAST_USERS, MAX_VALUES, by_attribute, family_of, thirds, worst_group
from models.results import MetricRow

NAMES = ("low", "medium", "high")


def test_users_are_in_thirds_of_their_values_and_those_without_a_value_apart() -> None:
    masks = thirds("activity", NAMES, np.array([5, 0, 1, 3, 9, 2, 4]))
    assert {name: np.flatnonzero(mask).tolist() for name, mask in masks.items()} == {
        "activity=none": [1],
        "activity=low": [2, 5],
        "activity=medium": [3, 6],
        "activity=high": [0, 4],
    }


def test_equal_values_stay_together_and_empty_groups_are_left_out() -> None:
    assert {name: mask.tolist() for name, mask in thirds("activity", NAMES, np.array([1, 1, 1])).items()} == {"activity=low": [True] * 3}
    assert list(thirds("activity", NAMES, np.array([0, 0]))) == ["activity=none"]


def test_a_value_of_few_users_has_no_group_and_only_the_most_frequent_values_do() -> None:
    values = [f"v{n}" for n in range(MAX_VALUES + 2) for _ in range(LEAST_USERS + n)] + ["rare"] * (LEAST_USERS - 1) + [None] * 100
    masks = by_attribute("attribute country", values)
    assert list(masks) == [f"attribute country=v{n}" for n in range(MAX_VALUES + 1, 1, -1)]
    assert masks["attribute country=v2"].sum() == LEAST_USERS + 2
    assert by_attribute("attribute country", [None, None]) == {}


def test_the_worst_group_is_the_lowest_with_enough_events_and_no_other_segment() -> None:
    rows = [
        MetricRow("minutehand", "cold_user_cold_item", "hr_at_10", 0.01, 100),
        MetricRow("minutehand", "activity=low", "hr_at_10", 0.2, LEAST_EVENTS),
        MetricRow("minutehand", "activity=high", "hr_at_10", 0.4, 100),
        MetricRow("minutehand", "activity=none", "hr_at_10", 0.1, LEAST_EVENTS - 1),
        MetricRow("minutehand", "activity=low", "mrr", 0.05, 100),
        MetricRow("champion", "activity=low", "hr_at_10", 0.15, 100),
        MetricRow("minutehand", "account_age=old", "hr_at_10", None, 100),
    ]
    assert worst_group(rows, "minutehand", "hr_at_10") == rows[1]
    assert worst_group(rows, "minutehand", "ndcg_at_10") is None
    assert [family_of(row.segment) for row in rows[:2]] == [None, "activity"]
