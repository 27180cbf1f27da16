"""Which blend goes live: of a few, the best on validation that leaves no segment worse off than popularity alone would."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from models.evaluation.evaluator import Evaluator, knows_less, served_vectors
from models.events import Floats, Ints, sample
from models.metrics.intervals import standard_error
from models.metrics.segments import SEGMENTS, Mask, known, segment_masks
from models.ranking.blend import Blend, popularity_only, starting_blend
from models.ranking.candidates import Candidates, weigher
from models.ranking.prior import HALF_LIVES_H
from models.sequence.users import target_vectors
from models.sequence.weights import LIST_DELAY_S, Weights
from models.training.blend_fit import fit_blend

log = logging.getLogger("minutehand.fitting")
MAX_BLEND_ROWS = 6000
COLD_SHIFTS = (-0.5, 0.5, 1.0)
"""How much less or more an item that the sequence model never saw may count than the fit says."""
SHORTFALL_COST = 3.0
"""What NDCG@10 that a segment has less than with popularity counts against a blend, beside the loss itself."""


@dataclass(frozen=True)
class View:
    """Validation events among their candidates, as lists of one age have to predict them.

    importance: [events] with mean 1. segments: masks of the events. baselines: [2, events] NDCG@10 of the best half-life and of all time.
    """

    candidates: Candidates
    user: Ints
    importance: Floats
    segments: Sequence[Mask]
    baselines: Floats

    @staticmethod
    def of(candidates: Candidates, user: Ints, importance: Floats, segments: Mapping[str, Mask], popularities: Sequence[Blend]) -> View:
        """The view with its baselines. popularities: one for each half-life, and all time."""
        parts = [mask for name, mask in segments.items() if name != SEGMENTS[0] and mask.any()]
        ndcg = np.stack([candidates.ndcg_at_10(scores(candidates, each)) for each in popularities])
        best = int((ndcg[:-1] @ importance).argmax())
        return View(candidates, user, importance, parts, ndcg[[best, -1]])

    def quality(self, blend: Blend) -> float:
        """NDCG@10 of the blend, less what its shortfalls cost, as a share of the best baseline's.

        A segment falls short by as much as it is below the better of the baselines, beyond one standard error.
        """
        ndcg = self.candidates.ndcg_at_10(scores(self.candidates, blend))
        short = 0.0
        for mask in self.segments:
            best = self.baselines[self.baselines[:, mask].mean(1).argmax(), mask]
            less = best - ndcg[mask]
            short += max(float(less.mean()) - standard_error(less, self.user[mask]), 0.0) * float(mask.mean())
        best_of_all = max(*(self.baselines @ self.importance), 1e-9) / len(ndcg)
        return float((ndcg @ self.importance / len(ndcg) - SHORTFALL_COST * short) / best_of_all)


def scores(candidates: Candidates, blend: Blend) -> Tensor:
    """Log P of the candidates up to a constant, [events, candidates]."""
    return weigher(candidates)(*(torch.from_numpy(part) for part in (blend.mixture, blend.gate, blend.repeat)))


def choose_blend(evaluator: Evaluator, weights: Weights, validation: Ints, until: int | None, seed: int) -> Blend:
    """The best on validation of: the fitted blend, it with more or less of either part or of cold items, and each popularity alone.

    Events count as they come, each predicted from all before it; and where time splits them, once more as a list that was made
    LIST_DELAY_S before has to predict them, if it knows less. The newest events count most: those to come are like them.
    """
    scale = evaluator.trend_scale(until)
    start = starting_blend(scale)
    if not len(validation):
        return start
    popularities = [popularity_only(row, scale) for row in range(len(HALF_LIVES_H) + 1)]
    views = _views(evaluator, weights, sample(validation, MAX_BLEND_ROWS, seed), until, start, popularities, seed)
    importance = np.concatenate([view.importance for view in views])
    fitted = fit_blend(Candidates.join([view.candidates for view in views]), start, importance=torch.from_numpy(importance))
    options = [fitted, fitted.scaled(0.7, 1.0), fitted.scaled(1.4, 1.0), fitted.scaled(1.0, 0.0), fitted.scaled(0.0, 1.0)]
    options += [fitted.shifted("cold", by) for by in COLD_SHIFTS] + popularities
    quality = np.array([[view.quality(option) for option in options] for view in views])
    for delay_s, row in zip((evaluator.delay_s, LIST_DELAY_S), quality, strict=False):
        log.info("quality of the blends on validation, lists %d s old: %s", delay_s, ", ".join(f"{value:.3f}" for value in row))
    return options[int(quality.sum(0).argmax())]


def _views(
    evaluator: Evaluator, weights: Weights, rows: Ints, until: int | None, start: Blend, popularities: Sequence[Blend], seed: int
) -> list[View]:
    """The rows as they come; and those again that a list of LIST_DELAY_S before knows less about."""
    items = weights.item_vectors()
    mean_score, events = items @ weights.mean_vector, evaluator.events
    past = evaluator.counted if until is None else events.before(until)
    warm_user, warm_item = known(past)

    def view(judge: Evaluator, rows: Ints, vectors: Tensor) -> View:
        candidates = judge.candidates(rows, vectors, items, start, mean_score, weights.is_cold)
        ordered = judge.by_slot(rows)
        user, item = events.user[ordered], events.item[ordered]
        return View.of(candidates, user, lateness(events.time[ordered]), segment_masks(warm_user[user], warm_item[item]), popularities)

    views = [view(evaluator, rows, target_vectors(weights.model, events, rows))]
    if until is not None:
        served = replace(evaluator, delay_s=LIST_DELAY_S)
        rows = sample(knows_less(served, rows), MAX_BLEND_ROWS // 2, seed)
        if len(rows):
            views.append(view(served, rows, served_vectors(weights.model, served, rows)))
    return views


def lateness(time: Ints) -> Floats:
    """[events] weights of mean 1 that rise evenly with the rank in time, from 0.5 to 1.5; events of one time weigh the same."""
    _, place, count = np.unique(time, return_inverse=True, return_counts=True)
    middle = (count.cumsum() - count / 2) / max(len(time), 1)
    weight: Floats = (0.5 + middle[place]).astype(np.float32)
    return weight
