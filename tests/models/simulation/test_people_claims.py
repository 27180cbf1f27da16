"""What the simulated people show: fresher lists get more clicks, experiments see what is there, and slots find new hits."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bench.people import SIZES, run
from bench.people_launch import course, launch
from bench.people_trials import LOSS, Frozen, frozen_lists, naive_interval, trials
from models.experiments.sequences import ratio_difference


@pytest.mark.slow
def test_by_the_products_own_commands_people_click_more_from_fallback_to_nightly_to_minute_to_live(tmp_path: Path) -> None:
    rows = run(tmp_path / "shop-home", 0, *SIZES["quick"])
    assert [row["list"] for row in rows] == ["fallback", "nightly", "minute", "live"]
    assert all(float(str(better["ctr"])) > float(str(before["ctr"])) for before, better in pairwise(rows)), rows


@pytest.fixture(scope="module")
def lists() -> Frozen:
    return frozen_lists(seed=0)


@pytest.mark.slow
def test_of_200_experiments_with_equal_lists_at_least_95_percent_stay_undecided_at_every_look(lists: Frozen) -> None:
    ended = np.mean([one.day is not None for one in trials(lists.champion, lists.champion, ratio_difference, 200, seed=1)])
    assert ended <= 0.05
    peeking = np.mean([one.day is not None for one in trials(lists.champion, lists.champion, naive_interval, 200, seed=1)])
    assert peeking > 0.15, "the interval of a single look ends many of the same experiments"


@pytest.mark.slow
def test_lists_that_lose_15_percent_of_the_clicks_are_stopped(lists: Frozen) -> None:
    assert lists.loss == pytest.approx(LOSS, abs=0.001)
    ended = trials(lists.champion, lists.challenger, ratio_difference, 60, seed=2)
    assert np.mean([one.is_worse for one in ended]) >= 0.95
    assert np.median([one.day or np.inf for one in ended]) <= 7


@pytest.mark.slow
def test_a_slot_for_new_items_finds_hits_in_a_third_of_the_time_and_costs_at_most_3_percent_of_the_clicks() -> None:
    starts = [launch(seed) for seed in range(5)]
    without, slotted = ([course(start, n_slots, seed) for seed, start in enumerate(starts)] for n_slots in (0, 1))
    days, days_slotted = (np.median(np.concatenate([one.found for one in runs])) for runs in (without, slotted))
    assert days_slotted <= days / 3
    clicks, clicks_slotted = (sum(one.clicks for one in runs) for runs in (without, slotted))
    assert clicks_slotted >= 0.97 * clicks
