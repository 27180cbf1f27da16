"""Comparison of models on the test events of one task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from models.config import EvaluationConfig
from models.evaluation.baselines import best_baseline
from models.evaluation.evaluator import Evaluator, list_vectors
from models.evaluation.protocols import Task
from models.events import Ints
from models.metrics.intervals import Difference, mean_difference
from models.metrics.ranking import Ranking
from models.metrics.segments import Mask
from models.metrics.summary import METRICS, deciding_metric, summarise
from models.ranking.blend import Blend
from models.results import MetricRow
from models.sequence.weights import Weights
from models.text.towers import Words

OURS = "minutehand"
NDCG = METRICS[0]
LEAST_EVENTS = 250
"""Minimum number of events for a meaningful interval of a segment."""


def rank_recommender(evaluator: Evaluator, weights: Weights, blend: Blend, rows: Ints, words: Words | None = None) -> Ranking:
    """Ranking of the given (sorted) rows by the recommender. words: their term of the searches of the evaluator counts, too."""
    if not len(rows):
        return Ranking.join([])
    items, vectors = weights.item_vectors(), list_vectors(weights.model, evaluator, rows)
    return evaluator.rank_blend(rows, vectors, items, blend, items @ weights.mean_vector, weights.is_cold, words)


def summary(task: Task, rankings: Mapping[str, Ranking]) -> list[MetricRow]:
    """One row per model, segment and metric on the test events, and the coverage of each model."""
    return summarise(rankings, task.segments, task.evaluator.events.n_items)


def gains_over_baseline(task: Task, rankings: Mapping[str, Ranking], config: EvaluationConfig, seed: int) -> list[MetricRow]:
    """Each NDCG@10 of minutehand minus that of the best baseline by this metric, the deciding metric first; empty without a hold-out."""
    rows = []
    for metric in _ndcgs(rankings):
        best = best_baseline(rankings, metric)
        if best is not None and len(task.test):
            gain = _gain(task, rankings, best, metric, config, seed)
            rows.append(MetricRow(OURS, "all", f"{metric}_lift", gain.difference, len(task.test), gain.low, gain.high))
    return rows


def differences(task: Task, rankings: Mapping[str, Ranking], config: EvaluationConfig, seed: int) -> dict[str, dict[str, Any]]:
    """Each NDCG@10 of minutehand minus that of each other model, with 95 % intervals over users; marks the best baseline."""
    if OURS not in rankings or not len(task.test):
        return {}
    decides = deciding_metric(rankings.values())
    best, found = best_baseline(rankings, decides), {}
    for name in (name for name in rankings if name != OURS):
        gains = {metric: _gain(task, rankings, name, metric, config, seed) for metric in _ndcgs(rankings)}
        served = {metric: asdict(gain) for metric, gain in gains.items() if metric != NDCG}
        found[name] = {
            **served,
            NDCG: gains[NDCG].difference,
            "low": gains[NDCG].low,
            "high": gains[NDCG].high,
            "is_best_baseline": name == best,
        }
    return found


def segment_differences(task: Task, rankings: Mapping[str, Ranking], config: EvaluationConfig, seed: int) -> dict[str, dict[str, Any]]:
    """The deciding NDCG@10 of minutehand minus that of the best baseline, per segment of at least LEAST_EVENTS test events.

    Segment -> {metric, n_events, best_baseline, difference, low, high}; low and high bound a 95 % interval over users.
    """
    if OURS not in rankings:
        return {}
    metric, found = deciding_metric(rankings.values()), {}
    for segment, mask in task.segments.items():
        best = best_baseline({name: ranking.of(mask) for name, ranking in rankings.items()}, metric)
        if best is not None and (n_events := int(mask.sum())) >= LEAST_EVENTS:
            gain = _gain(task, rankings, best, metric, config, seed, mask)
            found[segment] = {"metric": metric, "n_events": n_events, "best_baseline": best, **asdict(gain)}
    return found


def _ndcgs(rankings: Mapping[str, Ranking]) -> list[str]:
    """The names of the NDCG@10 metrics, the deciding one first."""
    return list(dict.fromkeys([deciding_metric(rankings.values()), NDCG]))


def _gain(
    task: Task,
    rankings: Mapping[str, Ranking],
    other: str,
    metric: str,
    config: EvaluationConfig,
    seed: int,
    mask: Mask | None = None,
) -> Difference:
    ours, theirs = (getattr(rankings[name], metric) for name in (OURS, other))
    user = task.evaluator.events.user[task.test]
    where = np.ones(len(user), bool) if mask is None else mask
    return mean_difference(ours[where], theirs[where], user[where], config.n_bootstrap, seed)
