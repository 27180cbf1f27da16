"""What one place allows, after the score and before the cut to k: masks, caps per category and variety."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from models.events import Ints
from models.ranking.variety import N_POOL, vary

WIDER = 4
"""A cap examines this many times the wanted items first, and all items of the users for whom that is not enough."""


@dataclass(frozen=True)
class Choice:
    """Rules of one place. allowed: [items] items that it may show; None for all.

    category: [items] code of each item's category, -1 without one. max_per_category: items of one category in a list; items without a
    category are not counted. variety: from 0, the order of the scores, to 1, the most different items among the best. new_item_slots:
    positions of every ten, among the first twenty, that are for new items (models.ranking.exploration).
    """

    allowed: NDArray[np.bool_] | None = None
    category: Ints | None = None
    max_per_category: int | None = None
    variety: float = 0.0
    new_item_slots: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.variety <= 1:
            raise ValueError(f"variety is {self.variety}: it goes from 0 (accuracy only) to 1")
        if self.max_per_category is not None and self.max_per_category < 1:
            raise ValueError(f"max_per_category is {self.max_per_category}: at least 1; None for no cap")

    @property
    def has_cap(self) -> bool:
        """Whether a list is limited to some items per category."""
        return self.category is not None and self.max_per_category is not None


def forbid(scores: Tensor, choice: Choice | None, hidden: tuple[Ints, Ints] | None = None, users: slice = slice(None)) -> None:
    """Set the scores [users, items] of what must not be shown to -inf, in place.

    hidden: (user, item) pairs sorted by user, of all users; users: the part of the users that the scores are of.
    """
    if choice is not None and choice.allowed is not None:
        scores[:, torch.from_numpy(~choice.allowed)] = -torch.inf
    if hidden is not None:
        first = users.start or 0
        some = slice(*np.searchsorted(hidden[0], [first, first + len(scores)]))
        scores[torch.from_numpy(hidden[0][some] - first), torch.from_numpy(hidden[1][some])] = -torch.inf


def choose(
    scores: Float[Tensor, "users items"], choice: Choice | None, k: int, vectors: Float[Tensor, "items dim"]
) -> Int[Tensor, "users ranks"]:
    """Rows of the items to show, [users, min(k, items)], in the order to show them; -1 where nothing is left.

    scores: -inf for what must not be shown. A longer list begins with the shorter one. A cap keeps the best of each category, so it never
    empties a list. vectors: of unit length or zero, for variety.
    """
    k = min(k, scores.shape[1])
    if choice is None:
        return _finite(*scores.topk(k, 1))
    if choice.allowed is not None:
        scores = scores.masked_fill(torch.from_numpy(~choice.allowed), -torch.inf)
    n = min(max(k, N_POOL), scores.shape[1]) if choice.variety else k
    if choice.category is None or choice.max_per_category is None:
        rows = _finite(*scores.topk(n, 1))
    else:
        rows = _within_caps(scores, torch.from_numpy(choice.category), choice.max_per_category, n)
    return vary(scores, rows, vectors, choice.variety, k)[:, :k] if choice.variety else rows


def _finite(values: Tensor, rows: Tensor) -> Tensor:
    return torch.where(values.isfinite(), rows, -1)


def _within_caps(scores: Tensor, category: Tensor, cap: int, n: int) -> Tensor:
    """The n best rows of each user of which no category has more than the cap."""
    best = scores.topk(min(WIDER * n, scores.shape[1]), 1)
    keep = best.values.isfinite() & (_places(category[best.indices]) < cap)
    rows = torch.where(keep, best.indices, -1).gather(1, (~keep).long().argsort(dim=1, stable=True)[:, :n])
    is_short = (rows[:, -1] < 0) & best.values[:, -1].isfinite()
    if best.values.shape[1] < scores.shape[1] and is_short.any():
        rows[is_short] = _best_of_each(scores[is_short], category, cap, n)
    return rows


def _best_of_each(scores: Tensor, category: Tensor, cap: int, n: int) -> Tensor:
    """As `_within_caps`, by way of the best items of each category: one pass over all scores, whatever the categories are."""
    order = category.argsort(stable=True)
    _, sizes = category[order].unique_consecutive(return_counts=True)
    parts = []
    for members in order.split(sizes.tolist()):
        n_best = len(members) if category[members[0]] < 0 else min(cap, len(members))
        parts.append(members[scores[:, members].topk(n_best, 1).indices])
    found = torch.cat(parts, 1)
    best = scores.gather(1, found).topk(min(n, found.shape[1]), 1)
    rows = torch.where(best.values.isfinite(), found.gather(1, best.indices), -1)
    return torch.nn.functional.pad(rows, (0, n - rows.shape[1]), value=-1)


def _places(category: Tensor) -> Tensor:
    """How many of the same category stand before each one in its row; 0 without a category."""
    order = category.argsort(dim=1, stable=True)
    ordered = category.gather(1, order)
    number = torch.arange(category.shape[1]).expand_as(category)
    begins = torch.ones_like(ordered, dtype=torch.bool)
    begins[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    place = number - torch.where(begins, number, 0).cummax(1).values
    return torch.empty_like(place).scatter_(1, order, place).masked_fill(category < 0, 0)
