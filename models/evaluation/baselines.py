"""Baselines, each tuned on the validation events: popularity, recent popularity, item-kNN."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.device import BLOCK_CELLS
from models.evaluation.evaluator import Evaluator
from models.evaluation.item_knn import ItemKnn
from models.evaluation.protocols import Task
from models.events import Ints
from models.metrics.ranking import Ranking
from models.metrics.summary import means
from models.ranking.prior import HALF_LIVES_H

BASELINES = ("most_popular", "recent_popular", "item_knn")
KNN_DECAYS = (1.0, 0.8, 0.5)
MAX_TUNING_ROWS = 5000


def rank_baselines(task: Task) -> dict[str, Ranking]:
    """Rankings of the test rows by all BASELINES."""
    return {name: rank_baseline(name, task)[0] for name in BASELINES}


def rank_baseline(name: str, task: Task) -> tuple[Ranking, dict[str, Any]]:
    """Ranking of the test rows by one of BASELINES, and its parameters, which have the highest NDCG@10 on the validation rows.

    If the task has `served`, this NDCG@10 is from its lists. Both popularities are counted up to the beginning of the event's time
    slot; only most_popular in leave-one-out counts all training events. item-kNN takes its neighbours from the training events.
    """
    tuner, tuning = task.served or task.evaluator, task.validation[:: max(len(task.validation) // MAX_TUNING_ROWS, 1)]
    if name == "most_popular":
        return (rank_static(task) if task.split is None else rank_popularity(task, len(HALF_LIVES_H))), {}
    if name == "recent_popular":
        best = best_half_life(tuner, tuning)
        return rank_popularity(task, best), {"half_life_hours": HALF_LIVES_H[best]}
    knn = ItemKnn(task.train)
    decay = best_decay(tuner, knn, tuning)
    chosen = knn.with_decay(decay)
    return task.rank(lambda evaluator, rows: evaluator.rank_item_knn(rows, chosen)), {"decay": decay}


def rank_popularity(task: Task, column: int) -> Ranking:
    """Ranking of the test rows by one column of popularity. Histories matter only for hiding seen items."""
    return task.rank(lambda evaluator, rows: evaluator.rank_popularity(rows, column), uses_history=task.evaluator.hide_seen)


def best_half_life(evaluator: Evaluator, rows: Ints) -> int:
    """Index in HALF_LIVES_H of the popularity with the highest NDCG@10 on the given rows; the first in a tie or without rows."""
    by_half_life = {column: _ndcg(evaluator.rank_popularity(rows, column)) for column in range(len(HALF_LIVES_H))}
    return max(by_half_life, key=by_half_life.__getitem__)


def best_decay(evaluator: Evaluator, knn: ItemKnn, rows: Ints) -> float:
    """The value of KNN_DECAYS with the highest NDCG@10 on the given rows; the first in a tie or without rows."""
    by_decay = {decay: _ndcg(evaluator.rank_item_knn(rows, knn.with_decay(decay))) for decay in KNN_DECAYS}
    return max(by_decay, key=by_decay.__getitem__)


def best_baseline(rankings: Mapping[str, Ranking], metric: str = "ndcg_at_10") -> str | None:
    """The baseline with the highest mean of a metric, and the first in a tie; None without baselines."""
    there = {name: means(rankings[name])[metric] or 0.0 for name in BASELINES if name in rankings}
    return max(there, key=there.__getitem__) if there else None


def rank_static(task: Task) -> Ranking:
    """Ranking by popularity over all training events, also those after the test event, as in papers that use leave-one-out."""
    count = torch.from_numpy(np.bincount(task.train.item, minlength=task.train.n_items).astype(np.float32))
    return rank_scores(task, lambda rows: count.expand(len(rows), -1).clone())


def rank_scores(task: Task, score: Callable[[Ints], Tensor]) -> Ranking:
    """Ranking of the test rows by a function from rows to scores [rows, items]."""
    evaluator = task.evaluator
    block = max(BLOCK_CELLS // evaluator.events.n_items, 1)
    parts = (task.test[first : first + block] for first in range(0, len(task.test), block))
    return evaluator.in_order(task.test, *evaluator.rank((part, score(part)) for part in parts))


def _ndcg(ranking: Ranking) -> float:
    """Mean NDCG@10; 0 without events, so that all parameter values tie."""
    return means(ranking)["ndcg_at_10"] or 0.0
