"""Variety: the first positions of a list go to items that are likely and unlike those above them.

Scores are log probabilities up to a constant, so the cost of replacing a better item is known. It has the same price for all users: a user
who certainly wants one thing still gets it, and a user who may want anything gets a varied list.
bench.variety compares this with other ways.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

N_VARIED = 20
"""Positions that variety fills; after them, items follow by score."""
N_POOL = 100
"""Best items among which variety chooses."""
PRICE = 0.01
"""Probability that a cosine distance of 1 from one item above is worth at a dial of 0.5."""
BLOCK_USERS = 256

Pick = Callable[[Tensor, Tensor, float, int], Tensor]
"""A way to order a pool; arguments as in `pick_dispersed`."""


def vary(
    scores: Float[Tensor, "users items"], rows: Int[Tensor, "users ranks"], vectors: Float[Tensor, "items dim"], variety: float, k: int
) -> Int[Tensor, "users ranks"]:
    """The rows, best first and -1 at the end; the first min(k, N_VARIED) are chosen by score and distance among the first N_POOL.

    scores: of all items, -inf for those that must not be shown. vectors: of unit length or zero.
    """
    out = rows.clone()
    for first in range(0, len(rows), BLOCK_USERS):
        part = slice(first, first + BLOCK_USERS)
        pool = rows[part, :N_POOL]
        known = scores[part].gather(1, pool.clamp_min(0)) - scores[part].logsumexp(1, keepdim=True)
        order = pick_dispersed(known.masked_fill(pool < 0, -torch.inf), vectors[pool.clamp_min(0)], variety, min(k, N_VARIED))
        out[part, :N_POOL] = pool.gather(1, order)
    return out


def pick_dispersed(
    log_p: Float[Tensor, "users pool"], vectors: Float[Tensor, "users pool dim"], variety: float, n: int
) -> Int[Tensor, "users pool"]:
    """Order of the pool, which is sorted by log_p, that begins with n items picked greedily by max-sum dispersion.

    Borodin et al. 2012, "Max-Sum Diversification, Monotone Submodular Functions and Dynamic Updates": the gain of an item is its
    probability, weighed by 1 - variety, plus the sum of its cosine distances from the items above it, weighed by variety. So the first
    positions, which count most, change least. log_p: probability among all items that the user may be shown; -inf where there is no item.
    """
    places, probability, distance = Places.of(log_p, n), log_p.exp(), torch.zeros_like(log_p)
    for step in range(n):
        chosen = places.take(step, (1 - variety) * probability + variety * PRICE * distance)
        distance += 1 - cosines(vectors, chosen)
    return places.order


def cosines(vectors: Float[Tensor, "users pool dim"], chosen: Int[Tensor, " users"]) -> Float[Tensor, "users pool"]:
    """Cosines of the pool's vectors, which are of unit length or zero, with that of one of them."""
    mine = vectors.gather(1, chosen[:, None, None].expand(-1, 1, vectors.shape[2]))
    return (vectors @ mine.mT)[..., 0]


@dataclass(frozen=True)
class Places:
    """place: [users, pool] the place of each item in the new order. log_p: best first; -inf where there is no item."""

    place: Tensor
    log_p: Tensor
    n: int

    @staticmethod
    def of(log_p: Tensor, n: int) -> Places:
        """All items in their order, behind n free places."""
        return Places(torch.arange(n, n + log_p.shape[1]).repeat(len(log_p), 1), log_p, n)

    def take(self, step: int, gain: Tensor) -> Tensor:
        """Move the item with the greatest gain to a place; at first the best one. Returns its position in the pool, [users]."""
        is_free = (self.place >= self.n) & self.log_p.isfinite()
        best = (self.log_p if step == 0 else gain).masked_fill(~is_free, -torch.inf).max(1)
        chosen = best.indices[:, None]
        place = torch.where(best.values[:, None].isfinite(), step, self.place.gather(1, chosen))
        self.place.scatter_(1, chosen, place)
        return best.indices

    @property
    def order(self) -> Tensor:
        """Positions in the pool, in their new order."""
        return self.place.argsort(1)
