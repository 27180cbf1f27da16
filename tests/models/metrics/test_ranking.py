"""Ranks calculated by hand; a tie counts against the model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.metrics.intervals import bootstrap_interval
from models.metrics.ranking import Ranking, rank_events


def rank(scores: list[list[float]], item: list[int], seen: list[tuple[int, int]] | None = None) -> list[int]:
    pairs = None if seen is None else (np.array([row for row, _ in seen], np.int64), np.array([item for _, item in seen], np.int64))
    found: list[int] = rank_events(torch.tensor(scores), np.array(item), pairs).rank.tolist()
    return found


def test_the_rank_is_the_number_of_items_at_least_as_good() -> None:
    assert rank([[0.1, 0.9, 0.5]] * 3, [1, 2, 0]) == [1, 2, 3]


def test_a_constant_scorer_ranks_everything_last() -> None:
    assert rank([[7.0] * 50] * 2, [0, 31]) == [50, 50]


def test_seen_items_are_not_ranked_and_a_hidden_target_is_a_miss() -> None:
    assert rank([[3.0, 2.0, 1.0]], [2], [(0, 0)]) == [2]
    assert rank([[3.0, 2.0, 1.0]], [2], [(0, 0), (0, 1)]) == [1]
    assert rank([[3.0, 2.0, 1.0]], [0], [(0, 0)]) == [3]


def test_a_score_that_is_not_a_number_is_a_miss() -> None:
    assert rank([[float("nan")] * 4], [2]) == [4]


def test_metrics_of_known_ranks() -> None:
    ranking = Ranking(np.array([1, 2, 10, 11]), np.zeros((4, 10), np.int64))
    assert ranking.ndcg_at_10 == pytest.approx([1, 1 / np.log2(3), 1 / np.log2(11), 0])
    assert ranking.hr_at_10.tolist() == [1, 1, 1, 0]
    assert ranking.mrr == pytest.approx([1, 1 / 2, 1 / 10, 1 / 11])


def test_coverage_counts_the_items_in_any_top_ten() -> None:
    scores = torch.arange(40.0).repeat(3, 1)
    scores[2, 0] = 99
    assert rank_events(scores, np.array([1, 1, 1]), None).coverage_at_10(40) == 11 / 40


def test_the_top_ten_is_best_first_also_in_a_smaller_catalogue() -> None:
    assert rank_events(torch.tensor([[1.0, 3.0, 2.0]]), np.array([0]), None).top.tolist() == [[1, 2, 0]]
    assert rank_events(torch.tensor([[1.0]]), np.array([0]), None).rank.tolist() == [1]


def test_rankings_join_and_part() -> None:
    one, other = (rank_events(torch.eye(12)[rows], np.array(rows) % 5, None) for rows in ([1, 2], [7]))
    joined = Ranking.join([one, other])
    assert joined.rank.tolist() == [1, 1, 12]
    assert joined.of(np.array([False, True, True])).rank.tolist() == [1, 12]
    assert len(Ranking.join([]).rank) == 0


def test_random_scores_get_the_score_of_chance() -> None:
    scores = torch.rand(4000, 100, generator=torch.Generator().manual_seed(0))
    ranking = rank_events(scores, np.random.default_rng(0).integers(0, 100, 4000), None)
    assert ranking.hr_at_10.mean() == pytest.approx(0.1, abs=0.02)


def test_the_interval_of_a_constant_is_a_point() -> None:
    low, high = bootstrap_interval(np.full(30, 0.25, np.float32), np.arange(30) % 7, 200, seed=0)
    assert low == pytest.approx(0.25)
    assert high == pytest.approx(0.25)


def test_the_interval_holds_the_mean_and_is_wider_where_the_events_of_a_user_are_alike() -> None:
    rng = np.random.default_rng(0)
    taste = rng.normal(size=40)
    value = np.repeat(taste, 25).astype(np.float32)
    alike = bootstrap_interval(value, np.repeat(np.arange(40), 25), 500, seed=1)
    independent = bootstrap_interval(value, np.arange(1000), 500, seed=1)
    assert alike[0] < value.mean() < alike[1]
    assert alike[1] - alike[0] > 3 * (independent[1] - independent[0])


def test_the_interval_is_the_same_under_a_seed_and_whatever_the_users_are_called() -> None:
    value, user = np.arange(20, dtype=np.float32), np.arange(20) % 4
    assert bootstrap_interval(value, user, 100, 3) == bootstrap_interval(value, user * 1000 + 7, 100, 3)
