"""Latency of one user's list on one thread: python -m bench.ranking [--items 1200 10000 100000].

An untrained model with random texts ranks items for a user of a hundred events, as in an API: the version and the user's events are in
memory. `first_ms` is the first call of a version, which computes the item state; `p50_ms` and `p99_ms` are later calls;
`per_call_ms` computes the item state in each call.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np
import torch

from bench.table import keep
from models.config import RecommenderConfig
from models.device import CPU
from models.events import Events
from models.night import new_model
from models.ranking.blend import starting_blend
from models.ranking.prior import Popularity
from models.ranking.scorer import Scorer
from models.sequence.weights import Weights

N_EVENTS, N_POPULAR, DAY_S = 100, 200_000, 86_400


def make_scorer(n_items: int, seed: int) -> Scorer:
    """A scorer of a random version; one item in twenty is new to the model, one in fifty is not available."""
    generator = np.random.default_rng(seed)
    config = RecommenderConfig()
    text = generator.standard_normal((n_items, config.dim)).astype(np.float32)
    model = new_model(config, text / np.linalg.norm(text, axis=1, keepdims=True), 2, CPU, seed).eval()
    popularity = Popularity(n_items)
    item, time_s = generator.integers(0, n_items, N_POPULAR), np.sort(generator.integers(0, 30 * DAY_S, N_POPULAR))
    popularity.advance(30 * DAY_S, item, time_s, np.ones(N_POPULAR, np.float32))
    weights = Weights(model, torch.from_numpy(text[:50].mean(0)), torch.from_numpy((generator.random(n_items) < 0.05).astype(np.float32)))
    blend = starting_blend(np.array([0.0, 1.0], np.float32))
    return Scorer(weights, blend, torch.from_numpy(popularity.features()), generator.random(n_items) > 0.02, False, 30 * DAY_S)


def one_user(n_items: int, seed: int) -> Events:
    """The history of a user."""
    generator = np.random.default_rng(seed)
    time_s = np.sort(generator.integers(29 * DAY_S, 30 * DAY_S, N_EVENTS))
    zeros, item = np.zeros(N_EVENTS, np.int64), generator.integers(0, n_items, N_EVENTS)
    return Events.build(zeros, item, zeros, time_s, np.ones(N_EVENTS, np.float32), n_items=n_items, n_kinds=2)


def milliseconds(scorer: Scorer, events: Events, k: int) -> float:
    """Milliseconds to rank one list."""
    begun = time.perf_counter()
    scorer.rank(events, 1, k)
    return 1000 * (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[1200, 10_000, 100_000])
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--calls", type=int, default=200)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for n_items in given.items:
        scorer = make_scorer(n_items, 7)
        users = [one_user(n_items, seed) for seed in range(given.calls + 5)]
        first = milliseconds(scorer, users[0], given.k)
        taken = [milliseconds(scorer, events, given.k) for events in users[1:]][4:]
        per_call = []
        for events in users[:20]:
            weights = replace(scorer.weights)  # a copy without cached values
            per_call.append(milliseconds(replace(scorer, weights=weights), events, given.k))
        p50, p99 = np.percentile(taken, [50, 99])
        found = {"p50_ms": p50, "p99_ms": p99, "first_ms": first, "per_call_ms": float(np.median(per_call))}
        rows.append({"items": n_items, **{name: round(float(value), 2) for name, value in found.items()}})
    keep("ranking", rows)


if __name__ == "__main__":
    main()
