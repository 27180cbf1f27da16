"""Chooses how varied lists are by default, on validation events."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.evaluation.evaluator import Evaluator, served_vectors
from models.events import Floats, Ints, sample
from models.metrics.accuracy import ndcg_of_rank
from models.metrics.diversity import intra_list_distance
from models.ranking.blend import Blend
from models.ranking.variety import N_POOL, Pick, pick_dispersed
from models.sequence.weights import LIST_DELAY_S, Weights
from models.text.towers import Words

log = logging.getLogger("minutehand.fitting")
DIALS = (0.01, 0.02, *(n / 20 for n in range(1, 20)))
MAX_EVENTS = 6000
"""As many as a night can afford, because the cost that decides is small."""
LEAST_EVENTS = 200
"""With fewer events, nothing is chosen: lists stay in the order of their scores."""
LEAST_NDCG = 0.99
"""Share of NDCG@10 that is kept at least."""
LEAST_DISTANCE = 1.2
"""Mean distance of the items of a list, at least this many times that without variety."""
N_TOP = 10
BLOCK = 500


@dataclass(frozen=True)
class Tops:
    """The lists of events at some dial: items of the first ten places, and NDCG@10 and mean cosine distance of the pairs of each list."""

    item: Ints
    ndcg: Floats
    distance: Floats


@dataclass(frozen=True)
class Pools:
    """The best items of the lists by which events are judged: log P and items [events, N_POOL], best first, and the events' own items."""

    log_p: Tensor
    item: Tensor
    target: Tensor
    user: Ints

    @staticmethod
    def of(evaluator: Evaluator, weights: Weights, blend: Blend, rows: Ints, words: Words | None = None) -> Pools:
        """The pools of some events, from lists that were made LIST_DELAY_S before."""
        served, items = evaluator.by_lists_of_before(LIST_DELAY_S), weights.item_vectors()
        vectors, parts = served_vectors(weights.model, served, rows), []
        for members, scores in served.score_blend(rows, vectors, items, blend, items @ weights.mean_vector, weights.is_cold, words):
            seen = served.seen(members)
            if seen is not None:
                scores[torch.from_numpy(seen[0]), torch.from_numpy(seen[1])] = -torch.inf
            best = scores.topk(min(N_POOL, scores.shape[1]), 1)
            parts.append(
                (best.values - scores.logsumexp(1, keepdim=True), best.indices, torch.from_numpy(evaluator.events.item[members]), members)
            )
        values, indices, targets, numbers = zip(*parts, strict=True)
        return Pools(torch.cat(values), torch.cat(indices), torch.cat(targets), evaluator.events.user[np.concatenate(numbers)])

    def tops(self, vectors: Tensor, variety: float, pick: Pick = pick_dispersed) -> Tops:
        """The first ten places at a dial. vectors: [items, dim], of unit length or zero."""
        parts = []
        for first in range(0, len(self.user), BLOCK):
            part = slice(first, first + BLOCK)
            log_p, item, near = self.log_p[part], self.item[part], vectors[self.item[part]]
            order = (pick(log_p, near, variety, N_TOP) if variety else torch.arange(item.shape[1]).expand_as(item))[:, :N_TOP]
            top, is_there = item.gather(1, order), log_p.gather(1, order).isfinite()
            is_hit = (top == self.target[part, None]) & is_there
            rank = torch.where(is_hit.any(1), is_hit.int().argmax(1) + 1, N_TOP + 1)
            parts.append((torch.where(is_there, top, -1), rank))
        items, ranks = (torch.cat(each).numpy() for each in zip(*parts, strict=True))
        return Tops(items, ndcg_of_rank(ranks, N_TOP), intra_list_distance(items, vectors.numpy()))

    def distance(self, tops: Tops) -> float:
        """Intra-list distance at 10: the mean over users of the mean over their lists."""
        _, group = np.unique(self.user, return_inverse=True)
        return float((np.bincount(group, tops.distance) / np.bincount(group)).mean())


def choose_variety(evaluator: Evaluator, weights: Weights, blend: Blend, validation: Ints, seed: int, words: Words | None = None) -> float:
    """The default dial, by `choose_dial` on a sample of the validation events; 0 with fewer than LEAST_EVENTS."""
    rows = sample(validation, MAX_EVENTS, seed)
    if len(rows) < LEAST_EVENTS:
        return 0.0
    return choose_dial(Pools.of(evaluator, weights, blend, rows, words), weights.item_vectors())


def choose_dial(pools: Pools, vectors: Tensor, pick: Pick = pick_dispersed) -> float:
    """The greatest dial up to which lists keep LEAST_NDCG of NDCG@10; 0 if they are not LEAST_DISTANCE times as varied at that dial."""
    plain = pools.tops(vectors, 0.0)
    ndcg, distance, chosen, found = float(plain.ndcg.mean()), pools.distance(plain), 0.0, plain
    for dial in DIALS if ndcg else ():
        varied = pools.tops(vectors, dial, pick)
        if varied.ndcg.mean() < LEAST_NDCG * ndcg:
            break
        chosen, found = dial, varied
    gained = pools.distance(found)
    is_worth_it = gained > distance and gained >= LEAST_DISTANCE * distance
    text = f"NDCG@10 {ndcg:.4f} to {found.ndcg.mean():.4f}, distance within lists {distance:.3f} to {gained:.3f}"
    log.info("variety %g: %s%s", chosen, text, "" if is_worth_it else "; too little, so lists stay in the order of their scores")
    return chosen if is_worth_it else 0.0
