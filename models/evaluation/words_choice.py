"""Chooses the weight of a request in words relative to the user's history, on held-out events."""

from __future__ import annotations

import logging

import numpy as np
import torch

from models.evaluation.evaluator import Evaluator
from models.events import Floats, Ints
from models.metrics.ranking import rank_events
from models.ranking.blend import Blend, ItemState, combine
from models.sequence.users import target_vectors
from models.sequence.weights import Weights
from models.text.towers import Words

log = logging.getLogger("minutehand.words")
GRID = (4.0, 8.0, 16.0, 24.0, 32.0)
USUAL = 16.0
"""The weight if there are no held-out events with labels."""


def choose_weight(evaluator: Evaluator, weights: Weights, blend: Blend, words: Words, rows: Ints, queries: Floats) -> float:
    """The weight with the best NDCG@10, if each event had been asked for by a request that names labels of its item.

    rows: sorted rows of events; queries: vectors of their requests [rows, dim].
    """
    if not len(rows):
        return USUAL
    items = weights.item_vectors()
    vectors, mean_score = target_vectors(weights.model, evaluator.events, rows), items @ weights.mean_vector
    cosine = words.cosine(queries)
    total = np.zeros(len(GRID))
    for members, features in evaluator.blocks(rows):
        place = torch.from_numpy(np.searchsorted(rows, members))
        state = ItemState(features, mean_score, weights.is_cold)
        users = evaluator.users(members, blend)
        known = combine(blend, users, {"sequence": vectors[place] @ items.T}, state, evaluator.repeats(members))
        for n, weight in enumerate(GRID):
            ranking = rank_events(known + weight * cosine[place], evaluator.events.item[members], evaluator.seen(members))
            total[n] += float(ranking.ndcg_at_10.sum())
    log.info(
        "NDCG@10 with requests: %s", ", ".join(f"{weight:.0f} {value / len(rows):.4f}" for weight, value in zip(GRID, total, strict=True))
    )
    return GRID[int(total.argmax())]
