"""Variety: the first positions of a list go to items that are good and unlike those above them.

The scores are log probabilities, so a likeness costs the same factor of probability for every user.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

N_VARIED = 20
"""Positions that variety fills; after them, items follow by score."""
N_POOL = 100
"""Best items among which variety chooses."""
BLOCK_USERS = 256
LEAST_VARIANCE = 1e-6


def vary(
    scores: Float[Tensor, "users items"], rows: Int[Tensor, "users ranks"], vectors: Float[Tensor, "items dim"], variety: float, k: int
) -> Int[Tensor, "users ranks"]:
    """The rows, best first and -1 at the end, with the first min(k, N_VARIED) positions chosen anew among the first N_POOL."""
    out = rows.clone()
    for first in range(0, len(rows), BLOCK_USERS):
        part = slice(first, first + BLOCK_USERS)
        pool = rows[part, :N_POOL]
        known = scores[part].gather(1, pool.clamp_min(0)).masked_fill(pool < 0, -torch.inf)
        order = pick_dpp(known, vectors[pool.clamp_min(0)], variety, min(k, N_VARIED))
        out[part, :N_POOL] = pool.gather(1, order)
    return out


def pick_dpp(
    scores: Float[Tensor, "users pool"], vectors: Float[Tensor, "users pool dim"], variety: float, n: int
) -> Int[Tensor, "users pool"]:
    """Order of the pool, which is sorted by score, that begins with the n greedily most likely items of a determinantal point process.

    Chen et al. 2018, "Fast Greedy MAP Inference for Determinantal Point Process": the gain of an item is its score, weighed by
    1 - variety, plus the log of its squared distance from the span of those above it, weighed by variety. The kernel is (1 + cosine) / 2,
    as there, so that opposite items count as more different than unrelated ones.
    """
    places, variance, parts = Places.of(scores, n), torch.ones_like(scores), scores.new_zeros(*scores.shape, n)
    for step in range(n):
        chosen = places.take(step, (1 - variety) * scores + variety * variance.log())[:, None, None]
        mine, before = vectors.gather(1, chosen.expand(-1, 1, vectors.shape[2])), parts.gather(1, chosen.expand(-1, 1, n))
        left = variance.gather(1, chosen[..., 0])
        parts[:, :, step] = ((1 + vectors @ mine.mT) / 2 - parts @ before.mT)[..., 0] / left.sqrt()
        variance = (variance - parts[:, :, step].square()).clamp_min(LEAST_VARIANCE)
    return places.place.argsort(1)


def pick_mmr(
    scores: Float[Tensor, "users pool"], vectors: Float[Tensor, "users pool dim"], variety: float, n: int
) -> Int[Tensor, "users pool"]:
    """Order of the pool, which is sorted by score, that begins with n items picked by maximal marginal relevance.

    Carbonell and Goldstein 1998: the gain of an item is its score, weighed by 1 - variety, less its greatest cosine with those above it,
    weighed by variety.
    """
    places, closest = Places.of(scores, n), torch.full_like(scores, -1)
    for step in range(n):
        chosen = places.take(step, (1 - variety) * scores - variety * closest)[:, None, None]
        mine = vectors.gather(1, chosen.expand(-1, 1, vectors.shape[2]))
        closest = torch.maximum(closest, (vectors @ mine.mT)[..., 0])
    return places.place.argsort(1)


@dataclass(frozen=True)
class Places:
    """place: [users, pool] the place of each item in the new order. scores: of the pool, best first; -inf where there is no item."""

    place: Tensor
    scores: Tensor
    n: int

    @staticmethod
    def of(scores: Tensor, n: int) -> Places:
        """All items in their order, behind n free places."""
        return Places(torch.arange(n, n + scores.shape[1]).repeat(len(scores), 1), scores, n)

    def take(self, step: int, gain: Tensor) -> Tensor:
        """Move the item with the greatest gain to a place; at first the best one. Returns its position in the pool, [users]."""
        is_free = (self.place >= self.n) & self.scores.isfinite()
        best = (self.scores if step == 0 else gain).masked_fill(~is_free, -torch.inf).max(1)
        chosen = best.indices[:, None]
        place = torch.where(best.values[:, None].isfinite(), step, self.place.gather(1, chosen))
        self.place.scatter_(1, chosen, place)
        return best.indices
