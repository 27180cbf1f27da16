"""A tiny model after a night, ready for increments."""

from __future__ import annotations

import numpy as np

from models.config import EvaluationConfig, IncrementConfig, RecommenderConfig, TrainConfig
from models.evaluation.evaluator import Evaluator, make_evaluator
from models.evaluation.protocols import held_out
from models.events import Catalog, Events, Floats, TemporalSplit
from models.night import Fit, fit_past, refit
from models.online.begin import make_online_state, sample_memory
from models.ranking.prior import Popularity
from models.version.checkpoint import Checkpoint
from tests.models.planted import QUICK, TINY

INCREMENT = IncrementConfig(memory_windows=60, blend_rows=40, blend_candidates=5, prior_slots=4, gate_tolerance=0.9)
KINDS = ("other", "view")


def after_a_night(
    events: Events,
    text: Floats | None = None,
    *,
    model: RecommenderConfig = TINY,
    train: TrainConfig = QUICK,
    increment: IncrementConfig = INCREMENT,
    seed: int = 0,
    seen_items: str = "show",
) -> Checkpoint:
    """A checkpoint after a full night on the given events."""
    evaluator = make_evaluator(events, EvaluationConfig(seen_items=seen_items))  # type: ignore[arg-type]
    split = TemporalSplit.by_quantile(events.time, 0.8, 0.1)
    vectors = np.zeros((events.n_items, 8), np.float32) if text is None else text
    validation, _ = held_out(events, split, 1000, seed)
    fit = fit_past(evaluator, split, validation, vectors, model, train, seed)
    return completed(evaluator, fit, split.validation_from, vectors, model=model, train=train, increment=increment, seed=seed)


def completed(
    evaluator: Evaluator,
    fit: Fit,
    held_out_from: int,
    vectors: Floats,
    *,
    model: RecommenderConfig = TINY,
    train: TrainConfig = QUICK,
    increment: IncrementConfig = INCREMENT,
    seed: int = 0,
) -> Checkpoint:
    """The checkpoint of a night from its fit of the past: refitted on all events, with online state."""
    events = evaluator.events
    sample = sample_memory(events, increment, model.max_events, seed)
    live, curve = refit(evaluator, fit, vectors, model, train, seed, sample.held_out_rows)
    as_of = int(events.time.max()) + 1
    popularity = Popularity(events.n_items)
    order = events.by_time
    popularity.advance(as_of, events.item[order], events.time[order], events.weight[order])
    return Checkpoint(
        catalog=Catalog(tuple(f"item-{n}" for n in range(events.n_items)), np.ones(events.n_items, bool)),
        kinds=KINDS,
        encoder="encoder-1",
        hide_seen=evaluator.hide_seen,
        as_of=as_of,
        popularity=popularity.features(),
        blend=fit.blend,
        prior=fit.prior,
        whitening=fit.whitening,
        live=live,
        past=None,
        online=make_online_state(evaluator, fit, sample, curve.squares, popularity, increment, held_out_from),
    )
