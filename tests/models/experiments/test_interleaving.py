from __future__ import annotations

import numpy as np
import pytest

from models.experiments.interleaving import preference, team_draft


def test_the_list_and_its_teams_are_those_drafted_by_hand() -> None:
    """Turn 1: control takes 1, challenger 2. Turn 2: challenger takes 4 first, control 3 (1 and 2 are taken)."""
    items, teams = team_draft([1, 2, 3, 5], [2, 4, 1, 6], 5, [False, True, True])
    assert items.tolist() == [1, 2, 4, 3, 6]
    assert teams.tolist() == [False, True, True, False, True]


def test_equal_lists_stay_as_they_are_and_are_shared_evenly() -> None:
    items, teams = team_draft([4, 2, 7, 1], [4, 2, 7, 1], 4, [True, False])
    assert items.tolist() == [4, 2, 7, 1]
    assert teams.tolist() == [True, False, False, True]


def test_a_list_without_items_lets_the_other_go_on_alone() -> None:
    items, teams = team_draft([], [3, 1], 4, [False, True, False, True])
    assert (items.tolist(), teams.tolist()) == ([3, 1], [True, True])


def test_a_fair_draw_gives_both_models_each_rank_equally_often() -> None:
    rng = np.random.default_rng(4)
    teams = np.array([team_draft(range(0, 6), range(10, 16), 6, (rng.random(6) < 0.5).tolist())[1] for _ in range(2000)])
    assert np.abs(teams.mean(0) - 0.5).max() < 0.05


def test_the_preference_is_that_counted_by_hand_and_its_interval_decides_with_enough_users() -> None:
    assert preference([1, 2, 0, 0], [0, 1, 0, 3]).difference == pytest.approx(0.25)
    rng = np.random.default_rng(5)
    better, equal = rng.binomial(5, 0.3, (2, 1000)), rng.binomial(5, 0.2, (2, 1000))
    assert preference(better[0], equal[0]).low > 0
    assert preference(equal[0], equal[1]).low < 0 < preference(equal[0], equal[1]).high
