"""The two protocols: held-out events, no leaks from the future, the score of chance, and planted structure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.config import EvaluationConfig
from models.errors import UserError
from models.evaluation.baselines import BASELINES, best_baseline, rank_baseline, rank_scores
from models.evaluation.comparison import differences, rank_recommender, summary
from models.evaluation.evaluator import Evaluator
from models.evaluation.item_knn import ItemKnn
from models.evaluation.protocols import Task, leave_one_out, make_task, temporal
from models.events import Events, Floats, Ints, TemporalSplit
from models.metrics.ranking import Ranking
from models.metrics.summary import means, nest_by_model
from models.night import fit_past
from models.ranking.blend import starting_blend
from models.sequence.weights import Weights
from tests.models.planted import HOUR, QUICK, TINY, make_events, random_events, random_text, shaken, walks

CONFIG = EvaluationConfig(n_bootstrap=200)
SHORT = QUICK.model_copy(update={"max_epochs": 2})
PROTOCOLS = pytest.mark.parametrize("protocol", ["temporal", "leave-one-out"])


def rank_all(task: Task, text: Floats, seed: int = 0) -> dict[str, Ranking]:
    """The recommender after two epochs, and the baselines."""
    found = fit_past(task.evaluator, task.split, task.validation, text, TINY, SHORT, seed)
    rankings = {"minutehand": rank_recommender(task.evaluator, found.weights, found.blend, task.test)}
    return rankings | {name: rank_baseline(name, task)[0] for name in BASELINES}


def with_items(events: Events, rows: np.ndarray, seed: int) -> Events:
    """Other items in some rows."""
    item = events.item.copy()
    item[rows] = np.random.default_rng(seed).permutation(item[rows])
    return replace(events, item=item)


def test_leave_one_out_tests_on_the_last_event_and_chooses_by_the_one_before() -> None:
    events = make_events([(0, 0, 1), (0, 1, 2), (0, 2, 3), (0, 3, 4), (1, 4, 5), (1, 5, 6), (2, 0, 1), (2, 1, 9), (2, 2, 9)], n_items=6)
    task = leave_one_out(events, CONFIG, seed=0)
    assert events.item[task.test].tolist() == [3, 2]
    assert events.item[task.validation].tolist() == [2, 1]
    assert task.train.item.tolist() == [0, 1, 4, 5, 0], "user 1 has too few events to be tested, and is learnt from in full"


@pytest.mark.slow
def test_temporal_is_the_cut_and_the_fit_of_a_night() -> None:
    events = random_events()
    task = temporal(events, CONFIG, seed=3)
    assert task.split is not None
    assert (events.time[task.test] >= task.split.test_from).all()
    text = random_text(events.n_items)
    ours = fit_past(task.evaluator, task.split, task.validation, text, TINY, SHORT, seed=3)
    night = fit_past(task.evaluator, task.split, task.validation, text, TINY, SHORT, 3)
    assert torch.equal(ours.weights.item_vectors(), night.weights.item_vectors())
    assert task.split == TemporalSplit.by_quantile(events.time, CONFIG.train_share, CONFIG.validation_share)
    assert (task.train.time < task.split.validation_from).all()


def test_shuffling_the_targets_of_leave_one_out_changes_no_prediction() -> None:
    events = random_events(n_users=25, n_events=400)
    text = random_text(events.n_items)
    task = leave_one_out(events, CONFIG, seed=0)
    other = leave_one_out(with_items(events, task.test, seed=1), CONFIG, seed=0)
    assert not np.array_equal(events.item[task.test], other.evaluator.events.item[other.test])
    shuffled = rank_all(other, text)
    for name, ranking in rank_all(task, text).items():
        assert np.array_equal(ranking.top, shuffled[name].top), name


@pytest.mark.slow
def test_the_same_seed_gives_the_same_predictions() -> None:
    task = leave_one_out(random_events(), CONFIG, seed=0)
    text = random_text(task.train.n_items)
    one, two = (rank_all(task, text, seed=5)["minutehand"] for _ in range(2))
    assert np.array_equal(one.top, two.top)


def test_shuffling_validation_items_changes_no_popularity_of_leave_one_out() -> None:
    events = random_events(n_users=25, n_events=400)
    task = leave_one_out(events, CONFIG, seed=0)
    other = leave_one_out(with_items(events, task.validation, seed=1), CONFIG, seed=0)
    rows = np.setdiff1d(np.arange(len(events)), task.validation)
    assert np.array_equal(task.evaluator.trend[rows], other.evaluator.trend[rows])
    for (_, ours), (_, theirs) in zip(task.evaluator.blocks(task.test), other.evaluator.blocks(task.test), strict=True):
        assert torch.equal(ours, theirs)


def test_shuffling_the_future_changes_no_prediction_before_it() -> None:
    events = random_events(n_users=25, n_events=600)
    text = random_text(events.n_items)
    task = temporal(events, CONFIG, seed=0)
    now = int(np.median(events.time[task.test]))
    other = temporal(with_items(events, np.flatnonzero(events.time >= now), seed=1), CONFIG, seed=0)
    before = events.time[task.test] < now
    assert 0 < before.sum() < len(before)
    shuffled = rank_all(other, text)
    for name, ranking in rank_all(task, text).items():
        assert np.array_equal(ranking.of(before).top, shuffled[name].of(before).top), name


def test_popularity_of_leave_one_out_counts_training_events_before_the_slot() -> None:
    day = 24 * HOUR
    events = make_events([(0, 0, 0), (0, 1, 5 * day), (0, 1, 6 * day), (1, 2, 2 * day), (1, 2, 7 * day), (1, 2, 8 * day)], n_items=4)
    task = leave_one_out(events, CONFIG, seed=0)
    assert task.train.item.tolist() == [0, 2]
    all_time = 6
    shares = {int(events.time[rows[0]] // day): features[:, all_time].tolist() for rows, features in task.evaluator.blocks(np.arange(6))}
    assert shares[2] == [1, 0, 0, 0]
    assert shares[8] == [0.5, 0, 0.5, 0], "held-out events are not counted, however early they are"


@PROTOCOLS
def test_a_constant_scorer_gets_what_chance_gets_when_ties_count_against_it(protocol: str) -> None:
    events = random_events(n_users=30, n_events=500, n_items=40)
    task = make_task(protocol, events, CONFIG, seed=0)
    constant = rank_scores(task, lambda rows: torch.zeros(len(rows), events.n_items))
    found = means(constant)
    assert (found["hr_at_10"], found["ndcg_at_10"]) == (0, 0), "all tie, so the target comes after all others"
    drawn = torch.Generator().manual_seed(0)
    chance = [rank_scores(task, lambda rows: torch.rand(len(rows), events.n_items, generator=drawn)).hr_at_10.mean() for _ in range(40)]
    history, seen = task.test - events.offsets[events.user[task.test]], []
    for row, length in zip(task.test, history, strict=True):
        before = set(events.item[row - length : row].tolist()) if task.evaluator.hide_seen else set()
        seen.append(0 if events.item[row] in before else 10 / (events.n_items - len(before)))
    assert np.mean(chance) == pytest.approx(np.mean(seen), rel=0.1)


@pytest.mark.slow
@PROTOCOLS
def test_a_walk_round_the_catalogue_is_learnt(protocol: str) -> None:
    events = walks()
    task = make_task(protocol, events, CONFIG, seed=0)
    found = fit_past(task.evaluator, task.split, task.validation, np.zeros((events.n_items, 8), np.float32), TINY, QUICK, 0)
    ours = rank_recommender(task.evaluator, found.weights, found.blend, task.test)
    assert (ours.rank == 1).mean() > 0.9
    rankings = {"minutehand": ours} | {name: rank_baseline(name, task)[0] for name in BASELINES}
    less = differences(task, rankings, CONFIG, seed=0)
    assert set(less) == set(BASELINES)
    assert [name for name, found in less.items() if found["is_best_baseline"]] == [best_baseline(rankings)] == ["item_knn"]
    for name in ("most_popular", "recent_popular"):
        assert less[name]["low"] > 0
        assert less[name]["low"] <= less[name]["ndcg_at_10"] <= less[name]["high"]


@pytest.mark.slow
def test_text_places_an_item_without_events_among_its_kind() -> None:
    """Every user keeps to one of two kinds of items, and their last event is on an item without training events."""
    rng, n_users, n_items = np.random.default_rng(0), 60, 40
    rows = [(user, 2 * int(rng.integers(0, 15)) + user % 2, 10 * HOUR * step + user) for user in range(n_users) for step in range(8)]
    rows += [(user, 30 + 2 * (user // 2 % 5) + user % 2, 100 * HOUR + user) for user in range(n_users)]
    events = make_events(rows, n_items=n_items)
    kind = np.eye(2, dtype=np.float32)[np.arange(n_items) % 2]
    text = np.hstack([kind, 0.3 * random_text(n_items, 14)]).astype(np.float32)
    task = leave_one_out(events, CONFIG, seed=0)
    assert task.segments["warm_user_cold_item"].all()
    nearer = []
    for known in (text, np.zeros_like(text)):
        vectors = fit_past(task.evaluator, task.split, task.validation, known, TINY, QUICK, 0).weights.item_vectors().numpy()
        cosine, is_own = vectors[30:] @ vectors[:30].T, (kind @ kind.T)[30:, :30] > 0
        nearer.append(cosine[is_own].mean() - cosine[~is_own].mean())
    assert nearer[0] > 0.1 > abs(nearer[1])


def baskets(n_users: int = 30, n_weeks: int = 8, seed: int = 0) -> Events:
    """Each week every user takes four items at one moment, one of them again 59 s later, and another a minute after that."""
    rng = np.random.default_rng(seed)
    rows = []
    for user, week in np.ndindex(n_users, n_weeks):
        item, moment = rng.permutation(20)[:4], 168 * HOUR * week + HOUR * user
        rows += [(user, int(each), moment) for each in item] + [(user, int(item[0]), moment + 59), (user, int(item[1]), moment + 119)]
    return make_events(rows, n_items=20)


@pytest.mark.parametrize("seen_items", ["show", "hide"])
@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_is_served_from_lists_a_minute_old_and_only_lists_that_knew_less_are_ranked_again(name: str, seen_items: str) -> None:
    events = baskets()
    task = temporal(events, CONFIG.model_copy(update={"seen_items": seen_items}), seed=0)
    asked: list[int] = []

    def rank(evaluator: Evaluator, rows: Ints) -> Ranking:
        asked.append(len(rows))
        if name == "item_knn":
            return evaluator.rank_item_knn(rows, knn)
        return evaluator.rank_popularity(rows, 1)

    knn = ItemKnn(task.train)
    found = task.rank(rank, uses_history=name == "item_knn" or seen_items == "hide")
    served = replace(task.evaluator, delay_s=60)
    assert found.served is not None
    assert found.served.tolist() == rank(served, task.test).rank.tolist()
    assert found.rank.tolist() == rank(task.evaluator, task.test).rank.tolist()
    n_less = int((~np.isin(events.position[task.test] % 6, [0, 5])).sum())
    assert asked[:-2] == ([len(task.test), n_less] if name == "item_knn" or seen_items == "hide" else [len(task.test)])
    assert rank_baseline(name, task)[0].served is not None


def test_the_recommender_is_served_from_what_was_known_a_minute_before() -> None:
    events = baskets()
    task = temporal(events, CONFIG, seed=0)
    model = shaken(events.n_items)
    weights = Weights(model, torch.zeros(TINY.dim), torch.zeros(events.n_items))
    blend = starting_blend(task.evaluator.trend_scale(None))

    def rank(evaluator: Evaluator, rows: Ints) -> Ranking:
        return rank_recommender(evaluator, weights, blend, rows)

    found = task.rank(rank)
    same_minute = ~np.isin(events.position[task.test] % 6, [0, 5])
    assert found.served is not None
    assert np.array_equal(found.served[~same_minute], found.rank[~same_minute])
    assert not np.array_equal(found.served[same_minute], found.rank[same_minute])
    late = replace(task.evaluator, delay_s=60)
    whole = rank(late, task.test)
    assert np.abs(found.served - whole.rank).mean() < 0.5, "up to the rounding of bfloat16"
    fourth = task.test[events.position[task.test] % 6 == 3][:1]
    others_of_it = np.isin(np.arange(len(events)), [fourth - 1, fourth - 2, fourth - 3])
    changed = replace(events, item=np.where(others_of_it, (events.item + 3) % events.n_items, events.item))
    assert rank(replace(late, events=changed), fourth).top.tolist() == rank(late, fourth).top.tolist()
    assert rank(replace(task.evaluator, events=changed), fourth).top.tolist() != rank(task.evaluator, fourth).top.tolist()


def test_leave_one_out_goes_by_order_and_has_no_served_lists() -> None:
    task = leave_one_out(baskets(), CONFIG, seed=0)
    assert task.served is None
    assert rank_baseline("item_knn", task)[0].served is None


def test_trendiness_is_computed_once_for_both_kinds_of_lists() -> None:
    task = temporal(baskets(), CONFIG, seed=0)
    assert task.evaluator.trend is not None
    assert task.served is not None
    assert task.served.trend is task.evaluator.trend
    assert task.served.with_kinds(np.zeros(len(task.evaluator.events), np.int64), 1).trend is task.evaluator.trend


def test_segments_count_every_test_event_once_and_empty_ones_have_no_figure() -> None:
    events = random_events()
    task = leave_one_out(events, CONFIG, seed=0)
    found = nest_by_model(summary(task, {"most_popular": rank_baseline("most_popular", task)[0]}))["most_popular"]
    assert sum(part["n_events"] for part in found["segments"].values()) == len(task.test)
    assert found["segments"]["cold_user_warm_item"] == {"n_events": 0, "ndcg_at_10": None, "hr_at_10": None, "mrr": None}


def test_a_protocol_without_training_or_test_events_is_refused_and_the_message_names_the_other() -> None:
    at_once = make_events([(0, n, 5) for n in range(4)], n_items=4)
    with pytest.raises(UserError, match="--protocol leave-one-out"):
        make_task("temporal", at_once, CONFIG, seed=0)
    assert make_task("leave-one-out", at_once, CONFIG, seed=0).evaluator.is_counted is not None
    strangers = make_events([(n, n, n) for n in range(4)], n_items=4)
    with pytest.raises(UserError, match="--protocol temporal"):
        make_task("leave-one-out", strangers, CONFIG, seed=0)
    assert make_task("temporal", strangers, CONFIG, seed=0).evaluator.is_counted is None
