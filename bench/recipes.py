"""Comparison of settings of increments, by replay of the validation period: python -m bench.recipes [--only yoochoose-clicks ...].

There is one night at the beginning and none after it, so that increments make all gains. The periods end at 80 % of the events,
before the test data of all protocols.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path

import torch

from bench.peers.__main__ import DATA, ITEMS
from bench.table import keep, there
from models.config import EncoderConfig, EvaluationConfig, IncrementConfig, RecommenderConfig, TrainConfig
from models.metrics.intervals import bootstrap_interval
from models.online.replay import Policy, ReplayConfig, replay
from tasks.config import IngestConfig
from tasks.ingest.sources import ColumnMapping
from tasks.offline.files import Files, load
from tasks.offline.replay import Nights, ReplaySettings, border, known_at

STRETCHES = {"movietweetings": (0.74, 0.8, 6), "online-retail": (0.76, 0.8, 2), "yoochoose-clicks": (0.76, 0.8, 6)}
"""Per data set: first and last share of the events, and hours per step."""

RECIPES: dict[str, dict[str, float]] = {
    "popularity": {"delta_rate": 0, "dense_rate": 0, "blend_rows": 0},
    "popularity, blend": {"delta_rate": 0, "dense_rate": 0},
    "popularity, blend, deltas of touched items": {"dense_rate": 0},
    "popularity, all weights, but no blend": {"blend_rows": 0},
    "all, the blend held less": {"blend_pull": 0.01},
    "all, without replay": {"replay_per_new": 0},
    "all, without the pull to the night": {"anchor_pull": 0},
    "all, without replay and pull": {"replay_per_new": 0, "anchor_pull": 0},
    "all": {},
}


def run(name: str, folder: Path, minutes: float, threads: int, seed: int) -> list[dict[str, object]]:
    """One row per recipe: NDCG@10 on the same events, and the 95 % interval of its gain over no learning."""
    since_share, until_share, step_h = STRETCHES[name]
    _, events, items, mapping = DATA[name]
    files = Files(str(folder / name / events), str(folder / name / items) if items else None, mapping, ITEMS.get(name, ColumnMapping()))
    data = load(files, IngestConfig(), encoder=EncoderConfig() if items else None, threads=threads).dataset
    since, until = border(data.events, since_share), border(data.events, until_share)
    data = replace(data, events=data.events.before(until))
    evaluation = EvaluationConfig()
    evaluator, recent = known_at(since, data.events, evaluation)
    recipe = ReplaySettings(
        *(IngestConfig(), EncoderConfig(), RecommenderConfig(), TrainConfig(minutes=minutes), evaluation),
        increment=IncrementConfig(),
        seed=seed,
        threads=threads,
    )
    learning = [
        Policy(label, has_fresh_lists=True, learns=True, has_nights=False, increment=IncrementConfig().model_copy(update=changes))
        for label, changes in RECIPES.items()
    ]
    policies = [Policy("nothing", has_fresh_lists=True, learns=False, has_nights=False), *learning]
    config = ReplayConfig(since, until, step_h * 3600, night_s=10**9, recent_column=recent, seed=seed)
    done = replay(evaluator, policies, Nights(data, recipe), config)
    base = done.rankings["nothing"].ndcg_at_10
    rows = []
    for label, ranking in done.rankings.items():
        low, high = bootstrap_interval(ranking.ndcg_at_10 - base, evaluator.events.user[done.rows], evaluation.n_bootstrap, seed)
        figures = {"ndcg_at_10": round(float(ranking.ndcg_at_10.mean()), 4), "gain_low": round(low, 4), "gain_high": round(high, 4)}
        rows.append(
            {"data": name, "learnt": f"{label:<44}", **figures, "s_per_step": round(done.seconds[label], 2), "events": len(done.rows)}
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", nargs="+", choices=STRETCHES, default=list(STRETCHES))
    parser.add_argument("--minutes", type=float, default=0.7, help="budget of the night")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    torch.set_num_threads(given.threads)
    names = there(given.only, given.data)
    keep("recipes", [row for name in names for row in run(name, given.data, given.minutes, given.threads, given.seed)])


if __name__ == "__main__":
    main()
