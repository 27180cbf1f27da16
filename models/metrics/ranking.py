"""Ranking metrics over the full catalogue; a tie counts against the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.events import Floats, Ints
from models.metrics.accuracy import ndcg_of_rank
from models.metrics.exposure import coverage, exposure


@dataclass(frozen=True)
class Ranking:
    """The rank of each event's item (1 is best) and the top ten items, -1 at the end of a shorter list.

    served: rank of the item in the list that the user had, which was made some time before the event; None if not evaluated.
    """

    rank: Ints
    top: Ints
    served: Ints | None = None

    @property
    def ndcg_at_10(self) -> Floats:
        return ndcg_of_rank(self.rank)

    @property
    def ndcg_at_10_served(self) -> Floats:
        assert self.served is not None, "the ranking has no ranks of served lists"
        return ndcg_of_rank(self.served)

    @property
    def hr_at_10(self) -> Floats:
        return (self.rank <= 10).astype(np.float32)

    @property
    def mrr(self) -> Floats:
        return (1 / self.rank).astype(np.float32)

    @staticmethod
    def join(parts: list[Ranking]) -> Ranking:
        """The rankings concatenated."""
        if not parts:
            return Ranking(np.empty(0, np.int64), np.empty((0, 10), np.int64))
        served = [part.served for part in parts if part.served is not None]
        return Ranking(
            np.concatenate([part.rank for part in parts]),
            np.concatenate([part.top for part in parts]),
            np.concatenate(served) if len(served) == len(parts) else None,
        )

    def of(self, keep: NDArray[np.bool_]) -> Ranking:
        """The events that a mask keeps."""
        return Ranking(self.rank[keep], self.top[keep], None if self.served is None else self.served[keep])

    def coverage_at_10(self, n_items: int) -> float:
        """Share of the catalogue that occurs in any top ten."""
        return coverage(exposure(self.top, n_items))


def rank_events(scores: Tensor, item: Ints, seen: tuple[Ints, Ints] | None) -> Ranking:
    """Rank item [rows] among scores [rows, items], which are changed in place.

    seen: (row, item) pairs to exclude; a row whose own item is excluded is a miss.
    """
    if seen is not None:
        scores[torch.from_numpy(seen[0]), torch.from_numpy(seen[1])] = -torch.inf
    target = scores[torch.arange(len(item)), torch.from_numpy(item)]
    n_better = [np.count_nonzero(row) for row in (scores >= target[:, None]).numpy()]  # many times as fast as torch's sum of booleans
    rank = np.where(target.isfinite().numpy(), np.array(n_better, np.int64), scores.shape[1])
    best = scores.topk(min(10, scores.shape[1]), dim=1)
    return Ranking(rank, best.indices.masked_fill(best.values.isneginf(), -1).numpy())
