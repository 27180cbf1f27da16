"""Exposure of items, calculated by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models.metrics.exposure import coverage, exposure, exposure_by_group, gini, lorenz, popularity_groups


def test_exposure_counts_the_lists_with_an_item_and_coverage_the_items_on_any() -> None:
    count = exposure(np.array([[0, 2], [0, -1]]), 4)
    assert count.tolist() == [2, 0, 1, 0]
    assert coverage(count) == 0.5


def test_the_lorenz_curve_adds_up_exposure_from_the_least_shown_item_on() -> None:
    assert lorenz(np.array([5, 0, 3, 2])) == pytest.approx([0, 0, 0.2, 0.5, 1])
    assert lorenz(np.zeros(2, np.int64)).tolist() == [0, 0.5, 1]


@pytest.mark.parametrize(("count", "wanted"), [([3, 3, 3], 0), ([0, 0, 0, 8], 3 / 4), ([1, 2, 3], 2 / 9), ([0, 0], 0)])
def test_gini_is_zero_for_the_same_exposure_and_one_less_1_over_n_if_one_item_has_all(count: list[int], wanted: float) -> None:
    assert gini(np.array(count)) == pytest.approx(wanted, abs=1e-6)


def test_gini_is_half_the_mean_difference_of_two_items_relative_to_the_mean() -> None:
    count = np.random.default_rng(0).integers(0, 50, 40)
    assert gini(count) == pytest.approx(np.abs(count[:, None] - count).mean() / (2 * count.mean()), abs=1e-6)


def test_a_group_has_its_share_of_all_places() -> None:
    share = np.array([[1, 0], [0.5, 0.5], [0, 1]], np.float32)
    assert exposure_by_group(np.array([2, 4, 2]), share).tolist() == [0.5, 0.5]


def test_head_middle_and_tail_have_a_third_of_the_events_each_and_items_without_events_are_new() -> None:
    assert popularity_groups(np.array([1, 6, 3, 3, 1, 0, 1, 3])).tolist() == [2, 0, 1, 1, 2, 3, 2, 2]
    assert popularity_groups(np.array([0, 0])).tolist() == [3, 3]
