"""Ranking metrics over the full catalogue; a tie counts against the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.dataset import Events, Floats, Ints, ragged_rows


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

    def coverage_at_10(self, n_items: int) -> float:
        """Share of the catalogue that is in anyone's ten first."""
        return len(np.unique(self.top)) / n_items


def rank_events(
    events: Events, rows: Ints, score: Callable[[Ints], Tensor], *, hide_seen: bool, block_cells: int = 20_000_000
) -> Ranking:
    """Rank the item of each row among all items by `score(rows) -> [rows, items]`, called on blocks of rows.

    With hide_seen, items that the user had before the row are left out; a row whose own item is one of them is a miss.
    """
    block = max(block_cells // events.n_items, 1)
    ranks, tops = [], []
    for begin in range(0, len(rows), block):
        part = rows[begin : begin + block]
        scores = score(part)
        if hide_seen:
            number, history = ragged_rows(events.offsets[events.user[part]], part)
            scores[torch.from_numpy(number), torch.from_numpy(events.item[history])] = -torch.inf
        target = scores[torch.arange(len(part)), torch.from_numpy(events.item[part])]
        rank = (scores >= target[:, None]).sum(1)
        ranks.append(torch.where(target.isfinite(), rank, events.n_items).numpy())
        tops.append(scores.topk(min(10, events.n_items), dim=1).indices.numpy())
    if not ranks:
        return Ranking(np.empty(0, np.int64), np.empty((0, 10), np.int64))
    return Ranking(np.concatenate(ranks), np.concatenate(tops))


def bootstrap_interval(value: Floats, user: Ints, n_resamples: int, seed: int) -> tuple[float, float]:
    """95 % interval of the mean, resampling users (events of one user are not independent)."""
    _, group = np.unique(user, return_inverse=True)
    sums, counts = np.bincount(group, value), np.bincount(group)
    rng = np.random.default_rng(seed)
    means = np.empty(n_resamples)
    for n in range(n_resamples):
        draw = rng.integers(0, len(sums), len(sums))
        means[n] = sums[draw].sum() / counts[draw].sum()
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
