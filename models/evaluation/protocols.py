"""Two protocols by which models are compared on one file of events, and what each model makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.config import EvaluationConfig
from models.device import BLOCK_CELLS
from models.errors import UserError
from models.evaluation.baselines import ItemKnn
from models.evaluation.evaluator import Evaluator, make_evaluator
from models.evaluation.holdout import KNN_DECAYS, MAX_TUNING_ROWS, held_out
from models.events import Events, Ints, TemporalSplit, sample
from models.metrics.intervals import bootstrap_interval
from models.metrics.ranking import Ranking
from models.ranking.prior import HALF_LIVES_H, Slots

PROTOCOLS = ("temporal", "leave-one-out")
BASELINES = ("pop", "recent", "itemknn")
LEARNERS = ("minutehand", "idonly")
LEAST_EVENTS = 3
MAX_SLOTS = 500
MAX_SLOT_CELLS = 50_000_000


@dataclass(frozen=True)
class Task:
    """What is learnt from, what chooses, and what tests; validation and test are sorted rows of the evaluator's events."""

    evaluator: Evaluator
    train: Events
    validation: Ints
    test: Ints
    split: TemporalSplit | None = None


def make_task(protocol: str, events: Events, config: EvaluationConfig, seed: int) -> Task:
    """The events under one of PROTOCOLS.

    Raises UserError where the protocol leaves nothing to learn from or nothing to test on.
    """
    return (temporal if protocol == "temporal" else leave_one_out)(events, config, seed)


def temporal(events: Events, config: EvaluationConfig, seed: int) -> Task:
    """Cut by quantiles of time, as a night cuts."""
    split = TemporalSplit.by_quantile(events.time, config.train_share, config.validation_share)
    validation, test = held_out(events, split, config.max_events, seed)
    past = events.before(split.validation_from)
    if not len(past):
        raise UserError(
            f"no event is earlier than the {config.train_share:.0%} quantile of time, so there is nothing to learn from "
            f"({len(events):,} events, {len(np.unique(events.time))} different times); try --protocol leave-one-out"
        )
    return Task(make_evaluator(events, config), past, validation, test, split)


def leave_one_out(events: Events, config: EvaluationConfig, seed: int) -> Task:
    """Each user's last event tests, the last but one validates, the rest is learnt; so is all of a user with under three events.

    Kang and McAuley 2018, "Self-attentive sequential recommendation", but over the full catalogue.
    """
    last = (events.offsets[1:] - 1)[np.diff(events.offsets) >= LEAST_EVENTS]
    if not len(last):
        raise UserError(
            f"no user has {LEAST_EVENTS} events, the least that leave-one-out needs ({len(events):,} events, {events.n_users:,} users); "
            "try --protocol temporal"
        )
    is_training = np.ones(len(events), bool)
    is_training[last] = is_training[last - 1] = False
    train = events.where(is_training)
    slots = Slots.over(train.time, max(min(MAX_SLOTS, MAX_SLOT_CELLS // events.n_items), 20))
    return Task(
        Evaluator(events, slots, True, is_training), train, sample(last - 1, config.max_events, seed), sample(last, config.max_events, seed)
    )


def rank_baseline(name: str, task: Task) -> tuple[Ranking, dict[str, Any]]:
    """One of BASELINES on the test rows, and what was chosen for it on the validation rows."""
    evaluator, test = task.evaluator, task.test
    tuning = task.validation[:: max(len(task.validation) // MAX_TUNING_ROWS, 1)]
    if name == "pop":
        return (rank_static(task) if task.split is None else evaluator.rank_popularity(test, len(HALF_LIVES_H))), {}
    if name == "recent":
        by_half_life = {row: quality(evaluator.rank_popularity(tuning, row)) for row in range(len(HALF_LIVES_H))}
        best = max(by_half_life, key=by_half_life.__getitem__)
        return evaluator.rank_popularity(test, best), {"half_life_hours": HALF_LIVES_H[best]}
    knn = ItemKnn(task.train)
    by_decay = {decay: quality(evaluator.rank_item_knn(tuning, knn.with_decay(decay))) for decay in KNN_DECAYS}
    decay = max(by_decay, key=by_decay.__getitem__)
    return evaluator.rank_item_knn(test, knn.with_decay(decay)), {"decay": decay}


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


def quality(ranking: Ranking) -> float:
    """Mean NDCG@10; 0 for no events."""
    return float(ranking.ndcg_at_10.mean()) if len(ranking.rank) else 0.0


def segments(task: Task) -> dict[str, NDArray[np.bool_]]:
    """Masks of the test rows: warm/cold user x warm/cold item; warm means: had an event among the training events."""
    events, rows = task.evaluator.events, task.test
    user = (np.bincount(task.train.user, minlength=events.n_users) > 0)[events.user[rows]]
    item = (np.bincount(task.train.item, minlength=events.n_items) > 0)[events.item[rows]]
    return {
        "warm_user_warm_item": user & item,
        "warm_user_cold_item": user & ~item,
        "cold_user_warm_item": ~user & item,
        "cold_user_cold_item": ~user & ~item,
    }


def figures(task: Task, ranking: Ranking) -> dict[str, Any]:
    """The metrics of one model over all test events and by segment; None where a segment has no events."""
    parts = {name: (int(mask.sum()), ranking.of(mask)) for name, mask in segments(task).items()}
    return {
        **metrics(ranking),
        "coverage": ranking.coverage_at_10(task.evaluator.events.n_items),
        "segments": {name: {"n_events": n, **metrics(part)} for name, (n, part) in parts.items()},
    }


def metrics(ranking: Ranking) -> dict[str, float | None]:
    """The means over events."""
    values = {"ndcg_at_10": ranking.ndcg_at_10, "hr_at_10": ranking.hr_at_10, "mrr": ranking.mrr}
    return {name: float(value.mean()) if len(value) else None for name, value in values.items()}


def differences(task: Task, rankings: Mapping[str, Ranking], config: EvaluationConfig, seed: int) -> dict[str, dict[str, Any]]:
    """NDCG@10 of minutehand less that of each other model, with a 95 % interval over users; says which baseline is the best."""
    if "minutehand" not in rankings:
        return {}
    ours, user = rankings["minutehand"].ndcg_at_10, task.evaluator.events.user[task.test]
    best = best_baseline(rankings)
    found = {}
    for name, ranking in rankings.items():
        if name != "minutehand":
            less = ours - ranking.ndcg_at_10
            low, high = bootstrap_interval(less, user, config.n_bootstrap, seed)
            found[name] = {"ndcg_at_10": float(less.mean()), "low": low, "high": high, "is_best_baseline": name == best}
    return found


def best_baseline(rankings: Mapping[str, Ranking]) -> str | None:
    """The baseline with the highest NDCG@10 on the test events, if there is any."""
    there = [name for name in BASELINES if name in rankings]
    return max(there, key=lambda name: quality(rankings[name])) if there else None
