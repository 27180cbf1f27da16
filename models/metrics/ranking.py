"""Ranking metrics over the full catalogue; a tie counts against the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.events import Floats, Ints


@dataclass(frozen=True)
class Ranking:
    """The rank of each event's item, 1 the best, and the ten items before all others."""

    rank: Ints
    top: Ints

    @property
    def ndcg_at_10(self) -> Floats:
        return np.where(self.rank <= 10, 1 / np.log2(self.rank + 1), 0).astype(np.float32)

    @property
    def hr_at_10(self) -> Floats:
        return (self.rank <= 10).astype(np.float32)

    @property
    def mrr(self) -> Floats:
        return (1 / self.rank).astype(np.float32)

    @staticmethod
    def join(parts: list[Ranking]) -> Ranking:
        """One after the other."""
        if not parts:
            return Ranking(np.empty(0, np.int64), np.empty((0, 10), np.int64))
        return Ranking(np.concatenate([part.rank for part in parts]), np.concatenate([part.top for part in parts]))

    def of(self, keep: NDArray[np.bool_]) -> Ranking:
        """The events that a mask keeps."""
        return Ranking(self.rank[keep], self.top[keep])

    def coverage_at_10(self, n_items: int) -> float:
        """Share of the catalogue that is in anyone's ten first."""
        return len(np.unique(self.top)) / n_items


def rank_events(scores: Tensor, item: Ints, seen: tuple[Ints, Ints] | None) -> Ranking:
    """Rank item [rows] among scores [rows, items], which are changed in place.

    seen: (row, item) pairs that are left out; a row whose own item is one of them is a miss.
    """
    if seen is not None:
        scores[torch.from_numpy(seen[0]), torch.from_numpy(seen[1])] = -torch.inf
    target = scores[torch.arange(len(item)), torch.from_numpy(item)]
    rank = torch.where(target.isfinite(), (scores >= target[:, None]).sum(1), scores.shape[1])
    return Ranking(rank.numpy(), scores.topk(min(10, scores.shape[1]), dim=1).indices.numpy())
