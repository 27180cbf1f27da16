"""The baselines: each is tuned on the validation events, and only baselines can be the best baseline."""

from __future__ import annotations

import numpy as np

from models.config import EvaluationConfig
from models.evaluation.baselines import BASELINES, best_baseline, best_half_life, rank_baseline, rank_baselines
from models.evaluation.evaluator import Evaluator
from models.evaluation.protocols import Task, leave_one_out
from models.events import Events, TemporalSplit
from models.metrics.ranking import Ranking
from models.ranking.prior import HALF_LIVES_H, Slots
from tests.models.planted import HOUR, make_events, random_events


def ranking(rank: list[int], n_items: int = 30) -> Ranking:
    return Ranking(np.array(rank), np.arange(len(rank) * 10).reshape(-1, 10) % n_items)


def hits(seed: int = 0) -> Events:
    """A new hit every thirty hours."""
    rng = np.random.default_rng(seed)
    hot = np.arange(600) // 30
    item = np.where(rng.random(600) < 0.7, hot % 20, rng.integers(0, 20, 600))
    return make_events(((n, int(i), n * HOUR) for n, i in enumerate(item)), n_items=20)


def test_the_champion_is_no_baseline() -> None:
    rankings = {"champion": ranking([1]), "minutehand": ranking([1]), "most_popular": ranking([9]), "recent_popular": ranking([3])}
    assert best_baseline(rankings | {"item_knn": ranking([4])}) == "recent_popular"
    assert best_baseline({"champion": ranking([1]), "minutehand": ranking([1])}) is None


def test_baselines_are_tuned_on_validation_and_each_finds_its_own_structure() -> None:
    events = hits()
    split = TemporalSplit.by_quantile(events.time, 0.6, 0.2)
    validation = np.flatnonzero((events.time >= split.validation_from) & (events.time < split.test_from))
    test = np.flatnonzero(events.time >= split.test_from)
    evaluator = Evaluator(events, Slots.over(events.time), False)
    task = Task(evaluator, events.before(split.validation_from), validation, test, split)
    found = rank_baselines(task)
    assert tuple(found) == BASELINES
    assert best_baseline(found) == "recent_popular"
    assert (found["recent_popular"].rank == 1).mean() > 0.5 > (found["most_popular"].rank == 1).mean()
    chosen = rank_baseline("recent_popular", task)[1]["half_life_hours"]
    assert chosen == HALF_LIVES_H[best_half_life(evaluator, validation)] < 72, "hits of thirty hours are forgotten within days"


def test_baselines_do_without_validation_events() -> None:
    events = random_events()
    rows = np.arange(len(events))
    evaluator = Evaluator(events, Slots.over(events.time), False)
    found = rank_baselines(Task(evaluator, events.before(0), rows[:0], rows, TemporalSplit(0, 0)))
    assert {len(one.rank) for one in found.values()} == {len(rows)}
    assert best_half_life(evaluator, rows[:0]) == 0


def test_most_popular_of_leave_one_out_counts_all_training_events_whenever_they_were() -> None:
    task = leave_one_out(random_events(), EvaluationConfig(), 0)
    static, details = rank_baseline("most_popular", task)
    assert details == {}
    events, count = task.evaluator.events, np.bincount(task.train.item, minlength=task.train.n_items)
    for row, top in zip(task.test, static.top, strict=True):
        seen = events.item[events.offsets[events.user[row]] : row]
        assert count[top[0]] == np.delete(count, seen).max()
