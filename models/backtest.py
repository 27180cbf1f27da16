"""Two protocols by which models are compared on one file of events, and what each model makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.baselines import ItemKnn
from models.blend import TREND_ROW
from models.config import EvaluationConfig, RecommenderConfig, TrainConfig
from models.dataset import Events, Floats, Ints, TemporalSplit
from models.errors import UserError
from models.evaluation import BLOCK_CELLS, Evaluator
from models.fitting import (
    MAX_BLEND_ROWS,
    MAX_JUDGE_ROWS,
    Fit,
    choose_blend,
    finish,
    fit_past,
    held_out,
    make_evaluator,
    new_model,
    sample,
    target_vectors,
    training_offsets,
)
from models.holdout import KNN_DECAYS, MAX_TUNING_ROWS
from models.metrics import Ranking, bootstrap_interval, rank_events
from models.prior import HALF_LIVES_H, Slots, fit_prior, slot_log_prior, walk
from models.recommender import Recommender
from models.training import OnEpoch, pick_device, train
from models.whitening import Whitening

PROTOCOLS = ("temporal", "leave-one-out")
BASELINES = ("pop", "recent", "itemknn")
LEARNERS = ("minutehand", "idonly")
LEAST_EVENTS = 3
MAX_SLOTS = 500
MAX_SLOT_CELLS = 50_000_000


@dataclass(frozen=True)
class LeaveOneOut(Evaluator):
    """Histories grow to the very event that is asked for; popularity is counted from the training events alone."""

    train: Events

    @cached_property
    def trend(self) -> Floats:
        """Trendiness of every event among the training events before its slot."""
        slot = self.slots.of(self.events.time)
        order = np.argsort(slot, kind="stable")
        wanted, begin = np.unique(slot[order], return_index=True)
        out = np.empty(len(self.events), np.float32)
        for (_, popularity), rows in zip(walk(self.train, self.slots, wanted), np.split(order, begin[1:]), strict=True):
            out[rows] = np.log(popularity.counts[TREND_ROW][self.events.item[rows]] + 0.1)
        return out

    def trend_scale(self, until: int) -> Floats:
        """Mean and deviation over all events but those that are held out; there is no one time before which all is known."""
        position, count = self.events.position, np.diff(self.events.offsets)[self.events.user]
        known = self.trend[(count < LEAST_EVENTS) | (position < count - 2)]
        return np.array([known.mean() if len(known) else 0.0, max(known.std(), 1e-3) if len(known) else 1.0], np.float32)

    def blocks(self, rows: Ints) -> Iterator[tuple[Ints, Tensor]]:
        """Rows of one slot at a time, with the popularity features of the training events before it."""
        if not len(rows):
            return
        slot = self.slots.of(self.events.time[rows])
        order = np.argsort(slot, kind="stable")
        wanted, begin = np.unique(slot[order], return_index=True)
        block = max(BLOCK_CELLS // self.events.n_items, 1)
        for (_, popularity), members in zip(walk(self.train, self.slots, wanted), np.split(rows[order], begin[1:]), strict=True):
            features = torch.from_numpy(popularity.features())
            for first in range(0, len(members), block):
                yield members[first : first + block], features


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
    is_known = np.ones(len(events), bool)
    is_known[last] = is_known[last - 1] = False
    known = events.where(is_known)
    slots = Slots.over(known.time, max(min(MAX_SLOTS, MAX_SLOT_CELLS // events.n_items), 20))
    evaluator = LeaveOneOut(events, slots, True, known)
    return Task(evaluator, known, sample(last - 1, config.max_events, seed), sample(last, config.max_events, seed))


def fit(
    task: Task, text: Floats, model_config: RecommenderConfig, train_config: TrainConfig, seed: int, on_epoch: OnEpoch | None = None
) -> Fit:
    """Train on the training events, choose epochs and blend on the validation events; no test event is looked at."""
    if task.split is not None:
        return fit_past(task.evaluator, task.split, task.validation, text, model_config, train_config, seed, on_epoch)
    evaluator, events, slots = task.evaluator, task.evaluator.events, task.evaluator.slots
    device = pick_device(train_config.device)
    n_trained = np.bincount(task.train.item, minlength=events.n_items)
    whitening = Whitening.fit(text, model_config.dim, n_trained > 0)
    model = new_model(model_config, whitening.apply(text), events.n_kinds, device, seed)
    prior = fit_prior(task.train, slots)
    offsets = training_offsets(task.train, slots, prior, device)
    judge = make_judge(task, sample(task.validation, MAX_JUDGE_ROWS, seed), prior)
    curve = train(model, task.train, offsets, train_config, seed=seed, judge=judge, on_epoch=on_epoch)
    weights = finish(model, events, sample(task.validation, MAX_BLEND_ROWS, seed), n_trained)
    return Fit(weights, choose_blend(evaluator, weights, task.validation, 0, seed), whitening, curve, prior)


def make_judge(task: Task, rows: Ints, prior: Floats) -> Callable[[Recommender], float]:
    """NDCG@10 of a model on some validation rows, under the prior of the training events."""
    evaluator, events = task.evaluator, task.evaluator.events
    wanted, place = np.unique(evaluator.slots.of(events.time[rows]), return_inverse=True)
    table = slot_log_prior(task.train, evaluator.slots, wanted, prior)

    def judge(model: Recommender) -> float:
        vectors, items = target_vectors(model, events, rows), model.items().detach().float().cpu()
        parts = []
        for first in range(0, len(rows), 500):
            part = slice(first, first + 500)
            scores = vectors[part] @ items.T + table[torch.from_numpy(place[part])]
            parts.append(rank_events(scores, events.item[rows[part]], evaluator.seen(rows[part])))
        return quality(Ranking.join(parts))

    return judge


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
