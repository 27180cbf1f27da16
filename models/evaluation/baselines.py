"""The models that any other has to beat, each tuned on the validation events: popularity, recent popularity, item-kNN."""

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
    """All of BASELINES on the test rows."""
    return {name: rank_baseline(name, task)[0] for name in BASELINES}


def rank_baseline(name: str, task: Task) -> tuple[Ranking, dict[str, Any]]:
    """One of BASELINES on the test rows, and what was chosen for it on the validation rows.

    Popularity is counted up to each event; item-kNN keeps the neighbours of the training events.
    """
    evaluator, test = task.evaluator, task.test
    tuning = task.validation[:: max(len(task.validation) // MAX_TUNING_ROWS, 1)]
    if name == "most_popular":
        return (rank_static(task) if task.split is None else evaluator.rank_popularity(test, len(HALF_LIVES_H))), {}
    if name == "recent_popular":
        best = best_half_life(evaluator, tuning)
        return evaluator.rank_popularity(test, best), {"half_life_hours": HALF_LIVES_H[best]}
    knn = ItemKnn(task.train)
    decay = best_decay(evaluator, knn, tuning)
    return evaluator.rank_item_knn(test, knn.with_decay(decay)), {"decay": decay}


def best_half_life(evaluator: Evaluator, rows: Ints) -> int:
    """The index in HALF_LIVES_H of the popularity with the highest NDCG@10 on some rows; the first where there are none."""
    by_half_life = {column: _ndcg(evaluator.rank_popularity(rows, column)) for column in range(len(HALF_LIVES_H))}
    return max(by_half_life, key=by_half_life.__getitem__)


def best_decay(evaluator: Evaluator, knn: ItemKnn, rows: Ints) -> float:
    """The one of KNN_DECAYS with the highest NDCG@10 on some rows; the first of equals."""
    by_decay = {decay: _ndcg(evaluator.rank_item_knn(rows, knn.with_decay(decay))) for decay in KNN_DECAYS}
    return max(by_decay, key=by_decay.__getitem__)


def best_baseline(rankings: Mapping[str, Ranking]) -> str | None:
    """The baseline with the highest NDCG@10 among some models, if there is any; the first of equals."""
    there = [name for name in BASELINES if name in rankings]
    return max(there, key=lambda name: _ndcg(rankings[name])) if there else None


def rank_static(task: Task) -> Ranking:
    """Popularity over all training events, whenever they were: what leave-one-out papers call popularity."""
    count = torch.from_numpy(np.bincount(task.train.item, minlength=task.train.n_items).astype(np.float32))
    return rank_scores(task, lambda rows: count.expand(len(rows), -1).clone())


def rank_scores(task: Task, score: Callable[[Ints], Tensor]) -> Ranking:
    """The test rows by any function from rows to scores [rows, items]."""
    evaluator = task.evaluator
    block = max(BLOCK_CELLS // evaluator.events.n_items, 1)
    parts = (task.test[first : first + block] for first in range(0, len(task.test), block))
    return evaluator.in_order(task.test, *evaluator.rank((part, score(part)) for part in parts))


def _ndcg(ranking: Ranking) -> float:
    """Mean NDCG@10 to compare by, so that no events make all models equal."""
    return means(ranking)["ndcg_at_10"] or 0.0
