"""Models compared on the test events of one task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.config import EvaluationConfig
from models.evaluation.baselines import best_baseline
from models.evaluation.evaluator import Evaluator
from models.evaluation.protocols import Task
from models.events import Ints
from models.metrics.intervals import Difference, mean_difference
from models.metrics.ranking import Ranking
from models.metrics.summary import summarise
from models.ranking.blend import Blend
from models.results import MetricRow
from models.sequence.users import target_vectors
from models.sequence.weights import Weights


def rank_recommender(evaluator: Evaluator, weights: Weights, blend: Blend, rows: Ints) -> Ranking:
    """The recommender on some (sorted) rows."""
    if not len(rows):
        return Ranking.join([])
    items = weights.item_vectors()
    vectors = target_vectors(weights.model, evaluator.events, rows)
    return evaluator.rank_blend(rows, vectors, items, blend, items @ weights.mean_vector, weights.is_cold)


def summary(task: Task, rankings: Mapping[str, Ranking]) -> list[MetricRow]:
    """Every model x segment x metric on the test events, and the coverage of each model."""
    return summarise(rankings, task.segments, task.evaluator.events.n_items)


def lift(task: Task, rankings: Mapping[str, Ranking], config: EvaluationConfig, seed: int) -> MetricRow | None:
    """NDCG@10 of minutehand less that of the best baseline; None where nothing was held out."""
    best = best_baseline(rankings)
    if best is None or not len(task.test):
        return None
    gain = _gain(task, rankings, best, config, seed)
    return MetricRow("minutehand", "all", "ndcg_at_10_lift", gain.difference, len(task.test), gain.low, gain.high)


def differences(task: Task, rankings: Mapping[str, Ranking], config: EvaluationConfig, seed: int) -> dict[str, dict[str, Any]]:
    """NDCG@10 of minutehand less that of each other model, with a 95 % interval over users; says which baseline is the best."""
    if "minutehand" not in rankings or not len(task.test):
        return {}
    best, found = best_baseline(rankings), {}
    for name in (name for name in rankings if name != "minutehand"):
        gain = _gain(task, rankings, name, config, seed)
        found[name] = {"ndcg_at_10": gain.difference, "low": gain.low, "high": gain.high, "is_best_baseline": name == best}
    return found


def _gain(task: Task, rankings: Mapping[str, Ranking], other: str, config: EvaluationConfig, seed: int) -> Difference:
    user = task.evaluator.events.user[task.test]
    return mean_difference(rankings["minutehand"].ndcg_at_10, rankings[other].ndcg_at_10, user, config.n_bootstrap, seed)
