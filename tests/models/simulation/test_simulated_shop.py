"""The simulated shop: the model finds the structure that was planted in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
import torch

from models.config import EncoderConfig, EvaluationConfig, RecommenderConfig, TrainConfig
from models.evaluation.baselines import BASELINES, rank_baselines
from models.evaluation.comparison import gains_over_baseline, rank_recommender, summary
from models.evaluation.evaluator import Evaluator, make_evaluator
from models.evaluation.protocols import Task, held_out
from models.events import Events, Ints, TemporalSplit
from models.night import Fit, fit_past
from models.ranking.prior import Popularity
from models.ranking.scorer import Scorer
from models.simulation.shop import Shop, ShopConfig, simulate
from models.text.encoder import load_encoder

MODEL = RecommenderConfig(dim=32, n_blocks=1, n_heads=2, dropout=0.1, max_events=30)
TRAINING = TrainConfig(max_epochs=6, patience=3, minutes=1.0, learning_rate=5e-3, batch_events=1024, device="cpu")
EVALUATION = EvaluationConfig(n_bootstrap=300)


@dataclass(frozen=True)
class TrainedShop:
    """A small shop in which every seventh item is launched after four fifths of the events, and a model trained up to then."""

    shop: Shop
    user_ids: list[str]
    evaluator: Evaluator
    split: TemporalSplit
    validation: Ints
    test: Ints
    fit: Fit


@pytest.fixture(scope="module")
def learnt() -> TrainedShop:
    shop = simulate(ShopConfig(n_users=250, n_items=240, n_days=40), seed=1)
    visits = shop.events.drop_nulls("item_id").sort("occurred_at", "event_id")
    launch_s = int(np.quantile(visits["occurred_at"].dt.epoch("s"), 0.8))
    late = shop.items["item_id"].sample(fraction=0.15, seed=0)
    visits = visits.filter((pl.col("occurred_at").dt.epoch("s") >= launch_s) | ~pl.col("item_id").is_in(late.implode()))
    user_ids, kinds = visits["user_id"].unique().sort().to_list(), visits["event_type"].unique().sort().to_list()
    user, item, kind = (
        visits[column].replace_strict(names, range(len(names)), return_dtype=pl.Int64).to_numpy()
        for column, names in (("user_id", user_ids), ("item_id", shop.items["item_id"].to_list()), ("event_type", kinds))
    )
    time = visits["occurred_at"].dt.epoch("s").to_numpy()
    weight = np.ones(len(time), np.float32)
    events = Events.build(user, item, kind, time, weight, n_items=shop.items.height, n_kinds=len(kinds))
    encoder = load_encoder(EncoderConfig(max_tokens=32), torch.device("cpu"))
    text = encoder.encode(
        shop.items.select(pl.concat_str("title", pl.col("categories").list.join(", "), separator=". "))["title"].to_list()
    )
    evaluator = make_evaluator(events, EVALUATION)
    split = TemporalSplit(launch_s, int(np.quantile(time[time >= launch_s], 0.5)))
    validation, test = held_out(events, split, 1000, seed=0)
    fit = fit_past(evaluator, split, validation, text, MODEL, TRAINING, seed=0)
    return TrainedShop(shop, user_ids, evaluator, split, validation, test, fit)


@pytest.mark.slow
def test_the_recommender_beats_all_three_baselines_clearly(learnt: TrainedShop) -> None:
    evaluator, split, test = learnt.evaluator, learnt.split, learnt.test
    task = Task(evaluator, evaluator.events.before(split.validation_from), learnt.validation, test, split)
    weights, blend = learnt.fit.weights, learnt.fit.blend
    rankings = {"minutehand": task.rank(lambda rules, rows: rank_recommender(rules, weights, blend, rows)), **rank_baselines(task)}
    rows = {(row.model, row.segment, row.metric): row for row in summary(task, rankings)}
    ours = rows["minutehand", "all", "ndcg_at_10"].value
    theirs = [rows[name, "all", "ndcg_at_10"].value for name in BASELINES]
    assert ours is not None
    assert all(ours > 1.2 * (value or 0) > 0 for value in theirs)
    gains = gains_over_baseline(task, rankings, EVALUATION, seed=0)
    assert [gain.metric for gain in gains] == ["ndcg_at_10_served_lift", "ndcg_at_10_lift"]
    assert all((gain.low or 0) > 0 for gain in gains)
    assert (rows["minutehand", "warm_user_cold_item", "ndcg_at_10"].value or 0) > 0


@pytest.mark.slow
def test_a_cold_item_of_a_user_s_interest_ranks_above_a_random_cold_one(learnt: TrainedShop) -> None:
    asked = learnt.split.validation_from
    past = learnt.evaluator.events.before(asked)
    now, moment = Popularity(past.n_items), pl.lit(datetime.fromtimestamp(asked, UTC).replace(tzinfo=None))
    now.advance(asked, past.item, past.time, past.weight)
    weights = learnt.fit.weights
    scorer = Scorer(weights, learnt.fit.blend, torch.from_numpy(now.features()), np.ones(past.n_items, bool), hide_seen=False, as_of=asked)
    place = np.argsort(scorer.rank(past, past.n_users, past.n_items).item, axis=1)
    cold_items = np.flatnonzero(weights.is_cold)
    place_among_cold = np.argsort(np.argsort(place[:, cold_items], axis=1), axis=1)

    cold = pl.DataFrame({"item_id": learnt.shop.items["item_id"][cold_items], "item": range(len(cold_items))})
    known = pl.DataFrame({"user_id": learnt.user_ids, "user": range(past.n_users), "n": np.diff(past.offsets)}).filter(pl.col("n") > 5)
    interests = (
        learnt.shop.truth.interests.filter((pl.col("since") <= moment) & (moment < pl.col("until"))).select("user_id", "leaf").unique()
    )
    pairs = interests.join(learnt.shop.truth.items, on="leaf").join(cold, on="item_id").join(known, on="user_id")
    is_wanted = np.zeros((past.n_users, len(cold_items)), bool)
    is_wanted[pairs["user"], pairs["item"]] = True
    assert is_wanted.sum() > 300
    assert place_among_cold[is_wanted].mean() < 0.8 * (len(cold_items) - 1) / 2, "a random one is in the middle"
    users = known["user"].to_numpy()
    first = place_among_cold[users].argmin(axis=1)
    assert is_wanted[users, first].mean() > 4 * is_wanted[users].mean(), "the best cold item is in an interest of the user"
