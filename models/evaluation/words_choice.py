"""Chooses how much a request in words counts relative to the user's history, and its words relative to its meaning, on held-out events."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from models.evaluation.evaluator import Evaluator
from models.events import Floats, Ints
from models.metrics.ranking import rank_events
from models.ranking.blend import Blend, ItemState, combine
from models.sequence.users import target_vectors
from models.sequence.weights import Weights
from models.text.towers import Words

log = logging.getLogger("minutehand.words")
GRID = (16.0, 8.0, 24.0, 4.0, 32.0)
"""Weights of a request. The first is taken if others are no better, or if there are no held-out events with words."""
LEXICAL_GRID = (0.5, 0.25, 1.0, 0.0)
"""Weights of the words of a request relative to its meaning, the usual one first. Larger ones let single words outvote the meaning."""
USUAL, USUAL_LEXICAL = GRID[0], LEXICAL_GRID[0]
CORRECTION_GRID = (0.0, 0.5, 1.0)
BLOCK_REQUESTS = 100


def choose_weights(
    evaluator: Evaluator, weights: Weights, blend: Blend, words: Words, rows: Ints, queries: Floats, texts: Sequence[str]
) -> Words:
    """The words with the weights that give the best NDCG@10, if each event had been asked for by a request.

    rows: sorted rows of events; queries, texts: vectors [rows, dim] and words of their requests.
    """
    if not len(rows):
        return with_weights(words, USUAL, USUAL_LEXICAL)
    grid = [(weight, lexical) for weight in GRID for lexical in (LEXICAL_GRID if words.lexicon else (0.0,))]
    total = np.zeros(len(grid))
    for members, place, known in scores_of_history(evaluator, weights, blend, rows):
        cosine = words.cosine(queries[place.numpy()])
        found = words.lexicon.scores([texts[row] for row in place]) if words.lexicon else torch.zeros(())
        for n, (weight, lexical) in enumerate(grid):
            scores = known + weight * (cosine + lexical * found)
            total[n] += float(rank_events(scores, evaluator.events.item[members], evaluator.seen(members)).ndcg_at_10.sum())
    log.info(
        "NDCG@10 with requests, by weight and weight of words: %s",
        ", ".join(f"{weight:g}/{lexical:g} {value / len(rows):.4f}" for (weight, lexical), value in zip(grid, total, strict=True)),
    )
    return with_weights(words, *grid[int(total.argmax())])


def scores_of_history(evaluator: Evaluator, weights: Weights, blend: Blend, rows: Ints) -> Iterator[tuple[Ints, Tensor, Tensor]]:
    """The scores of a list without words at each event, in blocks: sorted rows of events, their places in `rows`, scores [rows, items]."""
    items = weights.item_vectors()
    vectors, mean_score = target_vectors(weights.model, evaluator.events, rows), items @ weights.mean_vector
    for members, features in evaluator.blocks(rows):
        place = torch.from_numpy(np.searchsorted(rows, members))
        state = ItemState(features, mean_score, weights.is_cold)
        pairs = {"sequence": vectors[place] @ items.T}
        yield members, place, combine(blend, evaluator.users(members, blend), pairs, state, evaluator.repeats(members))


def with_weights(words: Words, weight: float, lexical: float) -> Words:
    """The words with other weights: of a request, and of its words relative to its meaning."""
    return replace(words, weight=weight, lexicon=words.lexicon and replace(words.lexicon, weight=lexical))


def choose_correction(words: Words, text: Floats, queries: Floats, texts: Sequence[str], meant: Ints) -> Words:
    """The words with the share of the heads' correction that finds known items best: all, half, or none, which is the plain cosine.

    text: vectors of the items [items, dim]; queries, texts: requests for one item each, meant. The measure is the mean reciprocal rank.
    """
    tried = [
        replace(words, query=query, item=item, items=Words.of(query, item, text, 1.0).items)
        for share in CORRECTION_GRID
        for query, item in [(words.query.scaled(share), words.item.scaled(share))]
    ]
    total = np.zeros(len(tried))
    for first in range(0, len(meant), BLOCK_REQUESTS):
        block = slice(first, first + BLOCK_REQUESTS)
        lexical = USUAL_LEXICAL * words.lexicon.scores(texts[block]) if words.lexicon else torch.zeros(())
        for n, each in enumerate(tried):
            scores = each.cosine(queries[block]) + lexical
            total[n] += float((1 / (scores >= scores.gather(1, torch.from_numpy(meant[block])[:, None])).sum(1)).sum())
    reciprocal = total / max(len(meant), 1)
    log.info(
        "reciprocal rank of known items, by share of the correction: %s",
        ", ".join(f"{share:g} {value:.4f}" for share, value in zip(CORRECTION_GRID, reciprocal, strict=True)),
    )
    return tried[int(np.argmax(reciprocal))]
