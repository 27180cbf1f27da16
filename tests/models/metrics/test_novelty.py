"""Novelty, serendipity, freshness and distance of lists, calculated by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models.metrics.accuracy import Hits
from models.metrics.diversity import BLOCK, intra_list_distance
from models.metrics.novelty import age_days, first_seen, novelty, popularity_rank, serendipity, users_of_items
from tests.models.planted import make_events, random_text

DAY = 24 * 3600
PAST = make_events([(0, 0, 0), (0, 0, 5), (1, 0, DAY), (2, 1, DAY), (3, 0, DAY), (3, 2, 2 * DAY)], n_items=4)


def test_novelty_is_the_mean_surprise_of_the_items_and_an_unseen_item_counts_as_had_by_one_user() -> None:
    n_users_of, n_users = users_of_items(PAST)
    assert (n_users_of.tolist(), n_users) == ([3, 1, 1, 0], 4)
    found = novelty(np.array([[0, 1], [3, -1], [-1, -1]]), n_users_of, n_users)
    assert found == pytest.approx([(np.log2(4 / 3) + 2) / 2, 2, np.nan], nan_ok=True)


def test_items_with_the_same_number_of_events_share_a_popularity_rank() -> None:
    assert popularity_rank(np.array([4, 1, 1, 0])).tolist() == [1, 2, 2, 0]


def test_only_a_hit_that_popularity_places_lower_is_serendipitous() -> None:
    top = np.array([[1, 0, 3], [0, 1, 2]])
    hits = Hits.of(top, np.array([0, 0, 0, 1]), np.array([0, 1, 3, 0]), 4)
    rank = popularity_rank(np.array([4, 1, 1, 0]))
    first = (4 / 4 - 3 / 4) + 0 + (2 / 4 - 0)  # place 1 of rank 2; place 2 of rank 1; place 3 of an item without events
    assert serendipity(hits, top, rank) == pytest.approx([first / 3, 0])


def test_the_age_of_an_item_is_counted_from_its_first_event_to_the_list() -> None:
    first = first_seen(PAST)
    assert first[:3].tolist() == [0, DAY, 2 * DAY]
    ages = age_days(np.array([[0, 1], [2, 3]]), np.array([3 * DAY, 2 * DAY]), first)
    assert ages == pytest.approx([(3 + 2) / 2, 0])


def test_distance_is_the_mean_over_pairs_and_a_list_of_one_item_has_none() -> None:
    vectors = np.array([[1, 0], [0, 1], [-1, 0], [0, 0]], np.float32)
    top = np.array([[0, 1, 2], [0, 0, -1], [1, -1, -1], [0, 3, -1]])
    assert intra_list_distance(top, vectors) == pytest.approx([(1 + 2 + 1) / 3, 0, 0, 1])


def test_distance_equals_that_of_each_pair_also_beyond_one_block() -> None:
    vectors, rng = random_text(30), np.random.default_rng(0)
    top = rng.integers(0, 30, (BLOCK + 3, 5))
    pairs = 1 - np.einsum("lid,ljd->lij", vectors[top], vectors[top])[:, *np.triu_indices(5, 1)]
    assert intra_list_distance(top, vectors) == pytest.approx(pairs.mean(1), abs=1e-5)
