"""From ranks to figures: means calculated by hand, None without events, and the JSON form."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from models.metrics.ranking import Ranking
from models.metrics.segments import segment_masks
from models.metrics.summary import FIGURES, METRICS, SERVED, deciding_metric, means, nest_by_model, summarise

NOTHING = Ranking.join([])
TWO = Ranking(np.array([1, 20]), np.array([np.arange(10), np.arange(5, 15)]))
MASKS = segment_masks(np.array([True, True]), np.array([True, False]))


def test_means_are_those_of_the_events() -> None:
    assert means(TWO) == pytest.approx({"ndcg_at_10": 0.5, "hr_at_10": 0.5, "mrr": (1 + 1 / 20) / 2})


def test_the_ndcg_of_served_lists_comes_first_and_decides_if_known() -> None:
    served = replace(TWO, served=np.array([20, 3]))
    assert list(means(served)) == [SERVED, *METRICS]
    assert means(served)[SERVED] == pytest.approx(0.25)
    assert means(served)["ndcg_at_10"] == means(TWO)["ndcg_at_10"]
    joined = Ranking.join([served, served.of(np.array([False, True]))])
    assert joined.served is not None
    assert joined.served.tolist() == [20, 3, 3]
    assert Ranking.join([served, TWO]).served is None
    assert (deciding_metric([served, joined]), deciding_metric([served, TWO])) == (SERVED, "ndcg_at_10")
    assert list(nest_by_model(summarise({"a": served}, MASKS))["a"]["segments"]["warm_user_warm_item"]) == ["n_events", SERVED, *METRICS]


def test_every_model_has_every_segment_and_metric_once_and_coverage_where_the_catalogue_is_known() -> None:
    rows = summarise({"a": TWO, "b": TWO}, MASKS, 30)
    keys = [(row.model, row.segment, row.metric) for row in rows]
    assert len(keys) == len(set(keys)) == 2 * (5 * 3 + 1)
    of_b = {(row.segment, row.metric): row for row in rows if row.model == "b"}
    assert (of_b["all", "coverage_at_10"].value, of_b["all", "coverage_at_10"].n_events) == (0.5, 2)
    assert (of_b["warm_user_warm_item", "hr_at_10"].value, of_b["warm_user_warm_item", "hr_at_10"].n_events) == (1.0, 1)
    assert of_b["warm_user_cold_item", "mrr"].value == pytest.approx(1 / 20)
    assert {row.metric for row in summarise({"a": TWO}, MASKS)} == set(METRICS)


def test_no_events_give_no_figure_rather_than_zero() -> None:
    assert [row.value for row in summarise({"a": TWO}, MASKS) if row.n_events == 0] == [None] * 6
    nobody = np.empty(0, bool)
    rows = summarise({"a": NOTHING}, segment_masks(nobody, nobody), 30)
    assert {row.metric for row in rows} == set(FIGURES)
    assert {row.value for row in rows} == {None}, "coverage included"
    assert set(means(NOTHING).values()) == {None}


def test_json_has_the_figures_of_all_events_at_the_top_and_the_segments_below() -> None:
    found = nest_by_model(summarise({"a": TWO, "b": TWO}, MASKS | {"trending_item": np.array([False, True])}, 30))
    assert list(found) == ["a", "b"]
    assert list(found["a"]) == [*FIGURES, "segments"]
    assert {name: found["a"][name] for name in METRICS} == means(TWO)
    assert list(found["a"]["segments"]) == [*MASKS, "trending_item"][1:]
    assert found["a"]["segments"]["trending_item"] == {"n_events": 1, "ndcg_at_10": 0.0, "hr_at_10": 0.0, "mrr": np.float32(1 / 20)}
    assert found["a"]["segments"]["cold_user_warm_item"] == {"n_events": 0, "ndcg_at_10": None, "hr_at_10": None, "mrr": None}
    assert json.loads(json.dumps(found, allow_nan=False)) == found
