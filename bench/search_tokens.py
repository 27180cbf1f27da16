"""What searches as tokens of the sequence model are worth, what they cost, and how they bear minutes: python -m bench.search_tokens.

On a simulated shop whose people search before they click, one for each of --seeds. `--short` takes a shop of 600 people, for a quick look,
and `--lists` leaves out the minutes, which take the longest.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from bench.searches import read_shop
from bench.table import keep
from models.config import EncoderConfig, EvaluationConfig, IncrementConfig, RecommenderConfig, TrainConfig
from models.evaluation.comparison import rank_recommender
from models.events import Events
from models.metrics.intervals import mean_difference
from models.metrics.ranking import Ranking
from models.online.replay import ReplayConfig, ReplayResult, known_policies, replay
from models.simulation.shop import ShopConfig, simulate
from models.text.towers import Words
from models.version.checkpoint import Checkpoint
from tasks.night.dataset import Dataset
from tasks.night.learning import FittedNight, completed, learn
from tasks.night.words import learn_words
from tasks.offline.replay import border, known_at
from tasks.searches import SearchLog

MODEL, EVALUATION, INCREMENT = RecommenderConfig(), EvaluationConfig(), IncrementConfig()
LEARNING, FRESH = "nightly_and_increments", "nightly_fresh_lists"
API_DELAY_S = 1
"""Age of a list that the API makes when it is asked."""
Row = dict[str, object]


def before(log: SearchLog, until: int) -> SearchLog | None:
    """The searches before a time; None without any."""
    is_past = log.rows["time_s"].to_numpy() < until
    return replace(log, rows=log.rows.filter(is_past), text=log.text[is_past]) if is_past.any() else None


def compared(name: str, one: Ranking, other: Ranking, user: np.ndarray, seed: int) -> list[Row]:
    """A row for each measure that both rankings have: with the previous event and search known, and as tables serve them."""
    rows: list[Row] = []
    for metric in ("ndcg_at_10",) if one.served is None else ("ndcg_at_10", "ndcg_at_10_served"):
        ours, theirs = getattr(one, metric), getattr(other, metric)
        gain = mean_difference(ours, theirs, user, EVALUATION.n_bootstrap, seed)
        figures = {"without": theirs.mean(), "with": ours.mean(), "gain": gain.difference, "low": gain.low, "high": gain.high}
        rows.append({"what": name, "metric": metric, "n": len(ours)} | {key: round(float(v), 4) for key, v in figures.items()})
    return rows


def timed(data: Dataset, train: TrainConfig, seed: int, searches: SearchLog | None) -> tuple[FittedNight, float]:
    """A night's training before the hold-out, and its seconds of processor time for each epoch."""
    begun = time.process_time()
    learnt = learn(data, MODEL, train, EVALUATION, seed, searches=searches)
    return learnt, (time.process_time() - begun) / max(len(learnt.fit.curve.loss), 1)


def lists(data: Dataset, log: SearchLog, words_of: Callable[[FittedNight], Words | None], train: TrainConfig, seed: int) -> list[Row]:
    """What tokens add to lists without searches and to lists with the term, on the test events."""
    plain, plain_s = timed(data, train, seed, None)
    read, read_s = timed(data, train, seed, log)
    keeps = read.fit.weights.model.searches is not None
    evaluator = replace(plain.task.evaluator, searches=read.evaluator.searches)
    termed = replace(plain, task=replace(plain.task, evaluator=evaluator))
    ranked = {}
    for name, learnt in (("term", termed), ("tokens", read)):
        ranked[name] = ranking(learnt, words_of(learnt))
    ranked["plain"] = ranking(plain, None)
    user = evaluator.events.user[plain.task.test]
    rows = [row for other in ("plain", "term") for row in compared(f"tokens-{other}", ranked["tokens"], ranked[other], user, seed)]
    share = len(log.rows) / len(data.events)
    print(f"tokens kept: {keeps}; searches per event {share:.3f}; CPU seconds per epoch {plain_s:.2f} without, {read_s:.2f} with them")
    return rows


def ranking(learnt: FittedNight, words: Words | None) -> Ranking:
    """The test events, ranked by a night's model."""
    weights, blend = learnt.fit.weights, learnt.fit.blend
    return learnt.task.rank(lambda evaluator, rows: rank_recommender(evaluator, weights, blend, rows, words))


def minutes(data: Dataset, log: SearchLog, train: TrainConfig, seed: int, hours: float, step_s: int) -> list[Row]:
    """The same stretch of time with and without tokens, each with increments and without, from the last tenth of the events on."""
    since = border(data.events, 0.9)
    evaluator, recent = known_at(since, data.events, EVALUATION)
    config = ReplayConfig(since, since + round(3600 * hours), step_s, 10**9, API_DELAY_S, recent, MODEL.max_events, seed)
    policies = [policy for policy in known_policies(INCREMENT) if policy.name in (LEARNING, FRESH)]

    def run(searches: SearchLog | None) -> ReplayResult:
        def night(events: Events, now: int) -> Checkpoint:
            part = replace(data, events=events)
            learnt = learn(part, MODEL, train, EVALUATION, seed, searches=None if searches is None else before(searches, now))
            return completed(part, learnt, MODEL, train, INCREMENT, seed)

        known = None if searches is None else searches.of_users(data.user_ids)
        return replay(replace(evaluator, searches=known), policies, night, config)

    plain, read = run(None), run(log)
    user = evaluator.events.user[plain.rows]
    return [
        *compared("tokens-plain, minutes", read.rankings[LEARNING], plain.rankings[LEARNING], user, seed),
        *compared("minutes-night, plain", plain.rankings[LEARNING], plain.rankings[FRESH], user, seed),
        *compared("minutes-night, tokens", read.rankings[LEARNING], read.rankings[FRESH], user, seed),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seeds", type=int, nargs="+", default=[7])
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--items", type=int, default=1200)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--hours", type=float, default=24, help="length of the replay")
    parser.add_argument("--step", type=int, default=60, help="seconds between two increments")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--lists", action="store_true", help="without the replay of minutes")
    options = parser.parse_args()
    if options.short:
        options.users, options.items, options.epochs, options.hours, options.step = 600, 600, 8, 48.0, 1800
    torch.set_num_threads(options.threads)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    encoder, train = EncoderConfig(), TrainConfig(max_epochs=options.epochs, minutes=600.0)
    rows: list[Row] = []
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as folder:
            shop = simulate(ShopConfig(n_users=options.users, n_items=options.items), seed)
            lake, data, log = read_shop(shop, encoder, Path(folder))
            assert log is not None, "the people of the shop search"
            rows += of_seed(seed, lists(data, log, partial(learn_words, lake, data, encoder=encoder, seed=seed), train, seed))
        keep("search_tokens", rows)
        if not options.lists:
            rows += of_seed(seed, minutes(data, log, train, seed, options.hours, options.step))
            keep("search_tokens", rows)


def of_seed(seed: int, rows: list[Row]) -> list[Row]:
    return [{"seed": seed} | row for row in rows]


if __name__ == "__main__":
    main()
