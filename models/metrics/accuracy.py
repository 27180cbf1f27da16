"""Accuracy of lists at k: each list is judged by the set of items that its user chose afterwards.

All metrics are [lists]. A list whose user chose nothing has no figure: nan.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.events import Floats, Ints


def discount(rank: Ints) -> Floats:
    """Weight of a rank in NDCG; 1 is best (Järvelin and Kekäläinen 2002, with a logarithm to base 2)."""
    weight: Floats = (1 / np.log2(np.asarray(rank) + 1.0)).astype(np.float32)
    return weight


def ndcg_of_rank(rank: Ints, k: int = 10) -> Floats:
    """NDCG@k of lists with one relevant item each, at the given ranks; 0 beyond k."""
    return np.where(rank <= k, discount(rank), 0).astype(np.float32)


@dataclass(frozen=True)
class Hits:
    """is_hit: [lists, k] whether the user chose the item afterwards. n_chosen: [lists] number of different items that the user chose."""

    is_hit: NDArray[np.bool_]
    n_chosen: Ints

    @staticmethod
    def of(top: Ints, number: Ints, item: Ints, n_items: int) -> Hits:
        """The hits of lists [lists, k], -1 at the end of a shorter list. number, item: pairs of a list and an item that its user chose."""
        chosen = np.unique(number * n_items + item)
        asked = np.arange(len(top))[:, None] * n_items + top
        place = np.minimum(np.searchsorted(chosen, asked), max(len(chosen) - 1, 0))
        is_hit = (chosen[place] == asked) & (top >= 0) if len(chosen) else np.zeros(top.shape, bool)
        return Hits(is_hit, np.bincount(chosen // n_items, minlength=len(top)))

    def hit_rate(self) -> Floats:
        """1 if any item is a hit."""
        return self._known(self.is_hit.max(1, initial=False))

    def recall(self) -> Floats:
        """Share of the chosen items that are on the list."""
        return self._known(self.is_hit.sum(1) / np.maximum(self.n_chosen, 1))

    def precision(self) -> Floats:
        """Share of the k places that have a hit; the places after the end of a shorter list count as misses."""
        return self._known(self.is_hit.mean(1))

    def ndcg(self) -> Floats:
        """Discounted gain as a share of the best possible one, which has min(k, chosen items) hits at the top."""
        weight = discount(np.arange(1, self.is_hit.shape[1] + 1))
        best = np.concatenate([[1.0], np.cumsum(weight)])
        return self._known(self.is_hit @ weight / best[np.minimum(self.n_chosen, len(weight))])

    def mrr(self) -> Floats:
        """1 / rank of the first hit; 0 without one."""
        return self._known(np.where(self.is_hit.any(1), 1 / (self.is_hit.argmax(1) + 1), 0))

    def average_precision(self) -> Floats:
        """Sum of the precision at each hit, divided by the number of chosen items; its mean over lists is MAP."""
        rank = np.arange(1, self.is_hit.shape[1] + 1)
        at_hits = (self.is_hit.cumsum(1) / rank * self.is_hit).sum(1)
        return self._known(at_hits / np.maximum(self.n_chosen, 1))

    def _known(self, value: NDArray[np.bool_] | NDArray[np.floating]) -> Floats:
        known: Floats = np.where(self.n_chosen > 0, value, np.nan).astype(np.float32)
        return known
