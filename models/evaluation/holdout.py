"""The table of the night: the recommender, the champion and three baselines on the same held-out events."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from models.config import EvaluationConfig
from models.evaluation.baselines import ItemKnn
from models.evaluation.evaluator import Evaluator
from models.events import Events, Ints, TemporalSplit, sample
from models.metrics.intervals import bootstrap_interval
from models.metrics.ranking import Ranking
from models.ranking.blend import Blend
from models.ranking.prior import HALF_LIVES_H
from models.results import MetricRow
from models.sequence.users import target_vectors
from models.sequence.weights import Weights

BASELINES = ("most_popular", "recent_popular", "item_knn")
KNN_DECAYS = (1.0, 0.8, 0.5)
MAX_TUNING_ROWS = 5000


def rank_recommender(evaluator: Evaluator, weights: Weights, blend: Blend, rows: Ints) -> Ranking:
    """The recommender on some (sorted) rows."""
    items = weights.item_vectors()
    vectors = target_vectors(weights.model, evaluator.events, rows)
    return evaluator.rank_blend(rows, vectors, items, blend, items @ weights.mean_vector, weights.is_cold)


def rank_baselines(evaluator: Evaluator, split: TemporalSplit, validation: Ints, test: Ints) -> dict[str, Ranking]:
    """The baselines on the test rows; half-life and decay are those that were best on the validation rows.

    Popularity is counted up to each event; item-kNN keeps the neighbours of the training period.
    """
    tuning = validation[:: max(len(validation) // MAX_TUNING_ROWS, 1)]
    knn = ItemKnn(evaluator.events.before(split.validation_from))
    half_lives = {row: _quality(evaluator.rank_popularity(tuning, row)) for row in range(len(HALF_LIVES_H))}
    decays = {decay: _quality(evaluator.rank_item_knn(tuning, knn.with_decay(decay))) for decay in KNN_DECAYS}
    return {
        "most_popular": evaluator.rank_popularity(test, len(HALF_LIVES_H)),
        "recent_popular": evaluator.rank_popularity(test, max(half_lives, key=half_lives.__getitem__)),
        "item_knn": evaluator.rank_item_knn(test, knn.with_decay(max(decays, key=decays.__getitem__))),
    }


def segments(evaluator: Evaluator, split: TemporalSplit, rows: Ints) -> dict[str, NDArray[np.bool_]]:
    """Masks of the rows: all, and warm/cold user x warm/cold item; warm means: had an event in the training period."""
    events = evaluator.events
    past = events.before(split.validation_from)
    warm_user = (np.bincount(past.user, minlength=events.n_users) > 0)[events.user[rows]]
    warm_item = (np.bincount(past.item, minlength=events.n_items) > 0)[events.item[rows]]
    return {
        "all": np.ones(len(rows), bool),
        "warm_user_warm_item": warm_user & warm_item,
        "warm_user_cold_item": warm_user & ~warm_item,
        "cold_user_warm_item": ~warm_user & warm_item,
        "cold_user_cold_item": ~warm_user & ~warm_item,
    }


def metric_rows(
    evaluator: Evaluator, split: TemporalSplit, test: Ints, rankings: dict[str, Ranking], config: EvaluationConfig, seed: int
) -> Iterator[MetricRow]:
    """Every model x segment x metric, and the difference of `minutehand` to the best baseline with its interval."""
    masks = segments(evaluator, split, test)
    for model, ranking in rankings.items():
        for segment, mask in masks.items():
            part, n = ranking.of(mask), int(mask.sum())
            for metric, values in (("ndcg_at_10", part.ndcg_at_10), ("hr_at_10", part.hr_at_10), ("mrr", part.mrr)):
                yield MetricRow(model, segment, metric, float(values.mean()) if n else None, n)
        yield MetricRow(model, "all", "coverage_at_10", ranking.coverage_at_10(evaluator.events.n_items), len(test))
    if not len(test):
        return
    best = best_baseline(rankings)
    difference = rankings["minutehand"].ndcg_at_10 - rankings[best].ndcg_at_10
    low, high = bootstrap_interval(difference, evaluator.events.user[test], config.n_bootstrap, seed)
    yield MetricRow("minutehand", "all", "ndcg_at_10_lift", float(difference.mean()), len(test), low, high)


def best_baseline(rankings: dict[str, Ranking]) -> str:
    """The baseline with the highest NDCG@10."""
    return max(BASELINES, key=lambda name: _quality(rankings[name]))


def _quality(ranking: Ranking) -> float:
    return float(ranking.ndcg_at_10.mean()) if len(ranking.rank) else 0.0


def held_out(events: Events, split: TemporalSplit, max_events: int, seed: int) -> tuple[Ints, Ints]:
    """Rows of the validation and of the test period, sorted; evenly drawn where there are more than max_events."""
    validation = np.flatnonzero((events.time >= split.validation_from) & (events.time < split.test_from))
    return sample(validation, max_events, seed), sample(np.flatnonzero(events.time >= split.test_from), max_events, seed)
