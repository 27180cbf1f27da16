"""Overhead of a learner: the time for work other than training, measured on a few hundred events before a backtest begins."""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from models.config import RecommenderConfig
from models.evaluation.blend_choice import MAX_BLEND_ROWS
from models.evaluation.evaluator import rows_with_outdated_list
from models.evaluation.protocols import Task
from models.events import Ints, sample
from models.night import new_model
from models.ranking.blend import starting_blend
from models.ranking.prior import N_PARAMETERS, N_SHARES, slot_log_prior
from models.sequence.users import target_vectors
from models.training.blend_fit import fit_blend
from models.training.prior_fit import fit_prior

PROBE_ROWS = 256
PROBE_ITERATIONS, USUAL_ITERATIONS = 4, 50
PROBE_CELLS, MAX_PRIOR_CELLS = 1_000_000, 20_000_000
MARGIN = 1.1
"""Factor for safety: a shared machine may be slower later than during the measurement."""


@dataclass(frozen=True)
class Cost:
    """Overhead in seconds: fixed_s in any case, plus choice_s[n] for n events that choose epochs and blend."""

    fixed_s: float
    choice_s: NDArray[np.float64]


@dataclass(frozen=True)
class Rates:
    """Seconds per time slot, and per event for ranking (row), for its user vector, and for its part in fitting the blend."""

    slot: float
    row: float
    vector: float
    fit: float


def measure(task: Task, model: RecommenderConfig, device: torch.device, seed: int) -> Cost:
    """The overhead of prior, blend and scoring, with a margin."""
    events, slots = task.evaluator.events, task.evaluator.slots
    rates = _rates(task, model, device, seed)
    choice = np.random.default_rng(seed).permutation(task.validation)[:MAX_BLEND_ROWS]
    is_new_slot = np.zeros(len(choice) + 1)
    is_new_slot[1 + np.unique(slots.of(events.time[choice]), return_index=True)[1]] = 1
    choice_s = np.arange(len(choice) + 1) * rates.fit + is_new_slot.cumsum() * rates.slot
    again = np.empty(0, np.int64) if task.served is None else rows_with_outdated_list(task.served, task.test)
    twice = 0.5 if len(again) else 0.0
    test_s = sum(_n_slots(task, rows) * rates.slot + len(rows) * (rates.row + rates.vector) for rows in (task.test, again))
    return Cost(fixed_s=MARGIN * (_prior_s(task, seed) + test_s), choice_s=MARGIN * (1 + twice) * choice_s)


def _rates(task: Task, config: RecommenderConfig, device: torch.device, seed: int) -> Rates:
    """Measure the rates on two samples of events, from many slots and from few, which separates time per slot from time per event.

    The fit of the blend is measured over a few iterations, with each target among its candidates. The choice among blends is counted
    as additional iterations.
    """
    evaluator, events = task.evaluator, task.evaluator.events
    start = starting_blend(evaluator.trend_scale(int(events.time.max())))
    model = new_model(config, np.zeros((events.n_items, config.dim), np.float32), events.n_kinds, device, seed)
    items, nothing = torch.zeros(events.n_items, config.dim), torch.zeros(events.n_items)
    pool = np.sort(np.concatenate([task.validation, task.test]))
    by_time = pool[np.argsort(events.time[pool], kind="stable")]
    spread, dense = sample(pool, PROBE_ROWS, seed), np.sort(by_time[len(by_time) // 2 :][:PROBE_ROWS])
    vectors = torch.zeros(len(dense), config.dim)

    spread_s = _timed(lambda: evaluator.rank_blend(spread, torch.zeros(len(spread), config.dim), items, start, nothing, nothing))
    dense_s = _timed(lambda: evaluator.rank_blend(dense, vectors, items, start, nothing, nothing))
    slot_s = max(spread_s - dense_s, 0.0) / max(_n_slots(task, spread) - _n_slots(task, dense), 1)
    row_s = max(dense_s - slot_s * _n_slots(task, dense), 0.0) / len(dense)
    vector_s = _timed(lambda: target_vectors(model, events, dense)) / len(dense)
    pick_s = _timed(lambda: evaluator.candidates(dense, vectors, items, start, nothing, nothing)) / len(dense)
    picked = evaluator.candidates(dense, vectors, items, start, nothing, nothing)
    hits = replace(picked, is_target=torch.zeros_like(picked.is_target).index_fill_(1, torch.tensor([0]), True))
    iteration_s = _timed(lambda: fit_blend(hits, start, max_iterations=PROBE_ITERATIONS)) / len(dense) / PROBE_ITERATIONS
    return Rates(slot=slot_s, row=row_s, vector=vector_s, fit=2 * (vector_s + pick_s) + USUAL_ITERATIONS * iteration_s)


def _prior_s(task: Task, seed: int) -> float:
    """Seconds to fit the prior and to compute its logarithm in the training slots: a fixed part, and a part per slot.

    Measurements with few and with more slots separate the two parts.
    """
    slots = task.evaluator.slots
    train_slots = np.unique(slots.of(task.train.time))
    few, more = min(PROBE_ROWS // 8, len(train_slots)), min(PROBE_ROWS, len(train_slots))
    even_mixture = np.zeros(N_PARAMETERS, np.float32)
    few_s, more_s = (
        _timed(partial(slot_log_prior, task.train, slots, sample(train_slots, n_slots, seed), even_mixture)) for n_slots in (few, more)
    )
    offsets_s = more_s + (len(train_slots) - more) * max(more_s - few_s, 0.0) / max(more - few, 1)
    n_cells = min(len(train_slots) * task.evaluator.events.n_items * (N_SHARES + 2), MAX_PRIOR_CELLS)
    return _timed(lambda: fit_prior(task.train, slots, PROBE_CELLS)) * max(n_cells / PROBE_CELLS, 1) + offsets_s


def _n_slots(task: Task, rows: Ints) -> int:
    return len(np.unique(task.evaluator.slots.of(task.evaluator.events.time[rows])))


def _timed(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(2):  # the first call includes one-time work
        begun = clock.monotonic()
        work()
        seconds.append(clock.monotonic() - begun)
    return min(seconds)
