"""How often new items were chosen on held-out events, against what their scores said."""

from __future__ import annotations

import logging

import numpy as np
import torch

from models.evaluation.evaluator import Evaluator, served_vectors
from models.events import Events, Ints, sample
from models.ranking.blend import Blend
from models.ranking.exploration import NEW_DAYS, NEW_VOTES, Doubles, NewItemLayer
from models.sequence.weights import LIST_DELAY_S, Weights
from models.text.towers import Words
from models.training.new_items_fit import fit_ratios

log = logging.getLogger("minutehand.fitting")
MAX_EVENTS = 4000
DAY_S = 86_400


def fit_new_items(
    evaluator: Evaluator, weights: Weights, blend: Blend, held_out: Ints, n_votes: float, seed: int, words: Words | None = None
) -> NewItemLayer:
    """The layer by which new items are drawn. held_out: rows of events that the weights have not learnt. n_votes: events of all items."""
    rows = sample(held_out, MAX_EVENTS, seed)
    first, until = new_between(evaluator.events)
    time = evaluator.events.time[rows]
    items = np.flatnonzero((first < time.max()) & (until >= time.min())) if len(rows) else np.empty(0, np.int64)
    chosen, expected = _counts(evaluator, weights, blend, rows, items, (first[items], until[items]), words)
    text = weights.model.items.text.detach().cpu().numpy()[items].astype(np.float64)
    mean, factor, spread = fit_ratios(chosen, expected, text)
    counts = f"{int(chosen.sum())} of {len(rows)} held-out events, expected {expected.sum():.1f}"
    log.info("new items: %d were chosen in %s; spread of their own parts %g", len(items), counts, spread)
    return NewItemLayer(mean, factor, spread, n_votes)


def new_between(events: Events) -> tuple[Ints, Ints]:
    """When each item was new: after its first event, until it had NEW_VOTES events or was NEW_DAYS old; the last second for others."""
    order = np.lexsort((events.time, events.item))
    item, time = events.item[order], events.time[order]
    start, stop = (np.searchsorted(item, np.arange(events.n_items), side=side) for side in ("left", "right"))
    never = np.iinfo(np.int64).max
    first = np.full(events.n_items, never)
    first[stop > start] = time[start[stop > start]]
    last = start + int(NEW_VOTES) - 1
    many = np.full(events.n_items, never)
    many[last < stop] = time[last[last < stop]]
    return first, np.minimum(many, np.where(first < never, first, never - round(NEW_DAYS * DAY_S)) + round(NEW_DAYS * DAY_S))


def _counts(
    evaluator: Evaluator, weights: Weights, blend: Blend, rows: Ints, items: Ints, new: tuple[Ints, Ints], words: Words | None
) -> tuple[Doubles, Doubles]:
    """How often each of some items was chosen while it was new, and how often its scores said."""
    chosen, expected = np.zeros(len(items)), np.zeros(len(items))
    if not len(items):
        return chosen, expected
    served, vectors = evaluator.by_lists_of_before(LIST_DELAY_S), weights.item_vectors()
    of_users, (first, until) = served_vectors(weights.model, served, rows), new
    for members, scores in served.score_blend(rows, of_users, vectors, blend, vectors @ weights.mean_vector, weights.is_cold, words):
        seen = served.seen(members)
        if seen is not None:
            scores[torch.from_numpy(seen[0]), torch.from_numpy(seen[1])] = -torch.inf
        known = (scores[:, torch.from_numpy(items)] - scores.logsumexp(1, keepdim=True)).exp().numpy()
        time = evaluator.events.time[members, None]
        is_new = (first < time) & (time <= until)
        expected += np.where(is_new, known, 0.0).sum(0)
        chosen += (is_new & (evaluator.events.item[members, None] == items)).sum(0)
    return chosen, expected
