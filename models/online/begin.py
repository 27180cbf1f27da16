"""Builds the online state at the end of a night. Increments continue from this state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from models.config import IncrementConfig
from models.device import CPU, matmul_dtype
from models.evaluation.evaluator import Evaluator, served_vectors
from models.events import Events, usual_span, windows_as_users
from models.night import Fit
from models.ranking.candidates import Candidates
from models.ranking.prior import Popularity, slot_log_prior
from models.sequence.weights import LIST_DELAY_S
from models.version.memory import WINDOW_EVENTS, Memory, Sample, sample_windows
from models.version.online_state import DELTA, OnlineState


def sample_memory(events: Events, config: IncrementConfig, max_events: int, seed: int) -> Sample:
    """Sample of windows for the replay memory and for the gate.

    Draw it before the final training, because that training must leave out the held-out events of the gate.
    """
    first, last = usual_span(events.time)
    half_life = max((last - first) * config.memory_half_life_share, 1.0)
    return sample_windows(events, half_life, config.memory_windows, min(WINDOW_EVENTS, max_events), np.random.default_rng(seed))


def make_online_state(
    evaluator: Evaluator,
    fit: Fit,
    sample: Sample,
    squares: Mapping[str, Tensor],
    popularity: Popularity,
    config: IncrementConfig,
    held_out_from: int,
) -> OnlineState:
    """The online state at the end of a night.

    squares: AdamW's mean of squared gradients by parameter; it scales the steps of increments. held_out_from: unix seconds. `fit`
    has learnt no events from then on. It predicts the newest of them from lists made LIST_DELAY_S before each event, and increments
    fit the blend on these predictions.
    """
    events, slots = evaluator.events, evaluator.slots
    replayed = windows_as_users(events, sample.windows)
    shares = np.linspace(0, 1, config.slots_for(events.n_items)[0])
    moments = np.unique(np.quantile(slots.of(replayed.time), shares, method="lower")).astype(np.int64)
    prior = slot_log_prior(events, slots, moments, fit.prior).to(matmul_dtype(CPU))
    memory = Memory(replayed, sample.is_held_out, prior, np.array([slots.begin(int(slot)) for slot in moments]))
    recent = _as_served(replace(evaluator, delay_s=LIST_DELAY_S), fit, config, held_out_from) if config.blend_rows else None
    return OnlineState(
        popularity, memory, recent, torch.zeros(()), {name: value for name, value in squares.items() if name != DELTA}, {}, 0
    )


def _as_served(evaluator: Evaluator, fit: Fit, config: IncrementConfig, held_out_from: int) -> Candidates | None:
    """Candidates of the newest held-out events, predicted by `fit` from lists of the evaluator's age.

    Of a user's simultaneous events, only the first is kept.
    """
    events = evaluator.events
    rows = np.sort(events.by_time[-4 * config.blend_rows :])
    rows = rows[events.time[rows] >= held_out_from]
    if not len(rows):
        return None
    _, known = evaluator.histories(rows)
    _, first = np.unique(np.stack([events.user[rows], known, events.time[rows]], 1), axis=0, return_index=True)
    rows = np.sort(rows[first][np.argsort(events.time[rows[first]], kind="stable")[-config.blend_rows :]])
    vectors = served_vectors(fit.weights.model, evaluator, rows)
    items = fit.weights.item_vectors()
    mean_score, is_cold = items @ fit.weights.mean_vector, fit.weights.is_cold
    return evaluator.candidates(rows, vectors, items, fit.blend, mean_score, is_cold, config.blend_candidates)
