"""Event tables of every kind: weights stay finite, every user has a list, and no baseline beats the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from models.config import EvaluationConfig
from models.evaluation.baselines import BASELINES, rank_baselines
from models.evaluation.comparison import rank_recommender
from models.evaluation.protocols import Task, temporal
from models.events import Events, Floats, Ints
from models.metrics.intervals import bootstrap_interval
from models.metrics.ranking import Ranking
from models.night import Fit, fit_past
from models.online.increment import learn, with_popularity
from models.online.prequential import Queries, predict
from models.results import RankedLists
from models.version.checkpoint import Checkpoint, on_catalog_of, with_new_items
from tests.models.a_night import INCREMENT, completed
from tests.models.planted import HOUR, QUICK, TINY, make_events, random_text, walks

DAY = 24 * HOUR
YEAR = 365 * DAY
CERTAIN = 0.999
N_RESAMPLES = 4000
LEAST_USERS = 10
"""With fewer users, resampling users gives no reliable interval; then events are resampled."""
K = 10
METRICS = ("ndcg_at_10_served", "ndcg_at_10")
NIGHT = QUICK.model_copy(update={"max_epochs": 30, "patience": 6})
"""Small batches, so that a shop of a thousand events has a few steps per epoch."""


def zipf(rng: np.random.Generator, n: int, size: int, power: float) -> Ints:
    """Numbers below n, of which the first are far more likely the higher the power is; 0 makes all equal."""
    chance = np.arange(1, n + 1) ** -power
    return rng.choice(n, size, p=chance / chance.sum())


def drawn(
    seed: int, *, n_users: int, n_items: int, n_events: int, user_power: float = 0.0, item_power: float = 0.0, span: int = 60 * DAY
) -> Events:
    """Users, items and times drawn independently."""
    rng = np.random.default_rng(seed)
    user, item = zipf(rng, n_users, n_events, user_power), zipf(rng, n_items, n_events, item_power)
    return make_events(zip(user, item, rng.integers(0, span, n_events), strict=True), n_items=n_items)


def loyal(seed: int, *, n_users: int = 60, n_items: int = 40, n_each: int = 25) -> Events:
    """Every user returns to five personal items."""
    rng = np.random.default_rng(seed)
    own = rng.integers(0, n_items, (n_users, 5))
    rows = [(user, int(rng.choice(own[user])), int(rng.integers(0, 60 * DAY))) for user in range(n_users) for _ in range(n_each)]
    return make_events(rows, n_items=n_items)


def baskets(seed: int) -> Events:
    """Five simultaneous lines each week, of items that go together."""
    rng = np.random.default_rng(seed)
    rows = []
    for user, week in np.ndindex(40, 8):
        kind = rng.integers(0, 6)
        rows += [(user, int(kind * 8 + item), int(7 * DAY * week + HOUR * user)) for item in rng.permutation(8)[:5]]
    return make_events(rows, n_items=48)


def visits(seed: int) -> Events:
    """People who come once, click five times within a minute or two on items of one kind, and never come back."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(300):
        kind, moment = rng.integers(0, 10), int(rng.integers(0, 60 * DAY))
        rows += [(user, int(kind * 12 + zipf(rng, 12, 1, 0.7)[0]), moment + 25 * n) for n in range(5)]
    return make_events(rows, n_items=120)


def news(seed: int) -> Events:
    """Every day has five items of its own, which nobody wants the day after."""
    rng = np.random.default_rng(seed)
    time = rng.integers(0, 40 * DAY, 1500)
    item = time // DAY * 5 + zipf(rng, 5, 1500, 1.0)
    return make_events(zip(zipf(rng, 150, 1500, 0.5), item, time, strict=True), n_items=200)


def a_turn(seed: int) -> Events:
    """Popularity is reversed shortly before the test period, and stays so."""
    rng = np.random.default_rng(seed)
    time = np.sort(rng.integers(0, 60 * DAY, 1500))
    item = zipf(rng, 30, 1500, 1.2)
    return make_events(zip(rng.integers(0, 60, 1500), np.where(time > 50 * DAY, 29 - item, item), time, strict=True), n_items=30)


def outliers(seed: int) -> Events:
    """A few events are decades from all others, on either side."""
    events = loyal(seed)
    time = events.time + 40 * YEAR
    first, last = events.offsets[:6], events.offsets[7:12] - 1
    time[first] -= 39 * YEAR
    time[last] += 20 * YEAR
    return replace(events, time=time)


def a_robot(seed: int) -> Events:
    """One user clicks as often as all others together, every second on the next item."""
    crowd = loyal(seed)
    rows = [(60, n % 40, 58 * DAY + n) for n in range(len(crowd))]
    return make_events([*zip(crowd.user, crowd.item, crowd.time, strict=True), *rows], n_items=40)


def all_cold(seed: int) -> Events:
    """Every user and every item has exactly one event."""
    time = np.random.default_rng(seed).permutation(400) * HOUR
    return make_events(((n, n, int(moment)) for n, moment in enumerate(time)), n_items=400)


TABLES: dict[str, Callable[[int], Events]] = {
    "walks": lambda seed: walks(seed=seed),
    "loyal users": loyal,
    "baskets": baskets,
    "visits": visits,
    "news": news,
    "a turn": a_turn,
    "outliers in time": outliers,
    "a robot": a_robot,
    "all cold": all_cold,
    "nothing to learn": lambda seed: drawn(seed, n_users=80, n_items=60, n_events=1500),
    "skewed": lambda seed: drawn(seed, n_users=200, n_items=300, n_events=2000, user_power=1.1, item_power=1.2),
    "one user": lambda seed: drawn(seed, n_users=1, n_items=20, n_events=500, item_power=0.8),
    "one item": lambda seed: drawn(seed, n_users=50, n_items=1, n_events=500),
    "one moment": lambda seed: drawn(seed, n_users=50, n_items=20, n_events=500, item_power=1.0, span=1),
    "two moments": lambda seed: drawn(seed, n_users=50, n_items=20, n_events=500, item_power=1.0, span=2),
    "two items": lambda seed: drawn(seed, n_users=50, n_items=2, n_events=800, item_power=0.5),
    "a huge catalogue": lambda seed: drawn(seed, n_users=200, n_items=10_000, n_events=1500, item_power=1.0),
    "five events": lambda seed: drawn(seed, n_users=3, n_items=4, n_events=5),
}


@dataclass(frozen=True)
class Past:
    """The fit of a night on the past, and the rankings of the held-out events by all models."""

    task: Task
    text: Floats
    fit: Fit
    rankings: dict[str, Ranking]


def learn_past(events: Events, seed: int, text: Floats | None = None) -> Past:
    """The first half of a short night."""
    task = temporal(events, EvaluationConfig(), seed)
    vectors = np.zeros((events.n_items, 8), np.float32) if text is None else text
    fit = fit_past(task.evaluator, task.split, task.validation, vectors, TINY, NIGHT, seed)
    ours = task.rank(lambda evaluator, rows: rank_recommender(evaluator, fit.weights, fit.blend, rows))
    return Past(task, vectors, fit, {"minutehand": ours, **rank_baselines(task)})


def spend_minute(night: Checkpoint, events: Events, seed: int) -> tuple[Checkpoint, Events]:
    """A minute run with events of known and new users on old and new items; gives the version after it, and all events."""
    rng = np.random.default_rng(seed)
    live = with_new_items(night, ["new"], np.zeros((1, len(night.whitening.centre)), np.float32))
    n_items, as_of = len(live.catalog), live.as_of
    takers = np.unique([*rng.integers(0, events.n_users, 8), events.n_users])
    fresh = [(int(user), int(rng.integers(0, n_items)), as_of + n) for n, user in enumerate(takers)]
    fresh.append((int(takers[0]), n_items - 1, as_of + 20))
    every = make_events([*zip(events.user, events.item, events.time, strict=True), *fresh], n_items=n_items)
    row = np.flatnonzero(np.isin(every.user, takers))
    step = replace(every.where(np.isin(every.user, takers)), user=np.searchsorted(takers, every.user[row]), n_users=len(takers))
    is_new = step.time >= as_of
    known = step.where(~is_new)
    trend = np.full(len(known), np.nan, np.float32)
    asked = np.full(len(takers), as_of + 60)
    queries = Queries(known, asked, trend, step.user[is_new], step.item[is_new])
    candidates = predict(live.scorer(), queries, INCREMENT.blend_candidates).candidates
    learnt, verdict = learn(live, on_catalog_of(night, live), step, is_new, as_of + 21, candidates, INCREMENT, seed)
    return (learnt if verdict.passed else with_popularity(live, step, is_new, as_of + 21)), every


def demand_finite(version: Checkpoint) -> None:
    """All numbers of a version are finite."""
    assert all(bool(parameter.isfinite().all()) for parameter in version.live.model.parameters())
    assert version.live.item_vectors().isfinite().all()
    assert version.live.mean_vector.isfinite().all()
    for part in (version.blend.mixture, version.blend.gate, version.blend.repeat, version.blend.trend, version.popularity):
        assert np.isfinite(part).all()


def demand_lists(version: Checkpoint, events: Events) -> None:
    """Every user has as many items as can be shown, at most K, best first, without duplicates."""
    lists: RankedLists = version.scorer().rank(events, events.n_users, K)
    had = np.zeros(events.n_users, np.int64)
    if version.hide_seen:
        had += np.bincount(np.unique(events.user * events.n_items + events.item) // events.n_items, minlength=events.n_users)
    is_there = lists.item >= 0
    assert is_there.sum(1).tolist() == np.minimum(K, events.n_items - had).tolist()
    assert np.isfinite(lists.score).all()
    assert np.isfinite(lists.probability).all()
    for item, score, there in zip(lists.item, lists.score, is_there, strict=True):
        assert len(set(item[there])) == there.sum()
        assert (np.diff(score[there]) <= 0).all()


def ahead(*nights: Past) -> dict[tuple[str, str], tuple[float, float]]:
    """Baselines significantly better than minutehand, by metric, with the interval of the difference."""
    found = {}
    for name, metric in product(BASELINES, METRICS):
        more = np.concatenate([getattr(night.rankings[name], metric) - getattr(night.rankings["minutehand"], metric) for night in nights])
        users = [night.task.evaluator.events.user[night.task.test] * len(nights) + n for n, night in enumerate(nights)]
        user = np.concatenate(users)
        group = user if len(np.unique(user)) >= LEAST_USERS else np.arange(len(user))
        low, high = bootstrap_interval(more, group, N_RESAMPLES, 0, CERTAIN)
        if low > 0:
            found[name, metric] = (low, high)
    return found


def demand_sane(past: Past, seed: int) -> None:
    """Complete the night, run a minute after it, and check the invariants."""
    events, split = past.task.evaluator.events, past.task.split
    assert split is not None
    night = completed(past.task.evaluator, past.fit, split.validation_from, past.text, train=NIGHT, seed=seed)
    demand_finite(night)
    demand_lists(night, events)
    minute, every = spend_minute(night, events, seed)
    demand_finite(minute)
    demand_lists(minute, every)


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_on_a_table_of_any_kind_weights_are_finite_everyone_has_a_list_and_no_baseline_is_ahead(name: str) -> None:
    past = learn_past(TABLES[name](1), seed=1)
    demand_sane(past, seed=1)
    assert ahead(past) == {}


@pytest.mark.slow
@pytest.mark.parametrize("n_events", [250, 1000, 3000])
def test_no_baseline_is_ahead_if_only_popularity_is_informative(n_events: int) -> None:
    shops = (
        drawn(seed, n_users=n_events // 12, n_items=n_events // 3, n_events=n_events, user_power=0.8, item_power=1.1) for seed in range(3)
    )
    assert ahead(*(learn_past(events, seed) for seed, events in enumerate(shops))) == {}


@pytest.mark.slow
@settings(max_examples=15, derandomize=True, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(
    n_users=st.integers(1, 150),
    n_items=st.integers(1, 400),
    n_events=st.integers(3, 1200),
    user_power=st.floats(0, 1.5),
    item_power=st.floats(0, 2),
    span=st.sampled_from([1, 60, HOUR, DAY, 60 * DAY, 10 * YEAR]),
    has_text=st.booleans(),
    seed=st.integers(0, 99),
)
def test_on_a_drawn_table_weights_are_finite_and_everyone_has_a_list(
    n_users: int, n_items: int, n_events: int, user_power: float, item_power: float, span: int, has_text: bool, seed: int
) -> None:
    events = drawn(seed, n_users=n_users, n_items=n_items, n_events=n_events, user_power=user_power, item_power=item_power, span=span)
    demand_sane(learn_past(events, seed, random_text(n_items, 12) if has_text else None), seed)
