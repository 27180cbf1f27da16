"""What the simulated people show: experiments neither see differences that are not there nor miss those that are."""

from __future__ import annotations

import numpy as np
import pytest

from bench.people_trials import LOSS, Frozen, frozen_lists, naive_interval, trials
from models.experiments.sequences import ratio_difference


@pytest.fixture(scope="module")
def lists() -> Frozen:
    return frozen_lists(seed=0)


@pytest.mark.slow
def test_of_200_experiments_with_equal_lists_at_least_95_percent_stay_undecided_at_every_look(lists: Frozen) -> None:
    ended = np.mean([run.day is not None for run in trials(lists.champion, lists.champion, ratio_difference, 200, seed=1)])
    assert ended <= 0.05
    peeking = np.mean([run.day is not None for run in trials(lists.champion, lists.champion, naive_interval, 200, seed=1)])
    assert peeking > 0.15, "the interval of a single look ends many of the same experiments"


@pytest.mark.slow
def test_lists_that_lose_15_percent_of_the_clicks_are_stopped(lists: Frozen) -> None:
    assert lists.loss == pytest.approx(LOSS, abs=0.001)
    ended = trials(lists.champion, lists.challenger, ratio_difference, 60, seed=2)
    assert np.mean([run.is_worse for run in ended]) >= 0.95
    assert np.median([run.day or np.inf for run in ended]) <= 7
