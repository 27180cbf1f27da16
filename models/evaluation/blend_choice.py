"""Which blend goes live: of a few, the best on validation that leaves no segment worse off than popularity alone would."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.evaluation.evaluator import Evaluator, rows_with_outdated_list, served_vectors
from models.events import Floats, Ints, sample
from models.metrics.segments import SEGMENTS, Mask, segment_masks, warm_masks
from models.ranking.blend import Blend, popularity_only, starting_blend
from models.ranking.candidates import Candidates, candidate_scorer
from models.ranking.prior import HALF_LIVES_H
from models.sequence.users import target_vectors
from models.sequence.weights import LIST_DELAY_S, Weights
from models.training.blend_fit import fit_blend

log = logging.getLogger("minutehand.fitting")
MAX_BLEND_ROWS = 6000
ENOUGH_ROWS = 2000
"""With fewer events a blend is judged by events that its fit has not seen; with more, what it learns by heart is negligible."""
N_FOLDS = 5
COLD_SHIFTS = (0.125, 0.25)
"""How much more an item that the sequence model never saw may count than the fit says. Never less, since their share grows with time;
and not much more, since what they gain in a validation period they gain twice as much of later, and warm items pay for it.
"""
SHORTFALL_COST = 0.5
"""Share of its quality that a blend loses where a whole segment is missed."""
SURE_EVENTS = 250
"""A segment of fewer events counts in proportion."""


@dataclass(frozen=True)
class View:
    """Validation events among their candidates, as lists of one age have to predict them.

    importance: [events] with mean about 1. segments: masks of the events. baselines: [2, events] NDCG@10 of the best half-life and of
    all time.
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

    def at(self, keep: Mask) -> View:
        """The events that a mask keeps."""
        parts = [mask[keep] for mask in self.segments if mask[keep].any()]
        return View(self.candidates.at(torch.from_numpy(keep)), self.user[keep], self.importance[keep], parts, self.baselines[:, keep])

    def quality(self, blend: Blend) -> float:
        """NDCG@10 of the blend as a share of the best baseline's, made less by every segment that is below its own."""
        ndcg = self.candidates.ndcg_at_10(scores(self.candidates, blend))
        short = sum(self._shortfall(ndcg, mask) for mask in self.segments)
        best_of_all = max(*(self.baselines @ self.importance), 1e-9)
        return float(ndcg @ self.importance / best_of_all * max(1 - SHORTFALL_COST * short, 0))

    def _shortfall(self, ndcg: Floats, mask: Mask) -> float:
        """What a segment lacks, as a share of its better baseline."""
        best = float(self.baselines[:, mask].mean(1).max())
        if best == 0:
            return 0.0
        return max(1 - float(ndcg[mask].mean()) / best, 0.0) * min(int(mask.sum()) / SURE_EVENTS, 1)


def scores(candidates: Candidates, blend: Blend) -> Tensor:
    """Log P of the candidates up to a constant, [events, candidates]."""
    return candidate_scorer(candidates)(*(torch.from_numpy(part) for part in (blend.mixture, blend.gate, blend.repeat)))


def choose_blend(evaluator: Evaluator, weights: Weights, validation: Ints, until: int | None, seed: int) -> Blend:
    """The best on validation of the fitted blend, of it with more or less of a part or more of cold items, and of each popularity alone.

    Events count as they come, each predicted from all before it; and where time splits them, once more as a list that was made
    LIST_DELAY_S before has to predict them. The newest events count most: those to come are like them.
    """
    scale = evaluator.trend_scale(until)
    start = starting_blend(scale)
    if not len(validation):
        return start
    popularities = [popularity_only(row, scale) for row in range(len(HALF_LIVES_H) + 1)]
    views = _views(evaluator, weights, sample(validation, MAX_BLEND_ROWS, seed), until, start, popularities, seed)
    options = _options(views, start, popularities)
    quality = np.zeros(len(options))
    for learnt, judged in _folds(views):
        found = options if learnt is views else _options(learnt, start, popularities)
        quality += [sum(view.quality(option) for view in judged) for option in found]
    log.info("quality of the blends on validation: %s", ", ".join(f"{value:.3f}" for value in quality))
    return options[int(quality.argmax())]


def _options(views: Sequence[View], start: Blend, popularities: Sequence[Blend]) -> list[Blend]:
    """The fitted blend, those near it, and each popularity."""
    importance = np.concatenate([view.importance for view in views])
    fitted = fit_blend(Candidates.join([view.candidates for view in views]), start, importance=torch.from_numpy(importance))
    near = [fitted.scaled(0.7, 1.0), fitted.scaled(1.4, 1.0), fitted.scaled(1.0, 0.0), fitted.scaled(0.0, 1.0)]
    return [fitted, *near, *(fitted.shifted("cold", by) for by in COLD_SHIFTS), *popularities]


def _folds(views: list[View]) -> Iterator[tuple[list[View], list[View]]]:
    """What to learn from and what to judge by: all by all, or where events are few each part of the users by the others."""
    users = np.unique(np.concatenate([view.user for view in views]))
    if sum(len(view.user) for view in views) >= ENOUGH_ROWS or len(users) < 2:
        yield views, views
        return
    n_folds = min(N_FOLDS, len(users))
    for fold in range(n_folds):
        judged = users[fold::n_folds]
        yield _views_of_users(views, judged, invert=True), _views_of_users(views, judged)


def _views_of_users(views: Sequence[View], users: Ints, *, invert: bool = False) -> list[View]:
    """The events of some users, or of all others; without the views that then hold none."""
    masks = [np.isin(view.user, users, invert=invert) for view in views]
    return [view.at(mask) for view, mask in zip(views, masks, strict=True) if mask.any()]


def _views(
    evaluator: Evaluator, weights: Weights, rows: Ints, until: int | None, start: Blend, popularities: Sequence[Blend], seed: int
) -> list[View]:
    """The rows as they come; and up to half as many as users get them, by lists of LIST_DELAY_S before, if those know less of any."""
    items = weights.item_vectors()
    mean_score, events = items @ weights.mean_vector, evaluator.events
    past = evaluator.counted if until is None else events.before(until)
    warm_user, warm_item = warm_masks(past)

    def view(judge: Evaluator, rows: Ints, vectors: Tensor) -> View:
        candidates = judge.candidates(rows, vectors, items, start, mean_score, weights.is_cold)
        ordered = judge.by_slot(rows)
        user, item = events.user[ordered], events.item[ordered]
        return View.of(candidates, user, lateness(events.time[ordered]), segment_masks(warm_user[user], warm_item[item]), popularities)

    views = [view(evaluator, rows, target_vectors(weights.model, events, rows))]
    if until is not None:
        served = evaluator.by_lists_of_before(LIST_DELAY_S)
        rows = sample(rows, MAX_BLEND_ROWS // 2, seed)
        if len(rows_with_outdated_list(served, rows)):
            views.append(view(served, rows, served_vectors(weights.model, served, rows)))
    return views


def lateness(time: Ints) -> Floats:
    """[events] weights of mean 1 that rise evenly with the rank in time, from 0.5 to 1.5; events of one time weigh the same."""
    _, place, count = np.unique(time, return_inverse=True, return_counts=True)
    middle = (count.cumsum() - count / 2) / max(len(time), 1)
    weight: Floats = (0.5 + middle[place]).astype(np.float32)
    return weight
