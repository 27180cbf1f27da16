"""The table of a hold-out: who is cold, and what the lift is measured against."""

from __future__ import annotations

import numpy as np
import pytest

from models.config import EvaluationConfig
from models.evaluation.baselines import BASELINES, rank_baseline
from models.evaluation.comparison import differences, lift, summary
from models.evaluation.evaluator import Evaluator
from models.evaluation.protocols import Task, make_task
from models.events import Events, TemporalSplit
from models.metrics.ranking import Ranking
from models.metrics.segments import SEGMENTS
from models.ranking.prior import Slots
from tests.models.planted import make_events, random_events

CONFIG = EvaluationConfig(n_bootstrap=200)


def ranking(rank: list[int], n_items: int = 30) -> Ranking:
    return Ranking(np.array(rank), np.arange(len(rank) * 10).reshape(-1, 10) % n_items)


def task_of(events: Events, split: TemporalSplit) -> Task:
    """All that came before the split, and all that came after."""
    test = np.flatnonzero(events.time >= split.test_from)
    return Task(Evaluator(events, Slots.over(events.time), False), events.before(split.validation_from), test[:0], test, split)


def test_warm_is_who_or_what_had_an_event_in_the_training_period() -> None:
    events = make_events([(0, 0, 0), (1, 1, 5), (0, 0, 10), (0, 1, 11), (1, 0, 12), (2, 2, 13)], n_items=3)
    task = task_of(events, TemporalSplit(5, 10))
    masks = task.segments
    found = {int(events.time[row]): [name for name in SEGMENTS[1:] if masks[name][n]] for n, row in enumerate(task.test)}
    assert found == {
        10: ["warm_user_warm_item"],
        11: ["warm_user_cold_item"],
        12: ["cold_user_warm_item"],
        13: ["cold_user_cold_item"],
    }, "user 1 and item 1 came only in the validation period"
    assert masks["all"].all()


def test_every_test_event_is_in_exactly_one_segment() -> None:
    events = random_events(n_users=80)
    task = task_of(events, TemporalSplit.by_quantile(events.time, 0.4, 0.2))
    assert np.sum([task.segments[name] for name in SEGMENTS[1:]], axis=0).tolist() == [1] * len(task.test)


def test_the_table_has_every_model_segment_and_metric_once_and_the_lift_over_the_best_baseline() -> None:
    events = random_events()
    task = task_of(events, TemporalSplit.by_quantile(events.time, 0.8, 0.1))
    n_test = len(task.test)
    ranks = {"minutehand": [1] * n_test, "most_popular": [30] * n_test, "recent_popular": [5] * n_test, "item_knn": [2] * n_test}
    rankings = {name: ranking(rank) for name, rank in ranks.items()}
    rows = summary(task, rankings)
    keys = [(row.model, row.segment, row.metric) for row in rows]
    assert len(keys) == len(set(keys)) == 4 * (5 * 3 + 1)
    gain = lift(task, rankings, CONFIG, seed=0)
    assert gain is not None
    assert (gain.model, gain.segment, gain.metric, gain.n_events) == ("minutehand", "all", "ndcg_at_10_lift", n_test)
    assert gain.value == pytest.approx(1 - 1 / np.log2(3)), "over item_knn, the best of the three"
    assert gain.low == pytest.approx(gain.value)
    empty = [row for row in rows if row.n_events == 0]
    assert empty
    assert all(row.value is None for row in empty), "no event, no figure"


def test_no_test_events_give_a_table_without_figures_and_no_lift() -> None:
    events = random_events()
    task = task_of(events, TemporalSplit(0, int(events.time.max()) + 1))
    rankings = {name: Ranking.join([]) for name in ("minutehand", *BASELINES)}
    rows = summary(task, rankings)
    assert {row.model for row in rows} == set(rankings)
    assert {row.value for row in rows} == {None}
    assert lift(task, rankings, CONFIG, seed=0) is None
    assert differences(task, rankings, CONFIG, seed=0) == {}


def test_the_lift_is_the_difference_to_the_best_baseline() -> None:
    task = make_task("temporal", random_events(), CONFIG, seed=0)
    rankings = {"minutehand": ranking([1, 11] * (len(task.test) // 2) + [1] * (len(task.test) % 2), task.train.n_items)}
    rankings |= {name: rank_baseline(name, task)[0] for name in BASELINES}
    gain = lift(task, rankings, CONFIG, seed=4)
    (best,) = [found for found in differences(task, rankings, CONFIG, seed=4).values() if found["is_best_baseline"]]
    assert gain is not None
    assert (gain.value, gain.low, gain.high) == (best["ndcg_at_10"], best["low"], best["high"])
    assert best["low"] < best["ndcg_at_10"] < best["high"]


def test_without_minutehand_there_is_no_difference_and_without_baselines_no_best() -> None:
    task = make_task("leave-one-out", random_events(), CONFIG, seed=0)
    popular = rank_baseline("most_popular", task)[0]
    assert differences(task, {"most_popular": popular}, CONFIG, seed=0) == {}
    less = differences(task, {"minutehand": popular, "id_only": popular}, CONFIG, seed=0)
    assert less == {"id_only": {"ndcg_at_10": 0.0, "low": 0.0, "high": 0.0, "is_best_baseline": False}}
