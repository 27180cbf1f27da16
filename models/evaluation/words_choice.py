"""Chooses how much a request in words counts relative to the user's history, and its words relative to its meaning, on held-out events."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

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
"""The weight if there are no held-out events with words."""
LEXICAL_GRID = (0.0, 0.5, 1.0)
"""Larger weights of the lexical score find titles hardly better, and let single words outvote the meaning of a request."""
USUAL_LEXICAL = 0.5
CORRECTION_GRID = (0.0, 0.5, 1.0)


def choose_weights(
    evaluator: Evaluator, weights: Weights, blend: Blend, words: Words, rows: Ints, queries: Floats, texts: Sequence[str]
) -> Words:
    """The words with the weights that give the best NDCG@10, if each event had been asked for by a request.

    rows: sorted rows of events; queries, texts: vectors [rows, dim] and words of their requests.
    """
    if not len(rows):
        return with_weights(words, USUAL, USUAL_LEXICAL)
    items = weights.item_vectors()
    vectors, mean_score = target_vectors(weights.model, evaluator.events, rows), items @ weights.mean_vector
    cosine = words.cosine(queries)
    grid = [(weight, lexical) for weight in GRID for lexical in (LEXICAL_GRID if words.lexicon else (0.0,))]
    total = np.zeros(len(grid))
    for members, features in evaluator.blocks(rows):
        place = torch.from_numpy(np.searchsorted(rows, members))
        state = ItemState(features, mean_score, weights.is_cold)
        users = evaluator.users(members, blend)
        known = combine(blend, users, {"sequence": vectors[place] @ items.T}, state, evaluator.repeats(members))
        found = words.lexicon.scores([texts[row] for row in place]) if words.lexicon else torch.zeros(())
        for n, (weight, lexical) in enumerate(grid):
            scores = known + weight * (cosine[place] + lexical * found)
            total[n] += float(rank_events(scores, evaluator.events.item[members], evaluator.seen(members)).ndcg_at_10.sum())
    log.info(
        "NDCG@10 with requests, by weight and weight of words: %s",
        ", ".join(f"{weight:g}/{lexical:g} {value / len(rows):.4f}" for (weight, lexical), value in zip(grid, total, strict=True)),
    )
    return with_weights(words, *grid[int(total.argmax())])


def with_weights(words: Words, weight: float, lexical: float) -> Words:
    """The words with other weights: of a request, and of its words relative to its meaning."""
    return replace(words, weight=weight, lexicon=words.lexicon and replace(words.lexicon, weight=lexical))


def choose_correction(words: Words, text: Floats, queries: Floats, texts: Sequence[str], meant: Ints) -> Words:
    """The words with the share of the heads' correction that finds known items best: all, half, or none, which is the plain cosine.

    text: vectors of the items [items, dim]; queries, texts: requests for one item each, meant. The measure is the mean reciprocal rank.
    """
    target = torch.from_numpy(meant)[:, None]
    lexical = USUAL_LEXICAL * words.lexicon.scores(texts) if words.lexicon else torch.zeros(())
    tried = [
        replace(words, query=query, item=item, items=Words.of(query, item, text, 1.0).items)
        for share in CORRECTION_GRID
        for query, item in [(words.query.scaled(share), words.item.scaled(share))]
    ]
    found = [each.cosine(queries) + lexical for each in tried]
    reciprocal = [float((1 / (scores >= scores.gather(1, target)).sum(1)).mean()) for scores in found]
    log.info(
        "reciprocal rank of known items, by share of the correction: %s",
        ", ".join(f"{share:g} {value:.4f}" for share, value in zip(CORRECTION_GRID, reciprocal, strict=True)),
    )
    return tried[int(np.argmax(reciprocal))]
