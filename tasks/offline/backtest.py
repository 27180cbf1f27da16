"""Backtest: compares models on files of events, within a time budget."""

from __future__ import annotations

import logging
import time as clock
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, ClassVar

import numpy as np
import torch

from models.config import EncoderConfig, EvaluationConfig, RecommenderConfig, TrainConfig
from models.device import pick_device
from models.errors import UserError
from models.evaluation.baselines import BASELINES, rank_baseline
from models.evaluation.comparison import differences, rank_recommender, segment_differences, summary
from models.evaluation.protocols import PROTOCOLS, Task, make_task
from models.events import sample
from models.metrics.ranking import Ranking
from models.metrics.summary import nest_by_model
from models.night import fit_past
from models.training.training import OnEpoch
from tasks.config import IngestConfig
from tasks.offline.budget import measure
from tasks.offline.files import Files, Loaded, load
from tasks.process import peak_memory, versions

log = logging.getLogger("minutehand.backtest")
LEARNERS = ("minutehand", "id_only")
MODELS = (*LEARNERS, *BASELINES)
SHORT = {"pop": "most_popular", "recent": "recent_popular", "itemknn": "item_knn", "idonly": "id_only"}
"""Old model names, which scripts may still use."""
LEAST_CHOICE = 500
MOST_ENCODING = 0.4
"""Largest share of the budget for encoding; texts that do not fit are left out."""
MOST_OVERHEAD = 0.5
"""Largest share of the remaining budget for work other than training; to stay below it, fewer events choose the blend."""


@dataclass(frozen=True)
class BacktestSettings:
    """How to read, learn and evaluate. In a backtest, train.minutes is the budget of each learner, including encoding and scoring."""

    parts: ClassVar[tuple[str, ...]] = ("ingest", "encoder", "model", "train", "evaluation")
    ingest: IngestConfig
    encoder: EncoderConfig
    model: RecommenderConfig
    train: TrainConfig
    evaluation: EvaluationConfig
    seed: int
    threads: int = 0

    def dump(self) -> dict[str, Any]:
        """All settings as JSON values, for the result."""
        parts = {name: getattr(self, name).model_dump(mode="json") for name in self.parts}
        return {**parts, "seed": self.seed, "threads": self.threads or torch.get_num_threads()}


OnModel = Callable[[str], None]


def check_choice(protocol: str, models: Sequence[str]) -> None:
    """Raises UserError for an unknown protocol or model, and for a model named twice."""
    if protocol not in PROTOCOLS:
        raise UserError(f"no protocol {protocol!r}; {_did_you_mean(protocol, PROTOCOLS)}give one of: {', '.join(PROTOCOLS)}")
    for name in models:
        if name not in (*MODELS, *SHORT):
            raise UserError(f"no model {name!r}; {_did_you_mean(name, MODELS)}give some of: {','.join(MODELS)}")
    if not models or len({SHORT.get(name, name) for name in models}) < len(models):
        raise UserError(f"--models {','.join(models)!r} names no model, or one twice; give some of: {','.join(MODELS)}")


def _did_you_mean(word: str, known: Sequence[str]) -> str:
    near = get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}? else " if near else ""


def backtest(
    files: Files,
    protocol: str,
    models: Sequence[str],
    recipe: BacktestSettings,
    on_model: OnModel | None = None,
    on_epoch: OnEpoch | None = None,
    *,
    progress: bool = False,
) -> dict[str, Any]:
    """Evaluate each model on the same held-out events: {protocol, data, models, differences, segment_differences, settings, versions}.

    The result is ready for JSON. A model requested by its old name (SHORT) keeps that name in the result. Raises UserError if a file
    cannot be read or the protocol leaves nothing to test on.
    """
    check_choice(protocol, models)
    asked = {SHORT.get(name, name): name for name in models}
    models = list(asked)
    if files.order is not None and protocol != "leave-one-out":
        raise UserError(
            f"--order {files.order!r} numbers each user's events, but {protocol!r} orders them by time; "
            "add --protocol leave-one-out, or leave --order out"
        )
    if files.without_time and protocol != "leave-one-out":
        raise UserError(f"--without-time keeps only the order of events, but {protocol!r} splits by time; add --protocol leave-one-out")
    with_text = files.items is not None and "minutehand" in models
    loaded = load(
        files,
        recipe.ingest,
        encoder=recipe.encoder if with_text else None,
        encode_within_s=MOST_ENCODING * recipe.train.minutes * 60,
        device=pick_device(recipe.train.device).type,
        by_position=protocol == "leave-one-out",
        threads=recipe.threads,
        progress=progress,
    )
    dataset = loaded.dataset
    task = make_task(protocol, dataset.events, recipe.evaluation, recipe.seed)
    rankings: dict[str, Ranking] = {}
    costs: dict[str, dict[str, Any]] = {}
    for name in models:
        if on_model is not None:
            on_model(name)
        with peak_memory() as peak_mib:
            started = clock.monotonic()
            if name in BASELINES:
                rankings[name], details = rank_baseline(name, task)
                encoding_s = 0.0
            else:
                text = dataset.text if name == "minutehand" else np.zeros_like(dataset.text)
                encoding_s = loaded.encoding_s if name == "minutehand" else 0.0
                deadline = started + recipe.train.minutes * 60 - encoding_s
                rankings[name], details = rank_learner(task, text, recipe, deadline, on_epoch)
            seconds = clock.monotonic() - started + encoding_s
            costs[name] = {"seconds": round(seconds, 2), "peak_mib": round(peak_mib()), **details}
    figures, asked_for = nest_by_model(summary(task, rankings)), (task, rankings, recipe.evaluation, recipe.seed)
    by_segment = segment_differences(*asked_for)
    return {
        "protocol": protocol,
        "data": describe(files, loaded, task),
        "models": {asked[name]: {**figures[name], **costs[name]} for name in models},
        "differences": {asked[name]: found for name, found in differences(*asked_for).items()},
        "segment_differences": {name: {**found, "best_baseline": asked[found["best_baseline"]]} for name, found in by_segment.items()},
        "settings": recipe.dump(),
        "versions": versions(),
    }


def rank_learner(
    task: Task, text: np.ndarray, recipe: BacktestSettings, deadline: float, on_epoch: OnEpoch | None = None
) -> tuple[Ranking, dict[str, Any]]:
    """Train the recommender on the training events and rank the test events, finishing at about the deadline."""
    cost = measure(task, recipe.model, pick_device(recipe.train.device), recipe.seed)
    left = deadline - clock.monotonic()
    n_most = len(cost.choice_s) - 1
    n_choice = min(max(int(np.searchsorted(cost.choice_s, left * MOST_OVERHEAD - cost.fixed_s)) - 1, LEAST_CHOICE), n_most)
    if n_choice < n_most:
        task = replace(task, validation=sample(task.validation, n_choice, recipe.seed))
    needed = cost.fixed_s + float(cost.choice_s[n_choice])
    left = max(left - needed, 1.0)
    log.info("%.0f s for training; %.0f s for choosing the blend by %d events and for scoring", left, needed, n_choice)
    begun = clock.monotonic()
    train = recipe.train.model_copy(update={"minutes": left / 60})
    found = fit_past(task.evaluator, task.split, task.validation, text, recipe.model, train, recipe.seed, on_epoch)
    fitted = clock.monotonic()
    ranking = task.rank(lambda evaluator, rows: rank_recommender(evaluator, found.weights, found.blend, rows))
    losses, validation = found.curve.points
    return ranking, {
        "epochs": round(found.curve.n_epochs, 2),
        "best_epoch": round(found.curve.n_best, 2),
        "n_choice_events": n_choice,
        "curve": {"loss": losses, "validation_ndcg_at_10": validation, "seconds": found.curve.seconds},
        "phases_s": {
            "planned_overhead": round(needed, 1),
            "training": round(sum(found.curve.seconds), 1),
            "overhead": round(fitted - begun - sum(found.curve.seconds) + clock.monotonic() - fitted, 1),
        },
    }


def describe(files: Files, loaded: Loaded, task: Task) -> dict[str, Any]:
    """The test data: files, sizes, and the outcome of the rows."""
    dataset = loaded.dataset
    return {
        "events": files.events,
        "items": files.items,
        "order": loaded.order,
        "without_time": files.without_time,
        **dataset.describe(),
        "n_items_with_text": int((np.abs(dataset.text).sum(1) > 0).sum()),
        "n_train": len(task.train),
        "n_validation": len(task.validation),
        "n_test": len(task.test),
        "hides_seen_items": task.evaluator.hide_seen,
        "ingest": [{**summary.row(), "reasons": summary.reasons, "notes": summary.notes} for summary in loaded.summaries],
    }
