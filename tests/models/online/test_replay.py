"""Replay: the same events for every policy, no leaks from the future, and the expected differences between policies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.config import EvaluationConfig
from models.evaluation.evaluator import Evaluator, make_evaluator
from models.events import Events
from models.metrics.summary import summarise
from models.online import replay as replay_module
from models.online.gate import UpdateDecision
from models.online.replay import ALL_SEGMENTS, Policy, ReplayConfig, ReplayResult, known_policies, replay
from models.ranking.prior import Slots
from models.ranking.searches import Searches
from models.sequence.weights import LIST_DELAY_S
from models.version.checkpoint import Checkpoint
from tests.models.a_night import INCREMENT, after_a_night
from tests.models.planted import HOUR, QUICK, make_events, random_text

SHORT = QUICK.model_copy(update={"max_epochs": 3})
N_ITEMS = 24
BEGIN = 100 * HOUR


def history(seed: int = 1) -> Events:
    """Users come one after the other and walk round the catalogue, three steps an hour; late ones follow another order."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(90):
        start, place = user * 2 * HOUR, int(rng.integers(0, N_ITEMS))
        stride = 1 if start < BEGIN else 5
        rows += [(user, (place + stride * step) % N_ITEMS, start + step * 1200) for step in range(6)]
    return make_events(rows, n_items=N_ITEMS)


def evaluator_of(events: Events) -> Evaluator:
    return make_evaluator(events, EvaluationConfig(seen_items="show"))


def night(events: Events, now: int) -> Checkpoint:
    trained = after_a_night(events, random_text(N_ITEMS), train=SHORT)
    assert (events.time < now).all()
    return trained


CONFIG = ReplayConfig(BEGIN, BEGIN + 40 * HOUR, 2 * HOUR, night_s=20 * HOUR, list_delay_s=60)


@pytest.fixture(scope="module")
def replayed() -> ReplayResult:
    policies = [policy for policy in known_policies(INCREMENT) if policy.name != "retrained_each_step"]
    return replay(evaluator_of(history()), policies, night, CONFIG)


def test_every_policy_ranks_the_same_events_once(replayed: ReplayResult) -> None:
    events = history()
    rows = np.flatnonzero((events.time >= CONFIG.since) & (events.time < CONFIG.until))
    assert np.array_equal(np.sort(replayed.rows), rows)
    assert {len(ranking.rank) for ranking in replayed.rankings.values()} == {len(rows)}
    assert set(replayed.rankings) == set(replayed.seconds)
    assert replayed.n_steps == 20
    assert np.array_equal(replayed.step, (events.time[replayed.rows] - CONFIG.since) // CONFIG.step_s)


def test_a_frozen_table_gives_all_newcomers_of_a_night_the_same_list(replayed: ReplayResult) -> None:
    events = history()
    is_first_night = events.time[replayed.rows] < CONFIG.since + CONFIG.night_s
    new = is_first_night & ~replayed.segments["warm_user_warm_item"] & ~replayed.segments["warm_user_cold_item"]
    top = replayed.rankings["nightly_tables"].top[new]
    assert (top == top[0]).all()
    assert len(np.unique(replayed.rankings["nightly_fresh_lists"].top[new], axis=0)) > 1


@pytest.mark.slow
def test_nights_help_where_the_order_changes_and_increments_help_before_the_night(replayed: ReplayResult) -> None:
    policies = [policy for policy in known_policies(INCREMENT) if policy.name in replayed.rankings]
    shops = [replayed, *(replay(evaluator_of(history(seed)), policies, night, CONFIG) for seed in (0, 2, 3, 4))]
    quality = {policy.name: np.mean([shop.rankings[policy.name].ndcg_at_10.mean() for shop in shops]) for policy in policies}
    assert quality["nightly_and_increments"] > quality["nightly_tables"]
    assert quality["nightly_and_increments"] > quality["nightly_fresh_lists"]


def test_segments_cut_the_events_into_parts(replayed: ReplayResult) -> None:
    names = ("warm_user_warm_item", "warm_user_cold_item", "cold_user_warm_item", "cold_user_cold_item")
    assert np.sum([replayed.segments[name] for name in names], axis=0).tolist() == [1] * len(replayed.rows)
    assert replayed.segments["all"].all()


@pytest.mark.slow
def test_a_replay_of_no_events_has_every_segment_and_no_figure() -> None:
    done = replay(evaluator_of(history()), [], night, replace(CONFIG, since=10**9, until=10**9 + HOUR))
    assert {name: len(mask) for name, mask in done.segments.items()} == dict.fromkeys(ALL_SEGMENTS, 0)
    rows = summarise(done.rankings, done.segments, N_ITEMS)
    assert {row.model for row in rows} == {"recent_popular"}
    assert {row.value for row in rows} == {None}


def test_changing_the_future_changes_no_rank_before_it() -> None:
    events = history()
    border = BEGIN + 12 * HOUR
    changed = replace(events, item=np.where(events.time >= border, (events.item + 7) % N_ITEMS, events.item))
    policies = [policy for policy in known_policies(INCREMENT) if policy.name in ("nightly_fresh_lists", "nightly_and_increments")]
    config = replace(CONFIG, until=BEGIN + 16 * HOUR)
    one, other = (replay(evaluator_of(each), policies, night, config) for each in (events, changed))
    before = events.time[one.rows] < border
    assert np.array_equal(one.rows, other.rows)
    for name, ranking in one.rankings.items():
        assert np.array_equal(ranking.rank[before], other.rankings[name].rank[before]), name
        assert not np.array_equal(ranking.rank[~before], other.rankings[name].rank[~before]), name


def test_a_list_does_not_know_what_happened_within_its_delay() -> None:
    """One user, an event every 100 s: with a delay of 250 s the list knows all but the last two before the look at it."""
    rows = [(user, (user + step) % N_ITEMS, user * HOUR + step * 100) for user in range(40) for step in range(4)]
    rows += [(40, step, BEGIN + step * 100) for step in range(6)]
    events = make_events(rows, n_items=N_ITEMS)
    policies = [Policy("fresh", has_fresh_lists=True, learns=False, has_nights=False)]
    first = night(events.before(BEGIN), BEGIN)
    found = []
    for delay in (250, 10**6):
        config = ReplayConfig(BEGIN, BEGIN + HOUR, HOUR, 10**9, list_delay_s=delay)
        done = replay(evaluator_of(events), policies, lambda *_: first, config)
        found.append(done.rankings["fresh"].top)
    is_first = found[1][0]
    assert (found[1] == is_first).all()
    assert (found[0][:3] == is_first).all()
    assert not (found[0][3:] == is_first).all()


@pytest.mark.slow
def test_each_event_is_learnt_once_and_as_soon_as_a_list_at_the_begin_of_a_step_can_know_it(monkeypatch: pytest.MonkeyPatch) -> None:
    learnt: list[tuple[int, np.ndarray, int]] = []

    def learning(live: Checkpoint, _: Checkpoint, events: Events, is_due: np.ndarray, as_of: int, candidates: Any, *given: Any) -> Any:
        learnt.append((as_of, events.time[is_due], len(candidates.is_out)))
        return live, UpdateDecision(True, "", {})

    monkeypatch.setattr(replay_module, "learn", learning)
    events = history()
    delay = 90 * 60
    config = replace(CONFIG, list_delay_s=delay)
    policies = [policy for policy in known_policies(INCREMENT) if policy.name == "nightly_and_increments"]
    nights: list[int] = []

    def spending(past: Events, now: int) -> Checkpoint:
        assert not nights or np.array_equal(past.time, events.before(now - delay).time)
        nights.append(now)
        return night(past, now)

    replay(evaluator_of(events), policies, spending, config)
    assert len(nights) == 2
    assert all((time < as_of - delay).all() for as_of, time, _ in learnt)
    expected = events.time[(events.time >= nights[1] - delay) & (events.time < learnt[-1][0] - delay)]
    assert np.array_equal(np.sort(np.concatenate([time for as_of, time, _ in learnt if as_of > nights[1]])), np.sort(expected))
    assert all(len(time) == n_predicted for _, time, n_predicted in learnt)  # each event has a list of its own there


def test_a_list_is_made_for_the_time_of_the_look_from_the_events_known_by_then() -> None:
    """Of two events 90 s apart, the first is known when the second happens, and 90 s old."""
    events = make_events([(0, 1, BEGIN), (0, 2, BEGIN + 90)], n_items=N_ITEMS)
    queries, _ = replay_module._queries(evaluator_of(events), np.array([1]), np.array([BEGIN]), LIST_DELAY_S, 100)
    assert queries.events.item.tolist() == [1]
    assert queries.now.tolist() == [BEGIN + 90]


@pytest.mark.slow
def test_nights_begin_with_a_step_so_that_no_learnt_event_is_lost() -> None:
    asked, counting = counted()
    nightly = [policy for policy in known_policies(INCREMENT) if policy.name == "nightly_tables"]
    config = replace(CONFIG, step_s=3 * HOUR, night_s=10 * HOUR)
    replay(evaluator_of(history()), nightly, counting, config)
    assert [(now - BEGIN) // HOUR for now in asked] == [0, 12, 21, 30]


def test_items_that_a_user_had_before_the_list_was_made_are_hidden_under_every_policy_however_long_ago() -> None:
    """The user had the items 0 to 11, and comes back to 0 and 3; 15 is new twice, as the list does not know its first event."""
    rows = [(user, (user + step) % N_ITEMS, user * HOUR + step * 100) for user in range(40) for step in range(4)]
    rows += [(40, item, BEGIN - (12 - item) * HOUR) for item in range(12)]
    rows += [(40, item, BEGIN + second) for item, second in [(0, 1000), (15, 2000), (15, 2030), (3, 3000), (15, 4000)]]
    events = make_events(rows, n_items=N_ITEMS)
    first = after_a_night(events.before(BEGIN), random_text(N_ITEMS), train=SHORT, seen_items="hide")
    first.blend.gate[2, :2] = 0.5, 0.3  # the length of the history
    policies = [policy for policy in known_policies(INCREMENT) if policy.name != "retrained_each_step"]
    config = ReplayConfig(BEGIN, BEGIN + 2 * HOUR, 2 * HOUR, 10**9, list_delay_s=60)
    evaluator = make_evaluator(events, EvaluationConfig(seen_items="hide"))
    found = []
    for most in (10, 100):
        found.append(replay(evaluator, policies, lambda *_: first, replace(config, max_events=most)).rankings)
    for name, ranking in found[0].items():
        is_fresh = name not in ("never_updated", "nightly_tables")
        assert (ranking.rank == N_ITEMS).tolist() == [True, False, False, True, is_fresh], name
        assert not np.isin(ranking.top, np.arange(12)).any(), name
        assert np.array_equal(ranking.rank, found[1][name].rank), name
        assert np.array_equal(ranking.top, found[1][name].top), name


def counted() -> tuple[list[int], Callable[[Events, int], Checkpoint]]:
    """The times of all nights so far, and a night that trains only the first time."""
    asked: list[int] = []
    trained: list[Checkpoint] = []

    def counting(events: Events, now: int) -> Checkpoint:
        asked.append(now)
        assert (events.time < now).all()
        if not trained:
            trained.append(night(events, now))
        return trained[0]

    return asked, counting


@pytest.mark.slow
def test_a_policy_that_retrains_at_every_step_has_a_night_a_step() -> None:
    asked, counting = counted()
    policies = [policy for policy in known_policies(INCREMENT) if policy.name == "retrained_each_step"]
    done = replay(evaluator_of(history()), policies, counting, replace(CONFIG, until=BEGIN + 4 * HOUR, night_s=10**9))
    assert asked == [BEGIN, BEGIN, BEGIN + 2 * HOUR]
    assert done.n_steps == 2


@pytest.mark.slow
def test_a_gap_without_events_takes_one_night_and_no_policy_with_nights_takes_none() -> None:
    events = history()
    late = events.time >= BEGIN + 6 * HOUR
    gap = replace(events, time=np.where(late, events.time + 10 * CONFIG.night_s, events.time))
    asked, counting = counted()
    config = replace(CONFIG, until=int(gap.time.max()) + 1)
    known = {policy.name: policy for policy in known_policies(INCREMENT)}
    replay(evaluator_of(gap), [known["nightly_tables"]], counting, config)
    assert len(asked) < 6
    assert all((now - CONFIG.since) % CONFIG.night_s == 0 for now in asked)
    asked.clear()
    replay(evaluator_of(gap), [known["never_updated"]], counting, config)
    assert asked == [BEGIN]


def test_lists_of_a_replay_know_the_last_search_before_them() -> None:
    events = make_events([(0, 1, 100), (0, 2, 500), (1, 3, 700)], n_items=4)
    searches = Searches.build(np.array([0, 0, 1]), np.array([300, 460, 640]), np.arange(3), random_text(3))
    evaluator = Evaluator(events, Slots.over(events.time), hide_seen=False, searches=searches)
    found, order = replay_module._queries(evaluator, np.arange(3), np.zeros(3, np.int64), 60, 8)
    assert found.searches is not None
    known = dict(zip(found.searches.user.tolist(), found.searches.time.tolist(), strict=True))
    assert [known.get(query) for query in found.query[np.argsort(order)]] == [None, 300, None], "two searches are less than a minute old"
