"""Chooses the best blend on validation. A blend is penalised for each segment in which popularity ranks better."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.evaluation.evaluator import Evaluator, list_vectors, rows_with_outdated_list
from models.events import Floats, Ints, sample
from models.metrics.segments import SEGMENTS, Mask, segment_masks, warm_masks
from models.ranking.blend import Blend, popularity_only, starting_blend
from models.ranking.candidates import Candidates, candidate_scorer
from models.ranking.prior import HALF_LIVES_H
from models.sequence.weights import LIST_DELAY_S, Weights
from models.training.blend_fit import fit_blend

log = logging.getLogger("minutehand.fitting")
MAX_BLEND_ROWS = 6000
ENOUGH_ROWS = 2000
"""With fewer events in all views, the blends are cross-validated over users; with more, overfitting is negligible."""
N_FOLDS = 5
COLD_SHIFTS = (0.125, 0.25)
"""Candidate additions to the fitted gate of items without training events.

They are never negative, since the share of such items grows with time. They are small: gains from such items are twice as large
after the validation period, at the expense of warm items.
"""
SHORTFALL_COST = 0.5
"""Share of its quality that a blend loses if its NDCG@10 in a segment of SURE_EVENTS or more is 0."""
SURE_EVENTS = 250
"""A segment with fewer events has a proportionally smaller penalty."""


@dataclass(frozen=True)
class View:
    """Validation events and their candidates, for lists of one age.

    importance: [events] with mean about 1. segments: masks of the events. baselines: [2, events] NDCG@10 of two
    popularities: with the best half-life, and over all time.
    """

    candidates: Candidates
    user: Ints
    importance: Floats
    segments: Sequence[Mask]
    baselines: Floats

    @staticmethod
    def of(candidates: Candidates, user: Ints, importance: Floats, segments: Mapping[str, Mask], popularities: Sequence[Blend]) -> View:
        """The view with its baselines. popularities: one blend per half-life, then the blend of all-time popularity."""
        parts = [mask for name, mask in segments.items() if name != SEGMENTS[0] and mask.any()]
        ndcg = np.stack([candidates.ndcg_at_10(scores(candidates, each)) for each in popularities])
        best = int((ndcg[:-1] @ importance).argmax())
        return View(candidates, user, importance, parts, ndcg[[best, -1]])

    def at(self, keep: Mask) -> View:
        """The view of the events in a mask."""
        parts = [mask[keep] for mask in self.segments if mask[keep].any()]
        return View(self.candidates.at(torch.from_numpy(keep)), self.user[keep], self.importance[keep], parts, self.baselines[:, keep])

    def quality(self, blend: Blend) -> float:
        """NDCG@10 of the blend relative to the best baseline, reduced for each segment that is below its own better baseline."""
        ndcg = self.candidates.ndcg_at_10(scores(self.candidates, blend))
        short = sum(self._shortfall(ndcg, mask) for mask in self.segments)
        best_of_all = max(*(self.baselines @ self.importance), 1e-9)
        return float(ndcg @ self.importance / best_of_all * max(1 - SHORTFALL_COST * short, 0))

    def _shortfall(self, ndcg: Floats, mask: Mask) -> float:
        """How far a segment is below its better baseline, as a share of that baseline."""
        best = float(self.baselines[:, mask].mean(1).max())
        if best == 0:
            return 0.0
        return max(1 - float(ndcg[mask].mean()) / best, 0.0) * min(int(mask.sum()) / SURE_EVENTS, 1)


def scores(candidates: Candidates, blend: Blend) -> Tensor:
    """Log P of the candidates up to a constant, [events, candidates]."""
    return candidate_scorer(candidates)(*(torch.from_numpy(part) for part in (blend.mixture, blend.gate, blend.repeat)))


def choose_blend(evaluator: Evaluator, weights: Weights, validation: Ints, until: int | None, seed: int) -> Blend:
    """The best blend on validation: the fitted one, a variant of it (scaled parts or a higher cold gate), or one popularity alone.

    Each event is predicted from all earlier ones. With a split in time, it is also predicted from a list made LIST_DELAY_S before
    the event. Newer events weigh more, because they resemble future events most.
    """
    scale = evaluator.trend_scale(until)
    start = starting_blend(scale)
    if not len(validation):
        return start
    popularities = [popularity_only(row, scale) for row in range(len(HALF_LIVES_H) + 1)]
    views = _views(evaluator, weights, sample(validation, MAX_BLEND_ROWS, seed), until, start, popularities, seed)
    options = _options(views, start, popularities)
    quality, n_judged = np.zeros(len(options)), 0
    for learnt, judged in _folds(views):
        found = options if learnt is views else _options(learnt, start, popularities)
        quality += [sum(view.quality(option) for view in judged) for option in found.values()]
        n_judged += len(judged)
    best, relative = int(quality.argmax()), quality / max(n_judged, 1)
    log.info(
        "blend of model and popularity: %s, best of %d on validation; NDCG@10 relative to the best baseline %.2f, others %.2f to %.2f",
        *(list(options)[best], len(options), relative[best], relative.min(), np.delete(relative, best).max()),
    )
    return list(options.values())[best]


def _options(views: Sequence[View], start: Blend, popularities: Sequence[Blend]) -> dict[str, Blend]:
    """The fitted blend, its variants, and each popularity, by what the log calls them."""
    importance = np.concatenate([view.importance for view in views])
    fitted = fit_blend(Candidates.join([view.candidates for view in views]), start, importance=torch.from_numpy(importance))
    lives = [*(f"of {hours:g} hours" for hours in HALF_LIVES_H), "of all time"]
    return {
        "as fitted": fitted,
        "sequence model x 0.7": fitted.scaled(0.7, 1.0),
        "sequence model x 1.4": fitted.scaled(1.4, 1.0),
        "no popularity": fitted.scaled(1.0, 0.0),
        "no sequence model": fitted.scaled(0.0, 1.0),
        **{f"new items raised by {by:g}": fitted.shifted("cold", by) for by in COLD_SHIFTS},
        **{f"only the popularity {life}": popularity for life, popularity in zip(lives, popularities, strict=True)},
    }


def _folds(views: list[View]) -> Iterator[tuple[list[View], list[View]]]:
    """Pairs of views to fit on and views to judge by: all events in both, or folds of users if there are fewer than ENOUGH_ROWS events."""
    users = np.unique(np.concatenate([view.user for view in views]))
    if sum(len(view.user) for view in views) >= ENOUGH_ROWS or len(users) < 2:
        yield views, views
        return
    n_folds = min(N_FOLDS, len(users))
    for fold in range(n_folds):
        judged = users[fold::n_folds]
        yield _views_of_users(views, judged, invert=True), _views_of_users(views, judged)


def _views_of_users(views: Sequence[View], users: Ints, *, invert: bool = False) -> list[View]:
    """The views restricted to the given users, or to all others; views without events are dropped."""
    masks = [np.isin(view.user, users, invert=invert) for view in views]
    return [view.at(mask) for view, mask in zip(views, masks, strict=True) if mask.any()]


def _views(
    evaluator: Evaluator, weights: Weights, rows: Ints, until: int | None, start: Blend, popularities: Sequence[Blend], seed: int
) -> list[View]:
    """A view with complete histories. If a list made LIST_DELAY_S before its event is outdated, also a view with such lists.

    The second view has at most MAX_BLEND_ROWS // 2 rows.
    """
    items = weights.item_vectors()
    mean_score, events = items @ weights.mean_vector, evaluator.events
    past = evaluator.counted if until is None else events.before(until)
    warm_user, warm_item = warm_masks(past)

    def view(judge: Evaluator, rows: Ints, vectors: Tensor) -> View:
        candidates = judge.candidates(rows, vectors, items, start, mean_score, weights.is_cold)
        ordered = judge.by_slot(rows)
        user, item = events.user[ordered], events.item[ordered]
        return View.of(candidates, user, lateness(events.time[ordered]), segment_masks(warm_user[user], warm_item[item]), popularities)

    views = [view(evaluator, rows, list_vectors(weights.model, evaluator, rows))]
    if until is not None:
        served = evaluator.by_lists_of_before(LIST_DELAY_S)
        rows = sample(rows, MAX_BLEND_ROWS // 2, seed)
        if len(rows_with_outdated_list(served, rows)):
            views.append(view(served, rows, list_vectors(weights.model, served, rows)))
    return views


def lateness(time: Ints) -> Floats:
    """[events] weights with mean 1. They rise linearly with the rank in time, from 0.5 to 1.5; simultaneous events weigh the same."""
    _, place, count = np.unique(time, return_inverse=True, return_counts=True)
    middle = (count.cumsum() - count / 2) / max(len(time), 1)
    weight: Floats = (0.5 + middle[place]).astype(np.float32)
    return weight
