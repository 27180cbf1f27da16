"""How soon new hits are found, with and without slots for new items: python -m bench.people_launch.

A shop launches items on one day: most of them are ordinary, some are hits. A night ranks items by the interests of people and by the
clicks of each item so far, and so knows nothing of the new ones. Everybody visits now and then, and looks at the list of the last night.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from models.simulation.people import Crowd, PeopleConfig, crowd_at, look, wish
from models.simulation.shop import Floats, Ints, ShopConfig, simulate

SHOP = ShopConfig(n_users=500, n_items=1500, n_days=14)
N_NEW, N_HITS = 60, 8
HIT, ORDINARY = 4.0, 0.5
"""Factors of appeal; 1 is that of a usual item."""
VISITS_A_DAY = 0.3
N_DAYS = 120
PRIOR = (1.0, 2.0)
"""Clicks, and clicks expected of a usual item: what a night believes of an item that nobody has seen."""
HISTORY = 200.0
Explore = Callable[[Floats, Floats, Floats, np.random.Generator], Ints]
"""(clicks [new], expected clicks [new], interest [visits, new]) to the column of a new item for each visit."""


@dataclass(frozen=True)
class Launch:
    """A crowd, its new items and hits, and what a ranker knows: interest, [users, items], true up to noise."""

    crowd: Crowd
    new: Ints
    hits: Ints
    interest: Floats
    wanted: Floats


@dataclass(frozen=True)
class Course:
    """found: day at which each hit was found, [hits]; infinite if it was not. clicks: of all days."""

    found: Floats
    clicks: float


def launch(seed: int) -> Launch:
    """A shop with new items."""
    shop, rng = simulate(SHOP, seed), np.random.default_rng(seed)
    crowd = crowd_at(shop.items, shop.truth, datetime(2026, 11, 1))
    crowd = replace(crowd, is_on_sale=np.ones(len(crowd.item_ids), bool))
    new = rng.choice(len(crowd.item_ids), N_NEW, replace=False)
    appeal = crowd.appeal.copy()
    appeal[new] = ORDINARY
    appeal[new[:N_HITS]] = HIT
    crowd = replace(crowd, appeal=appeal)
    user, everything = np.arange(len(crowd.user_ids)), np.tile(np.arange(len(crowd.item_ids)), (len(crowd.user_ids), 1))
    usual = wish(replace(crowd, appeal=np.ones_like(appeal)), PeopleConfig(), user, everything)
    interest = usual * rng.lognormal(0, 0.3, usual.shape)
    return Launch(crowd, new, new[:N_HITS], interest, wish(crowd, PeopleConfig(), user, everything))


def course(start: Launch, explore: Explore | None, seed: int) -> Course:
    """Days of visits, each followed by a night. explore: fills the last position; None: lists are ranked to the end."""
    rng, config = np.random.default_rng(seed), PeopleConfig()
    n_users, n_items = start.interest.shape
    is_new = np.isin(np.arange(n_items), start.new)
    expected = np.where(is_new, PRIOR[1], HISTORY)
    clicks = np.where(is_new, PRIOR[0], HISTORY * start.crowd.appeal)
    right = _top(start.wanted, config.n_shown)
    belongs = np.stack([(right == hit).any(1) for hit in start.hits])
    found, total = np.full(N_HITS, np.inf), 0.0
    for day in range(N_DAYS):
        ranked = _top(start.interest * (clicks / expected), config.n_shown)
        is_shown = np.stack([(ranked == hit).any(1) for hit in start.hits])
        share = (is_shown & belongs).sum(1) / np.maximum(belongs.sum(1), 1)
        found = np.where((share >= 0.5) & np.isinf(found), day, found)
        user = np.repeat(np.arange(n_users), rng.poisson(VISITS_A_DAY, n_users))
        shown = ranked[user]
        if explore is not None:
            drawn = start.new[explore(clicks[start.new], expected[start.new], start.interest[user][:, start.new], rng)]
            fresh = ~(shown[:, :-1] == drawn[:, None]).any(1)
            shown[fresh, -1] = drawn[fresh]
        chance = start.wanted[user[:, None], shown]
        clicked = look(chance, config, rng).clicked
        total += clicked.sum()
        examined = config.goes_on ** np.arange(config.n_shown)
        expected += np.bincount(shown.ravel(), (examined * start.interest[user[:, None], shown]).ravel(), n_items)
        clicks += np.bincount(shown[clicked], minlength=n_items)
    return Course(found, total)


def thompson(clicks: Floats, expected: Floats, interest: Floats, rng: np.random.Generator) -> Ints:
    """Each visit draws an appeal of every new item from its posterior, and takes the item with the most draw times interest."""
    drawn = rng.gamma(clicks, 1 / expected, interest.shape)
    best: Ints = np.argmax(drawn * interest, axis=1)
    return best


def _top(score: Floats, n: int) -> Ints:
    """Columns of the n highest scores of each row, best first."""
    best = np.argpartition(-score, n, axis=1)[:, :n]
    order = np.argsort(-np.take_along_axis(score, best, 1), axis=1, kind="stable")
    rows: Ints = np.take_along_axis(best, order, 1)
    return rows
