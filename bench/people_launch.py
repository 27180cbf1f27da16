"""How soon new hits are found, with and without a slot for new items: python -m bench.people_launch [--seeds 10].

In process: a shop of 1,200 items launches 60 on one day. 52 of them are ordinary, 8 are hits, chosen four times as often as a usual item.
Every night ranks by the interests of people and by the clicks of each item so far, and believes that an item nobody knows is half as good
as a usual one. 1,200 people visit now and then, look at the list of the last night, and find a few items on their own, as walks do.
With a slot, the product's draws fill it (models/ranking/exploration.py); the evidence counts for both in the same way.
A hit is found on the day on which the ranked list shows it to at least half of the people in whose true best ten it is.
found: share of the hits found within 90 days. days: median until then. clicks: of all days. lost: share of clicks lost
by the slots, with the 95 % interval over the seeds.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import torch

from bench.table import keep
from models.metrics.intervals import bootstrap_interval
from models.ranking.choice import Choice
from models.ranking.exploration import NEW_DAYS, NEW_VOTES, NewItemLayer, NewItems, fill_slots
from models.simulation.people import Crowd, PeopleConfig, crowd_at, look, walk, wish
from models.simulation.shop import Floats, Ints, ShopConfig, simulate

SHOP = ShopConfig(n_users=1200, n_items=1200, n_days=14)
N_NEW, N_HITS = 60, 8
HIT, ORDINARY = 4.0, 0.5
"""Factors of appeal; 1 is that of a usual item."""
VISITS_A_DAY = 0.3
N_DAYS = 90
ON_THEIR_OWN = 0.2
"""Items that a person finds in a visit without a list: as in the shop's walks, by interest and appeal."""
PRIOR = (1.0, 2.0)
"""Clicks, and clicks expected of a usual item: what a night believes of an item that nobody has seen."""
HISTORY = 200.0
SLOTS = (0, 1, 2)
KEY = b"people who react"
LAYER = NewItemLayer(np.array([0.3]), np.array([[0.1]]), 0.7, 1.0)
"""What a night that has seen earlier launches would believe: the mean and the spread of the log ratio of new items to their scores."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    courses: dict[int, list[Course]] = {n_slots: [] for n_slots in SLOTS}
    for seed in range(parser.parse_args().seeds):
        start = launch(seed)
        for n_slots, runs in courses.items():
            runs.append(course(start, n_slots, seed))
    keep("people_launch", [row(n_slots, runs, courses[0]) for n_slots, runs in courses.items()])


def row(n_slots: int, runs: list[Course], without: list[Course]) -> dict[str, object]:
    """The figures of some launches. without: the same launches without slots."""
    found = np.concatenate([run.found for run in runs])
    lost = np.array([1 - run.clicks / other.clicks for run, other in zip(runs, without, strict=True)], np.float32)
    low, high = bootstrap_interval(lost, np.arange(len(lost)), 1000, seed=0)
    return {
        "slots": n_slots,
        "hits": len(found),
        "found": f"{np.isfinite(found).mean():.3f}",
        "days": float(np.median(found)),
        "clicks": sum(run.clicks for run in runs),
        "lost": f"{lost.mean():.4f}",
        "low": f"{low:.4f}",
        "high": f"{high:.4f}",
    }


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
    clicks: int


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


def course(start: Launch, n_slots: int, seed: int) -> Course:
    """Days of visits to the lists of the last night. n_slots: of the lists, for new items."""
    rng, config = np.random.default_rng(seed), PeopleConfig()
    n_users, n_items = start.interest.shape
    leaf, is_new = start.crowd.leaf, np.isin(np.arange(n_items), start.new)
    sizes, examined = np.bincount(leaf), config.goes_on ** np.arange(config.n_shown)
    expected = np.where(is_new, PRIOR[1], HISTORY)
    clicks = np.where(is_new, PRIOR[0], HISTORY * start.crowd.appeal)
    right = _top(start.wanted, config.n_shown)
    belongs = np.stack([(right == hit).any(1) for hit in start.hits])
    found, total = np.full(N_HITS, np.inf), 0
    for day in range(N_DAYS):
        score = np.log(start.interest * (clicks / expected))
        lists = _top(score, config.n_shown)
        is_shown = np.stack([(lists == hit).any(1) for hit in start.hits])
        share = (is_shown & belongs).sum(1) / np.maximum(belongs.sum(1), 1)
        found = np.where((share >= 0.5) & np.isinf(found), day, found)
        if n_slots:
            lists = explored(start, score, lists, clicks[start.new] - PRIOR[0], day, n_slots)
        user = np.repeat(np.arange(n_users), rng.poisson(VISITS_A_DAY, n_users))
        shown = lists[user]
        clicked = look(start.wanted[user[:, None], shown], config, rng).clicked
        total += int(clicked.sum())
        expected += np.bincount(shown.ravel(), (examined * start.interest[user[:, None], shown]).ravel(), n_items)
        clicks += np.bincount(shown[clicked], minlength=n_items)
        own = walk(start.crowd, user[rng.random(len(user)) < ON_THEIR_OWN], 1, 0.0, rng)[:, 0]
        expected += (np.bincount(leaf[own], minlength=len(sizes)) / sizes)[leaf]
        clicks += np.bincount(own, minlength=n_items)
    return Course(found, total)


def explored(start: Launch, score: Floats, lists: Ints, votes: Floats, day: int, n_slots: int) -> Ints:
    """The lists of a night with its slots filled by the draws that the product makes. votes: events of each new item so far."""
    is_new = (votes < NEW_VOTES) & (day < NEW_DAYS)
    rows, order = start.new[is_new], np.argsort(start.new[is_new])
    new = NewItems(rows[order], np.zeros((len(rows), 0)), votes[is_new][order], LAYER)
    draws = new.lottery(KEY, day, start.crowd.item_ids).draws(KEY, "default", day, start.crowd.user_ids, n_slots)
    filled = fill_slots(torch.from_numpy(score), torch.from_numpy(lists), Choice(), draws)
    shown: Ints = filled.rows.numpy()
    return shown


def _top(score: Floats, n: int) -> Ints:
    """Columns of the n highest scores of each row, best first."""
    best = np.argpartition(-score, n, axis=1)[:, :n]
    order = np.argsort(-np.take_along_axis(score, best, 1), axis=1, kind="stable")
    rows: Ints = np.take_along_axis(best, order, 1)
    return rows


if __name__ == "__main__":
    main()
