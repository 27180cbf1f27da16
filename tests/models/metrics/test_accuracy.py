"""Accuracy of lists, calculated by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models.metrics.accuracy import Hits, discount

LISTS = np.array([[4, 1, 2], [3, 0, -1], [0, 1, 2], [2, 1, 0]])
CHOSEN = [(0, 1), (0, 2), (0, 7), (0, 7), (1, 5), (3, 2)]
"""Pairs of a list and an item: list 0 has hits at ranks 2 and 3 of three items, 1 has no hit, 2 nothing to hit, 3 a hit at the top."""


@pytest.fixture
def hits() -> Hits:
    number, item = np.array(CHOSEN).T
    return Hits.of(LISTS, number, item, 8)


def test_an_item_chosen_twice_counts_once_and_the_end_of_a_short_list_hits_nothing(hits: Hits) -> None:
    assert hits.is_hit.tolist() == [[False, True, True], [False] * 3, [False] * 3, [True, False, False]]
    assert hits.n_chosen.tolist() == [3, 1, 0, 1]


def test_hit_rate_recall_and_precision_count_hits(hits: Hits) -> None:
    assert hits.hit_rate() == pytest.approx([1, 0, np.nan, 1], nan_ok=True)
    assert hits.recall() == pytest.approx([2 / 3, 0, np.nan, 1], nan_ok=True)
    assert hits.precision() == pytest.approx([2 / 3, 0, np.nan, 1 / 3], nan_ok=True)


def test_mrr_is_of_the_first_hit_and_map_of_all(hits: Hits) -> None:
    assert hits.mrr() == pytest.approx([1 / 2, 0, np.nan, 1], nan_ok=True)
    assert hits.average_precision() == pytest.approx([(1 / 2 + 2 / 3) / 3, 0, np.nan, 1], nan_ok=True)


def test_ndcg_is_relative_to_the_best_list_of_this_length(hits: Hits) -> None:
    second, third = 1 / np.log2(3), 1 / np.log2(4)
    assert hits.ndcg() == pytest.approx([(second + third) / (1 + second + third), 0, np.nan, 1], nan_ok=True)
    assert discount(np.array([1, 3])).tolist() == [1, 0.5]


def test_a_list_longer_than_what_was_chosen_can_still_be_perfect() -> None:
    hits = Hits.of(np.array([[5, 6, 0, 1]]), np.array([0, 0]), np.array([5, 6]), 8)
    assert (hits.ndcg().tolist(), hits.recall().tolist(), hits.average_precision().tolist()) == ([1], [1], [1])


def test_without_anything_chosen_no_list_has_a_figure() -> None:
    hits = Hits.of(LISTS, np.empty(0, np.int64), np.empty(0, np.int64), 8)
    assert np.isnan(hits.ndcg()).all()
    assert np.isnan(hits.hit_rate()).all()
