"""The table of the night: who is cold, which baseline is best, and what the lift is measured against."""

from __future__ import annotations

import numpy as np
import pytest

from models.config import EvaluationConfig
from models.evaluation.evaluator import Evaluator
from models.evaluation.holdout import BASELINES, best_baseline, metric_rows, rank_baselines, segments
from models.events import TemporalSplit
from models.metrics.ranking import Ranking
from models.ranking.prior import Slots
from tests.models.planted import HOUR, make_events, random_events

CONFIG = EvaluationConfig(n_bootstrap=200)
SEGMENTS = ("warm_user_warm_item", "warm_user_cold_item", "cold_user_warm_item", "cold_user_cold_item")


def ranking(rank: list[int], n_items: int = 30) -> Ranking:
    return Ranking(np.array(rank), np.arange(len(rank) * 10).reshape(-1, 10) % n_items)


def test_warm_is_who_or_what_had_an_event_in_the_training_period() -> None:
    events = make_events([(0, 0, 0), (1, 1, 5), (0, 0, 10), (0, 1, 11), (1, 0, 12), (2, 2, 13)], n_items=3)
    evaluator = Evaluator(events, Slots.over(events.time), hide_seen=False)
    rows = np.flatnonzero(events.time >= 10)
    masks = segments(evaluator, TemporalSplit(5, 10), rows)
    found = {int(events.time[row]): [name for name in SEGMENTS if masks[name][n]] for n, row in enumerate(rows)}
    assert found == {
        10: ["warm_user_warm_item"],
        11: ["warm_user_cold_item"],
        12: ["cold_user_warm_item"],
        13: ["cold_user_cold_item"],
    }, "user 1 and item 1 came only in the validation period"
    assert masks["all"].all()


def test_every_event_is_in_exactly_one_segment() -> None:
    events = random_events(n_users=80)
    split = TemporalSplit.by_quantile(events.time, 0.4, 0.2)
    rows = np.flatnonzero(events.time >= split.test_from)
    masks = segments(Evaluator(events, Slots.over(events.time), False), split, rows)
    assert np.sum([masks[name] for name in SEGMENTS], axis=0).tolist() == [1] * len(rows)


def test_the_table_has_every_model_segment_and_metric_once_and_the_lift_over_the_best_baseline() -> None:
    events = random_events()
    split = TemporalSplit.by_quantile(events.time, 0.8, 0.1)
    test = np.flatnonzero(events.time >= split.test_from)
    ranks = {
        "minutehand": [1] * len(test),
        "most_popular": [30] * len(test),
        "recent_popular": [5] * len(test),
        "item_knn": [2] * len(test),
    }
    rankings = {name: ranking(rank) for name, rank in ranks.items()}
    rows = list(metric_rows(Evaluator(events, Slots.over(events.time), False), split, test, rankings, CONFIG, seed=0))
    keys = [(row.model, row.segment, row.metric) for row in rows]
    assert len(keys) == len(set(keys)) == 4 * (5 * 3 + 1) + 1
    lift = rows[-1]
    assert (lift.model, lift.metric, lift.n_events) == ("minutehand", "ndcg_at_10_lift", len(test))
    assert lift.value == pytest.approx(1 - 1 / np.log2(3)), "over item_knn, the best of the three"
    assert lift.low == pytest.approx(lift.value)
    empty = [row for row in rows if row.n_events == 0]
    assert empty
    assert all(row.value is None for row in empty), "no event, no figure"


def test_no_test_events_give_a_table_without_figures() -> None:
    events = random_events()
    rankings = {name: Ranking.join([]) for name in ("minutehand", *BASELINES)}
    rows = list(
        metric_rows(Evaluator(events, Slots.over(events.time), False), TemporalSplit(0, 1), np.empty(0, np.int64), rankings, CONFIG, 0)
    )
    assert {row.value for row in rows if row.metric != "coverage_at_10"} == {None}


def test_the_champion_is_no_baseline() -> None:
    rankings = {"champion": ranking([1]), "minutehand": ranking([1]), "most_popular": ranking([9]), "recent_popular": ranking([3])}
    assert best_baseline(rankings | {"item_knn": ranking([4])}) == "recent_popular"


def test_baselines_are_tuned_on_validation_and_each_finds_its_own_structure() -> None:
    rng = np.random.default_rng(0)
    hot = np.arange(600) // 30  # a new hit every thirty hours
    item = np.where(rng.random(600) < 0.7, hot % 20, rng.integers(0, 20, 600))
    events = make_events(((n, int(i), n * HOUR) for n, i in enumerate(item)), n_items=20)
    split = TemporalSplit.by_quantile(events.time, 0.6, 0.2)
    validation = np.flatnonzero((events.time >= split.validation_from) & (events.time < split.test_from))
    test = np.flatnonzero(events.time >= split.test_from)
    found = rank_baselines(Evaluator(events, Slots.over(events.time), False), split, validation, test)
    assert set(found) == set(BASELINES)
    assert best_baseline(found) == "recent_popular"
    assert (found["recent_popular"].rank == 1).mean() > 0.5 > (found["most_popular"].rank == 1).mean()


def test_baselines_do_without_validation_events() -> None:
    events = random_events()
    rows = np.arange(len(events))
    found = rank_baselines(Evaluator(events, Slots.over(events.time), False), TemporalSplit(0, 0), rows[:0], rows)
    assert {len(one.rank) for one in found.values()} == {len(rows)}
