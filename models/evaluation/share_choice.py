"""Chooses how much the towers learn from real searches rather than from generated requests, on held-out searches."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from models.evaluation.words_choice import USUAL_LEXICAL, with_weights
from models.events import Floats, Ints
from models.metrics.intervals import mean_difference
from models.text.towers import Words

log = logging.getLogger("minutehand.words")
SHARES = (0.25, 0.5)
LEAST_SEARCHES = 20
"""With fewer held-out searches that led to an item, real searches teach nothing."""
N_BOOTSTRAP = 500
BLOCK = 100


@dataclass(frozen=True)
class Asked:
    """Requests for one item each: their vectors [requests, dim], their words, the item that each means, and its user."""

    vectors: Floats
    texts: Sequence[str | None]
    item: Ints
    user: Ints

    def reciprocal_ranks(self, words: Words) -> Floats:
        """One over the rank of the item that is meant, [requests]; a tie counts against the words."""
        usual, out = with_weights(words, 1.0, USUAL_LEXICAL), np.empty(len(self.item), np.float32)
        for first in range(0, len(self.item), BLOCK):
            part = slice(first, first + BLOCK)
            scores = usual.matches(self.vectors[part], self.texts[part])
            out[part] = 1 / (scores >= scores.gather(1, torch.from_numpy(self.item[part])[:, None])).sum(1).numpy()
        return out


def choose_share(words: Words, teach: Callable[[float], Words], searched: Asked, generated: Asked, seed: int) -> tuple[float, Words]:
    """The share of real searches in what the towers learn, and the words that result; 0 and the given words if searches do not help.

    A share helps if held-out searches find the chosen item better beyond the interval, and generated requests do not find their item worse
    beyond it. Of several, the one that finds chosen items best counts. teach: gives the words of a share.
    """
    best: tuple[float, float, Words] = (0.0, 0.0, words)
    if len(searched.item) < LEAST_SEARCHES:
        return best[1:]
    before, others = searched.reciprocal_ranks(words), generated.reciprocal_ranks(words)
    for share in SHARES:
        taught = teach(share)
        gain = mean_difference(searched.reciprocal_ranks(taught), before, searched.user, N_BOOTSTRAP, seed)
        kept = len(others) == 0 or mean_difference(generated.reciprocal_ranks(taught), others, generated.user, N_BOOTSTRAP, seed).high >= 0
        log.info(
            "%d searches in the hold-out: reciprocal rank %.4f; share %g: %+.4f (%+.4f to %+.4f)%s",
            *(len(before), before.mean(), share, gain.difference, gain.low, gain.high),
            "" if kept else ", but requests find less",
        )
        if kept and gain.low > 0 and gain.difference > best[0]:
            best = gain.difference, share, taught
    return best[1:]
