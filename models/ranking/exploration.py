"""Slots for new items: fixed positions of a list that Thompson draws fill, so that the shop learns which new items people want.

A night fits how much more often new items are chosen than their scores say: the log of that ratio is linear in the text of the item, plus
a part of its own (models.evaluation.new_items). A draw takes one sample of these ratios from their posterior, and shows the item with the
greatest score under it (Thompson 1933; Chapelle and Li 2011, algorithm 1). What is not certain is tried, and every event of an item makes
its own part more certain.

The posterior stands as N_DRAWS samples, of which a keyed hash of user, scenario, publication and slot takes one. So the same list has
the same draws wherever it is made, and the propensity is exact: the share of the samples under which the item wins.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from models.events import Floats, Ints
from models.ranking.choice import Choice
from models.ranking.prior import HALF_LIVES_H, N_SHARES

NEW_DAYS = 30.0
"""An item is new for so many days after its first event."""
NEW_VOTES = 50.0
"""An item with so many events is no longer new."""
MOST_NEW = 500
"""Of more new items, those take part that suit the average user best."""
N_DRAWS = 128
"""Samples of the posterior; no propensity is smaller than one of them."""
EVERY = 10
"""A scenario has its slots in each so many positions."""
BLOCK_USERS = 4096
N_SLOTTED = 20
"""Positions that may be slots; after them, nobody looks often enough."""
Doubles = NDArray[np.float64]
ALL_TIME, LOG_AGE = len(HALF_LIVES_H), N_SHARES
"""Columns of the popularity features."""


def slot_positions(n_slots: int) -> Ints:
    """The positions of the slots, from 0: evenly spread over each EVERY positions, so the first place is never one."""
    within = np.ceil(np.arange(1, n_slots + 1) * EVERY / (n_slots + 1)).astype(np.int64) - 1
    return np.concatenate([within + first for first in range(0, N_SLOTTED, EVERY)])


@dataclass(frozen=True)
class NewItemLayer:
    """Posterior of how much more often new items are chosen than their scores say, as a log ratio: weights . (1, text) + own part.

    mean, factor: of the weights' normal distribution, whose covariance is factor @ factor.T. spread: standard deviation of an own part
    before any event. n_votes: events of all items at the fit. tried: by item, how often it should have been chosen in the slots
    where it was shown, and how often it was.
    """

    mean: Doubles
    factor: Doubles
    spread: float
    n_votes: float
    tried: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def arrays(self) -> dict[str, Doubles]:
        """Everything but `tried` as named arrays, for a checkpoint."""
        return {"mean": self.mean, "factor": self.factor, "scales": np.array([self.spread, self.n_votes], np.float64)}

    @staticmethod
    def from_arrays(arrays: dict[str, Doubles], tried: Mapping[str, tuple[float, float]]) -> NewItemLayer:
        """The inverse of `arrays`."""
        spread, n_votes = arrays["scales"].tolist()
        return NewItemLayer(arrays["mean"], arrays["factor"], spread, n_votes, tried)


@dataclass(frozen=True)
class NewItems:
    """The new items of a version by catalog row. text: [new, dim], whitened. votes: events of each. layer: None in older versions."""

    rows: Ints
    text: Doubles
    votes: Doubles
    layer: NewItemLayer | None

    @staticmethod
    def find(popularity: Floats, text: Tensor, mean_score: Tensor, is_available: NDArray[np.bool_], layer: NewItemLayer | None) -> NewItems:
        """Available items without events, and those with few events of which the first is recent; at most MOST_NEW.

        popularity: [items, features]. text: [items, dim], whitened. mean_score: of the average user.
        """
        votes = popularity[:, ALL_TIME].astype(np.float64) * (0.0 if layer is None else layer.n_votes)
        has_none, age_days = popularity[:, -1] > 0, np.expm1(popularity[:, LOG_AGE])
        votes[has_none] = 0
        rows = np.flatnonzero(is_available & (has_none | ((age_days <= NEW_DAYS) & (votes < NEW_VOTES))))
        if len(rows) > MOST_NEW:
            value = mean_score[torch.from_numpy(rows)].numpy()
            rows = np.sort(rows[np.argsort(-value, kind="stable")[:MOST_NEW]])
        return NewItems(rows, text[torch.from_numpy(rows)].numpy().astype(np.float64), votes[rows], layer)

    def lottery(self, key: bytes, moment: int, item_ids: Sequence[str]) -> Lottery:
        """The samples of one publication. moment: its unix seconds, recs.publications.asked_at. item_ids: of the catalogue."""
        if self.layer is None or not len(self.rows):
            return Lottery(self.rows, None)
        own = np.stack([_normals(key, ["item", item_ids[row], moment], N_DRAWS) for row in self.rows])
        mean, deviation = self._own_parts(self.layer, [item_ids[row] for row in self.rows])
        own = mean[:, None] + own * deviation[:, None]
        shared = _normals(key, ["weights", moment], N_DRAWS * len(self.layer.mean)).reshape(-1, N_DRAWS)
        weights = self.layer.mean[:, None] + self.layer.factor @ shared
        bonus = weights[0] + self.text @ weights[1:] + own
        return Lottery(self.rows, torch.from_numpy(np.ascontiguousarray(bonus.T, np.float32)))

    def _own_parts(self, layer: NewItemLayer, item_ids: Sequence[str]) -> tuple[Doubles, Doubles]:
        """Mean and deviation of the own part of each new item.

        Events make it more certain, by their number; its size is then in the scores. Slots also tell its size, by the log ratio of two
        counts, each plus 1/2, whose variance is near 1 / expected.
        """
        expected, chosen = np.array([layer.tried.get(item_id, (0.0, 0.0)) for item_id in item_ids], np.float64).reshape(-1, 2).T
        precision = 1 / max(layer.spread, 1e-6) ** 2 + np.maximum(self.votes - chosen, 0) + expected
        return expected * np.log((chosen + 0.5) / (expected + 0.5)) / precision, 1 / np.sqrt(precision)


@dataclass(frozen=True)
class Lottery:
    """Samples of the log ratios of the new items, bonus [draws, new]; None if nothing is known, so that each is as likely."""

    rows: Ints
    bonus: Tensor | None

    def draws(self, key: bytes, scenario: str, moment: int, user_ids: Sequence[str], n_slots: int) -> Draws:
        """The draws of the lists of some users. n_slots: of the scenario, in each EVERY positions."""
        positions = slot_positions(n_slots)
        numbers = [[_number(key, ["slot", user, scenario, moment, slot]) for slot in range(len(positions))] for user in user_ids]
        return Draws(self, positions, np.array(numbers, np.float64).reshape(len(user_ids), len(positions)))


@dataclass(frozen=True)
class Draws:
    """numbers: [users, slots] from 0 to 1, one for each draw. positions: of the slots, from 0."""

    lottery: Lottery
    positions: Ints
    numbers: Doubles

    def some(self, users: slice) -> Draws:
        """The draws of a part of the users."""
        return Draws(self.lottery, self.positions, self.numbers[users])

    def pick(
        self, slot: int, scores: Float[Tensor, "users new"], is_possible: Bool[Tensor, "users new"]
    ) -> tuple[Int[Tensor, " users"], Float[Tensor, " users"]]:
        """The number of the new item that each user's draw takes, -1 if none is possible, and its propensity."""
        n_possible, number = is_possible.sum(1), torch.from_numpy(self.numbers[:, slot])
        has_any = n_possible > 0
        if self.lottery.bonus is None:
            place = torch.minimum((number * n_possible).long(), n_possible - 1)
            drawn = ((is_possible.cumsum(1) == place[:, None] + 1) & is_possible).int().argmax(1)
            return torch.where(has_any, drawn, -1), torch.where(has_any, 1 / n_possible.clamp_min(1), 0.0)
        known = scores.masked_fill(~is_possible, -torch.inf)
        winners = torch.stack([(known + bonus).argmax(1) for bonus in self.lottery.bonus], 1)
        drawn = winners.gather(1, (number * N_DRAWS).long()[:, None])
        propensity = (winners == drawn).float().mean(1)
        return torch.where(has_any, drawn[:, 0], -1), torch.where(has_any, propensity, 0.0)


@dataclass(frozen=True)
class Filled:
    """Lists with filled slots: rows [users, ranks], whether a draw put the item there, and its propensity, 1 for ranked items."""

    rows: Int[Tensor, "users ranks"]
    is_drawn: Bool[Tensor, "users ranks"]
    propensity: Float[Tensor, "users ranks"]


def fill_slots(scores: Float[Tensor, "users items"], rows: Int[Tensor, "users ranks"], choice: Choice, draws: Draws) -> Filled:
    """The ranked rows, with an item drawn for each slot; the items below move down. A longer list still begins with the shorter one.

    scores: -inf for what must not be shown. No item stands twice, and caps hold. A slot stays with the ranking where nothing can be drawn.
    """
    parts = [
        _fill(scores[first : first + BLOCK_USERS], rows[first : first + BLOCK_USERS], choice, draws.some(slice(first, first + BLOCK_USERS)))
        for first in range(0, max(len(rows), 1), BLOCK_USERS)
    ]
    return Filled(*(torch.cat([getattr(part, name) for part in parts]) for name in ("rows", "is_drawn", "propensity")))


def _fill(scores: Tensor, rows: Tensor, choice: Choice, draws: Draws) -> Filled:
    rows, is_drawn, propensity = rows.clone(), torch.zeros_like(rows, dtype=torch.bool), torch.ones(rows.shape)
    new = torch.from_numpy(draws.lottery.rows)
    candidates = scores[:, new]
    cap = choice.max_per_category
    category = None if cap is None or choice.category is None else torch.from_numpy(choice.category)
    for slot, position in enumerate(draws.positions.tolist()):
        if position >= rows.shape[1] or not len(new):
            break
        above = rows[:, :position]
        is_possible = candidates.isfinite() & (above[:, -1:] >= 0)
        for each in above.T:
            is_possible &= each[:, None] != new
        if category is not None and cap is not None:
            is_possible &= _count(category[above], category[new], above >= 0) < cap
        number, chance = draws.pick(slot, candidates, is_possible)
        some = torch.nonzero(number >= 0).flatten()
        if not len(some):
            continue
        drawn = new[number[some]]
        rows[some] = _insert(rows[some], position, drawn, category, cap)
        is_drawn[some, position], propensity[some, position] = True, chance[some].to(propensity.dtype)
    return Filled(rows, is_drawn, propensity)


def _count(above: Tensor, category: Tensor, is_there: Tensor) -> Tensor:
    """How many items above are of the category of each new item, [users, new]; 0 without a category."""
    n = torch.zeros(len(above), len(category), dtype=torch.long)
    for each, there in zip(above.T, is_there.T, strict=True):
        n += (each[:, None] == category) & there[:, None]
    return n.masked_fill(category < 0, 0)


def _insert(rows: Tensor, position: int, drawn: Tensor, category: Tensor | None, cap: int | None) -> Tensor:
    """The lists with one more item at a position; below it, the same item and what is too much of its category leave."""
    above, below = rows[:, :position], rows[:, position:]
    leaves = below == drawn[:, None]
    if category is not None and cap is not None:
        mine = category[drawn][:, None]
        before = ((category[above] == mine) & (above >= 0)).sum(1, keepdim=True) + 1
        alike = (category[below] == mine) & (mine >= 0) & (below >= 0) & ~leaves
        leaves |= alike & (before + alike.cumsum(1) > cap)
    order = leaves.long().argsort(dim=1, stable=True)
    stays = torch.where(leaves, -1, below).gather(1, order)
    return torch.cat([above, drawn[:, None], stays], 1)[:, : rows.shape[1]]


def _number(key: bytes, of: list[str | int]) -> float:
    """A number from 0 to 1, below 1, by a keyed hash."""
    digest = blake2b(json.dumps(of).encode(), key=key[:64], digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)


def _normals(key: bytes, of: list[str | int], n: int) -> Doubles:
    """Standard normal numbers by a keyed hash."""
    digest = blake2b(json.dumps(of).encode(), key=key[:64], digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "big"))).standard_normal(n)
