"""Whether impressions without outcome help a night as weak negatives: python -m bench.shown [--quick] [--seeds 3].

A simulated shop has its first night. For a week people visit, look at their lists, click and buy (models/simulation/people.py). The second
night learns the shop's events with these clicks and purchases, once without the impressions and once for each weight. The plan is the same
for all: a fixed number of epochs. ctr: true probability of a click per position of the new lists of ten, as mean over people.
gain: against weight 0, with the 95 % interval from resampling people, the seeds pooled. Items have no texts.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

from bench.table import keep
from models.config import EvaluationConfig, IncrementConfig, RecommenderConfig, TrainConfig
from models.events import Catalog, Events, Floats, Ints
from models.metrics.intervals import mean_difference
from models.simulation.people import Crowd, PeopleConfig, click_probability, crowd_at, look, wish
from models.simulation.shop import ShopConfig, simulate
from models.training.passed import Shown
from tasks.config import PublishConfig
from tasks.night import learning
from tasks.night.dataset import Dataset

WEIGHTS = (0.0, 0.3, 1.0)
SIZES = {"quick": (150, 120, 20, 2), "full": (500, 300, 40, 8)}
"""Users, items, days, epochs."""
VISITS = 7
"""Looks of each person at the list of the first night, one a day."""
DAY_S = 86_400
MODEL = RecommenderConfig(dim=32, n_blocks=1, n_heads=2, max_events=50)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    keep("shown", run(*SIZES["quick" if given.quick else "full"], 1 if given.quick else given.seeds))


def run(n_users: int, n_items: int, n_days: int, n_epochs: int, n_seeds: int) -> list[dict[str, object]]:
    """One row per weight."""
    found = [one(ShopConfig(n_users=n_users, n_items=n_items, n_days=n_days), n_epochs, seed) for seed in range(n_seeds)]
    ctr = {weight: np.concatenate([by_weight[weight] for by_weight in found]) for weight in WEIGHTS}
    person = np.arange(len(ctr[0.0]))
    rows: list[dict[str, object]] = []
    for weight in WEIGHTS:
        gain = mean_difference(ctr[weight], ctr[0.0], person, 1000, 0)
        rows.append(
            {
                "weight": weight,
                "people": len(person),
                "ctr": f"{ctr[weight].mean():.5f}",
                "gain": f"{gain.difference:+.5f}",
                "low": f"{gain.low:+.5f}",
                "high": f"{gain.high:+.5f}",
            }
        )
    return rows


def one(config: ShopConfig, n_epochs: int, seed: int) -> dict[float, Floats]:
    """True click-through rate of every person's new list, by weight."""
    shop, rng, people = simulate(config, seed), np.random.default_rng(seed), PeopleConfig()
    crowd = crowd_at(shop.items, shop.truth, config.end)
    known = shop.events.filter(pl.col("item_id").is_not_null()).sort("occurred_at")
    user, item = crowd.users(known["user_id"]), crowd.items(known["item_id"])
    time = known["occurred_at"].dt.epoch("s").to_numpy()
    first = lists_of(dataset_of(crowd, user, item, time), None, n_epochs, seed)
    end = int((config.end + timedelta(hours=1)).timestamp())
    visitor = np.tile(np.flatnonzero(first[:, 0] >= 0), VISITS)
    at = end + np.repeat(np.arange(VISITS) * DAY_S, len(visitor) // VISITS) + rng.integers(0, DAY_S // 2, len(visitor))
    lists = first[visitor]
    looks = look(wish(crowd, people, visitor, lists), people, rng)
    who, place = np.nonzero(looks.clicked)
    data = dataset_of(
        crowd,
        np.concatenate([user, visitor[who]]),
        np.concatenate([item, lists[who, place]]),
        np.concatenate([time, at[who] + 1 + 2 * place]),
    )
    left, left_place = np.nonzero(~looks.clicked & (lists >= 0))
    passed = Shown(visitor[left], lists[left, left_place], at[left], DAY_S, 0.0)
    results = {}
    for weight in WEIGHTS:
        new = lists_of(data, replace(passed, weight=weight) if weight else None, n_epochs, seed)
        chance = wish(crowd, people, np.arange(len(new)), new)
        results[weight] = click_probability(chance, people).mean(1).astype(np.float32)[new[:, 0] >= 0]
        print(f"seed {seed}, weight {weight:g}: {results[weight].mean():.5f}", flush=True)
    return results


def dataset_of(crowd: Crowd, user: Ints, item: Ints, time: Ints) -> Dataset:
    """The events as a night loads them, with all users of the crowd."""
    order = np.argsort(time, kind="stable")
    kind = np.ones(len(order), np.int64)
    n_items = len(crowd.item_ids)
    events = Events.build(user[order], item[order], kind, time[order], np.ones(len(order), np.float32), n_items=n_items, n_kinds=2)
    catalog = Catalog(tuple(crowd.item_ids), crowd.is_on_sale)
    return Dataset(events, tuple(crowd.user_ids[: events.n_users]), catalog, tuple(crowd.item_ids), ("other", "view"), "none", 0)


def lists_of(data: Dataset, shown: Shown | None, n_epochs: int, seed: int) -> Ints:
    """Rows of the items of the lists that a night makes, [users, 10]; -1 for users without events."""
    train = TrainConfig(max_epochs=n_epochs, patience=n_epochs, minutes=60, device="cpu")
    evaluation = EvaluationConfig(max_events=1000, n_bootstrap=20)
    learnt = learning.learn(data, MODEL, train, evaluation, seed, shown=shown)
    with tempfile.TemporaryDirectory(prefix="minutehand-bench-") as folder:
        learning.complete(data, learnt, MODEL, train, IncrementConfig(), seed, Path(folder))
        made = learning.make_lists(data, learnt.evaluator.trend, Path(folder), PublishConfig(n_recommendations=10, n_similar=1))
    lists = np.full((len(data.user_ids), 10), -1)
    lists[:, : made.users.item.shape[1]] = made.users.item[: len(lists)]
    lists[np.diff(data.events.offsets) == 0] = -1
    return lists


if __name__ == "__main__":
    main()
