"""Measures of whole lists on a task whose answers one can see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.config import EvaluationConfig
from models.evaluation.baselines import rank_baselines
from models.evaluation.evaluator import make_evaluator
from models.evaluation.list_measures import About, Measured, measure_lists
from models.evaluation.protocols import Task, temporal
from models.events import Ints, TemporalSplit
from models.interests.vocabulary import Interests
from models.metrics.ranking import Ranking
from tests.models.planted import HOUR, make_events, random_events

CONFIG = EvaluationConfig(n_bootstrap=50)
DAY = 24 * HOUR
EVENTS = make_events(
    [(0, 0, 0), (0, 1, DAY), (0, 2, 10 * DAY), (0, 3, 11 * DAY), (1, 0, 2 * DAY), (1, 0, 12 * DAY), (2, 4, 13 * DAY)], n_items=6
)
TASK = Task(
    make_evaluator(EVENTS, CONFIG),
    EVENTS.before(10 * DAY),
    np.empty(0, np.int64),
    np.array([2, 3, 5, 6]),
    TemporalSplit(10 * DAY, 10 * DAY),
)
VECTORS = np.eye(6, dtype=np.float32)


def top(*lists: list[int]) -> Ints:
    """Lists of up to ten items."""
    return np.array([items + [-1] * (10 - len(items)) for items in lists])


def ranking(*lists: list[int]) -> Ranking:
    found = top(*lists)
    hit = found == EVENTS.item[TASK.test][:, None]
    rank = np.where(hit.any(1), hit.argmax(1) + 1, 99)
    return Ranking(rank, found, served=rank)


PERFECT = ranking([2, 3], [5], [0, 1], [4])
RANDOM = random_events(n_users=60, n_events=900)


def values(measured: Measured, model: str, segment: str = "all") -> dict[str, float | None]:
    return {row.metric: row.value for row in measured.rows if (row.model, row.segment) == (model, segment)}


def some_interests(n_items: int) -> Interests:
    """Two interests: even and odd items."""
    item = np.arange(n_items)
    return Interests(
        *(("label:even", "label:odd"), ("label", "label"), ("topic", "topic"), np.array([-1, -1]), ("even", "odd"), ((), ())),
        *(np.zeros((2, 4), np.float32), item, item % 2, np.ones(n_items, np.float32), n_items, np.empty(0, np.float32)),
    )


def test_a_user_has_the_list_of_their_first_test_event_which_is_judged_by_what_they_chose_from_then_on() -> None:
    found = values(measure_lists(TASK, {"minutehand": PERFECT}, About(VECTORS), CONFIG, 0), "minutehand")
    assert found["recall_at_10"] == found["map_at_10"] == 1
    assert found["precision_at_10"] == pytest.approx((0.2 + 0.1 + 0.1) / 3)
    assert found["distance_at_10"] == pytest.approx(2 / 3)
    assert found["age_days_at_10"] == pytest.approx((0 + (12 + 11) / 2 + 0) / 3)
    assert found["novelty_at_10"] == pytest.approx((1 + 0.5 + 1) / 3)
    half = ranking([2, 5], [3], [1], [4])
    assert values(measure_lists(TASK, {"minutehand": half}, About(VECTORS), CONFIG, 0), "minutehand")["recall_at_10"] == 0.5


def test_every_model_has_every_measure_with_an_interval_and_its_lorenz_curve() -> None:
    task = temporal(RANDOM, CONFIG, 0)
    found = measure_lists(task, rank_baselines(task), About(np.eye(30, dtype=np.float32), some_interests(30)), CONFIG, 0)
    names = {model: set(values(found, model)) for model in ("most_popular", "recent_popular", "item_knn")}
    assert len({frozenset(each) for each in names.values()}) == 1
    assert {"recall_at_10", "calibration_at_10", "gini_at_10"} <= names["item_knn"]
    means = [row for row in found.rows if row.segment == "all" and row.metric != "gini_at_10"]
    assert all(row.low is not None and row.value is not None and row.high is not None for row in means)
    assert all((row.low or 0) - 1e-6 <= (row.value or 0) <= (row.high or 0) + 1e-6 for row in means)
    assert {model: len(curve) for model, curve in found.lorenz.items()} == dict.fromkeys(names, 31)
    assert (found.interests, found.wanted.sum(), found.shown.sum()) == (("even", "odd"), pytest.approx(1), pytest.approx(1))


def test_groups_of_users_part_all_test_events_by_what_was_known_before_the_list() -> None:
    measured = measure_lists(TASK, {"minutehand": PERFECT}, About(VECTORS, attribute=("country", ["de"] * 3)), CONFIG, 0)
    n_events = {row.segment: row.n_events for row in measured.rows if row.metric == "hr_at_10"}
    assert {name: n for name, n in n_events.items() if "activity" in name} == {
        "activity=none": 1,
        "activity=low": 1,
        "activity=medium": 2,
    }
    assert sum(n for name, n in n_events.items() if name.startswith("account_age=")) == 4
    assert not [name for name in n_events if name.startswith("attribute")], "three users are too few"


def test_an_attribute_with_enough_users_is_a_group_of_its_own() -> None:
    task = temporal(RANDOM, CONFIG, 0)
    countries = ["de" if user % 2 else "at" for user in range(60)]
    found = measure_lists(task, rank_baselines(task), About(np.eye(30, dtype=np.float32), attribute=("country", countries)), CONFIG, 0)
    rows = {row.segment: row for row in found.rows if (row.model, row.metric) == ("most_popular", "ndcg_at_10_served")}
    of_de = RANDOM.user[task.test] % 2 == 1
    assert rows["attribute country=de"].n_events == of_de.sum()
    assert (rows["attribute country=de"].low or 1) <= (rows["attribute country=de"].value or 0) <= (rows["attribute country=de"].high or 0)


def test_exposure_of_item_groups_is_compared_with_their_share_of_the_test_events() -> None:
    measured = measure_lists(TASK, {"minutehand": ranking([0], [0], [0], [2])}, About(VECTORS, some_interests(6)), CONFIG, 0)
    head, even, odd = (values(measured, "minutehand", segment) for segment in ("popularity=head", "interest=even", "interest=odd"))
    assert (head["exposure_at_10"], head["exposure_per_demand"]) == (0.75, 3)
    assert even == pytest.approx({"exposure_at_10": 1, "exposure_per_demand": 4 / 3})
    assert (odd["exposure_at_10"], odd["exposure_per_demand"]) == (0, 0)


def test_without_test_events_nothing_is_measured() -> None:
    nothing = replace(TASK, test=np.empty(0, np.int64))
    assert measure_lists(nothing, {"minutehand": Ranking.join([])}, About(VECTORS), CONFIG, 0).rows == []
