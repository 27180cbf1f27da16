"""The table of a hold-out: cold users and items, and the baseline of the lift."""

from __future__ import annotations

import numpy as np
import pytest

from models.config import EvaluationConfig
from models.evaluation.baselines import BASELINES, rank_baseline
from models.evaluation.comparison import differences, gains_over_baseline, segment_differences, summary
from models.evaluation.evaluator import Evaluator
from models.evaluation.protocols import Task, make_task
from models.events import Events, TemporalSplit
from models.metrics.ranking import Ranking
from models.metrics.segments import SEGMENTS
from models.ranking.prior import Slots
from tests.models.planted import make_events, random_events

CONFIG = EvaluationConfig(n_bootstrap=200)


def ranking(rank: list[int], n_items: int = 30, served: list[int] | None = None) -> Ranking:
    top = np.arange(len(rank) * 10).reshape(-1, 10) % n_items
    return Ranking(np.array(rank), top, None if served is None else np.array(served))


def task_of(events: Events, split: TemporalSplit) -> Task:
    """A task with all events before the split for training and all later ones for the test."""
    test = np.flatnonzero(events.time >= split.test_from)
    return Task(Evaluator(events, Slots.over(events.time), False), events.before(split.validation_from), test[:0], test, split)


def test_users_and_items_with_a_training_event_are_warm() -> None:
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
    (gain,) = gains_over_baseline(task, rankings, CONFIG, seed=0)
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
    assert gains_over_baseline(task, rankings, CONFIG, seed=0) == []
    assert differences(task, rankings, CONFIG, seed=0) == {}
    assert segment_differences(task, rankings, CONFIG, seed=0) == {}


def test_the_lift_is_the_difference_to_the_best_baseline() -> None:
    task = make_task("temporal", random_events(), CONFIG, seed=0)
    ranks = [1, 11] * (len(task.test) // 2) + [1] * (len(task.test) % 2)
    rankings = {"minutehand": ranking(ranks, task.train.n_items, served=ranks[::-1])}
    rankings |= {name: rank_baseline(name, task)[0] for name in BASELINES}
    served, known = gains_over_baseline(task, rankings, CONFIG, seed=4)
    assert (served.metric, known.metric) == ("ndcg_at_10_served_lift", "ndcg_at_10_lift")
    found = differences(task, rankings, CONFIG, seed=4)
    (best,) = [each for each in found.values() if each["is_best_baseline"]]
    assert best["ndcg_at_10_served"] == {"difference": served.value, "low": served.low, "high": served.high}
    assert known.value == min(found[name]["ndcg_at_10"] for name in BASELINES)
    assert best["low"] < best["ndcg_at_10"] < best["high"]


def test_the_best_baseline_is_the_one_whose_lists_are_best_as_they_are_served() -> None:
    task = make_task("temporal", random_events(), CONFIG, seed=0)
    n = len(task.test)
    rankings = {
        "minutehand": ranking([1] * n, served=[2] * n),
        "item_knn": ranking([1] * n, served=[9] * n),
        "recent_popular": ranking([5] * n, served=[3] * n),
    }
    served, known = gains_over_baseline(task, rankings, CONFIG, seed=0)
    assert served.value == pytest.approx(1 / np.log2(3) - 1 / 2), "over recent popularity"
    assert known.value == 0, "over item-kNN, which knows the previous event"
    assert differences(task, rankings, CONFIG, seed=0)["recent_popular"]["is_best_baseline"]


def test_each_segment_of_enough_events_is_held_against_the_baseline_that_is_best_in_it() -> None:
    """Item 0 is warm, item 1 cold; popularity ranks item 0 first, item-kNN item 1, and minutehand ranks both second."""
    rows = [(user, 0, user) for user in range(600)] + [(user, user % 2, 1000 + user) for user in range(599)] + [(700, 1, 5000)]
    task = task_of(make_events(rows, n_items=2), TemporalSplit(900, 950))
    item = task.evaluator.events.item[task.test]
    popular, near = ([1 if hit else 50 for hit in item == wanted] for wanted in (0, 1))
    rankings = {name: ranking(rank) for name, rank in (("most_popular", popular), ("item_knn", near), ("minutehand", [2] * len(item)))}
    found = segment_differences(task, rankings, CONFIG, seed=0)
    best = {segment: (each["best_baseline"], each["n_events"]) for segment, each in found.items()}
    assert best == {"all": ("most_popular", 600), "warm_user_warm_item": ("most_popular", 300), "warm_user_cold_item": ("item_knn", 299)}
    assert found["all"]["difference"] > 0 > found["warm_user_cold_item"]["difference"] == pytest.approx(1 / np.log2(3) - 1)
    assert found["all"]["low"] < found["all"]["difference"] < found["all"]["high"]
    assert {each["metric"] for each in found.values()} == {"ndcg_at_10"}


def test_without_minutehand_there_is_no_difference_and_without_baselines_no_best() -> None:
    task = make_task("leave-one-out", random_events(), CONFIG, seed=0)
    popular = rank_baseline("most_popular", task)[0]
    assert differences(task, {"most_popular": popular}, CONFIG, seed=0) == {}
    less = differences(task, {"minutehand": popular, "id_only": popular}, CONFIG, seed=0)
    assert less == {"id_only": {"ndcg_at_10": 0.0, "low": 0.0, "high": 0.0, "is_best_baseline": False}}
