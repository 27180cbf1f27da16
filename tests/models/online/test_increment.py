"""Increments: what an update may change, what it must learn, and what it must resist."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.events import Events
from models.online import increment
from models.online.gate import judge_increment
from models.online.increment import learn, with_popularity
from models.online.prequential import Queries, predict
from models.ranking.searches import Searches
from models.version.checkpoint import Checkpoint, load, on_catalog_of, save, with_new_descriptions, with_new_items
from tests.models.a_night import INCREMENT, after_a_night
from tests.models.planted import HOUR, make_events, random_events, random_text, walks, with_searches

N_ITEMS = 24


@cache
def walkers() -> Checkpoint:
    """A model of users who walk round the catalogue from item to item."""
    return after_a_night(walks(), random_text(N_ITEMS))


def newcomers(n_users: int, start: int, *, known: int = 3, new: int = 2, item: int | None = None) -> tuple[Events, np.ndarray]:
    """New users who walk like all others, or who all choose one item; the last events of each are due."""
    rows = [(user, (user + step) % N_ITEMS, start + step * HOUR + user) for user in range(n_users) for step in range(known + new)]
    if item is not None:
        rows = [(user, item if when >= start + known * HOUR else place, when) for user, place, when in rows]
    events = make_events(rows, n_items=N_ITEMS)
    return events, events.position >= known


def update(live: Checkpoint, events: Events, is_due: np.ndarray, **changes: float) -> Checkpoint:
    as_of = int(events.time.max(initial=live.as_of)) + 1
    learnt, verdict = learn(live, live, events, is_due, as_of, None, INCREMENT.model_copy(update=changes), seed=3)
    assert verdict.passed, verdict.reason
    return learnt


def same(one: Checkpoint, other: Checkpoint) -> bool:
    state = other.live.model.state_dict()
    return all(torch.equal(value, state[name]) for name, value in one.live.model.state_dict().items())


def test_an_update_on_no_events_changes_no_weight() -> None:
    live = walkers()
    events, _ = newcomers(4, live.as_of)
    learnt, verdict = learn(live, live, events, np.zeros(len(events), bool), live.as_of, None, INCREMENT, seed=3)
    assert learnt is live
    assert verdict.passed


def test_an_update_changes_neither_the_live_model_nor_the_night() -> None:
    live = walkers()
    before = {name: value.clone() for name, value in live.live.model.state_dict().items()}
    assert live.online is not None
    counts, square = live.online.popularity.counts.copy(), live.online.delta_square.clone()
    learnt = update(live, *newcomers(6, live.as_of))
    assert not same(live, learnt)
    assert all(torch.equal(value, before[name]) for name, value in live.live.model.state_dict().items())
    assert np.array_equal(live.online.popularity.counts, counts)
    assert torch.equal(live.online.delta_square, square)


def test_the_same_update_twice_gives_the_same_weights_blend_and_memory() -> None:
    live = walkers()
    one, other = (update(live, *newcomers(6, live.as_of)) for _ in range(2))
    assert same(one, other)
    assert one.online is not None
    assert other.online is not None
    tensors = other.online.tensors()
    assert all(torch.equal(value, tensors[name]) for name, value in one.online.tensors().items())
    assert np.array_equal(one.blend.gate, other.blend.gate)


def test_windows_of_erased_people_leave_the_memory_and_an_emptied_memory_goes_on_learning(tmp_path: Path) -> None:
    live = walkers()
    assert live.online is not None
    n_windows = live.online.memory.n_windows
    emptied = live.online.without([])  # the owners of this night's windows are unknown, and they may be theirs
    assert (emptied.memory.n_windows, emptied.recent) == (0, None)
    save(replace(live, online=emptied), tmp_path)
    events, is_due = newcomers(6, live.as_of)
    learnt, verdict = learn(
        load(tmp_path), live, events, is_due, int(events.time.max()) + 1, None, INCREMENT, seed=3, owners=np.arange(1, 7)
    )
    assert verdict.passed
    assert learnt.online is not None
    memory = learnt.online.memory
    assert set(memory.owners.tolist()) <= set(range(1, 7))
    assert 0 < memory.n_windows < n_windows
    someone = int(memory.owners[0])
    assert someone not in learnt.online.without([someone]).memory.owners
    assert learnt.online.without([99]) is learnt.online


def test_each_due_event_is_counted_once_and_no_other() -> None:
    live = walkers()
    events, is_due = newcomers(6, live.as_of)
    learnt = update(live, events, is_due)
    assert live.online is not None
    assert learnt.online is not None
    more = learnt.online.popularity.counts[-1] - live.online.popularity.counts[-1]
    assert np.allclose(more, np.bincount(events.item[is_due], minlength=N_ITEMS))


def test_an_item_that_many_users_just_chose_is_recommended_to_users_in_the_same_position() -> None:
    live = walkers()
    events, is_due = newcomers(12, live.as_of, new=1, item=5)
    learnt = live
    for _ in range(5):
        learnt = update(replace(learnt, as_of=live.as_of), events, is_due)
    others, _ = newcomers(8, live.as_of, known=3, new=0)
    before, after = (model.scorer().rank(others, 8, N_ITEMS, now=live.as_of + 3 * HOUR) for model in (live, learnt))
    place = [np.argmax(lists.item == 5, axis=1).mean() for lists in (before, after)]
    assert place[1] < place[0] - 2


def test_an_update_on_a_sample_of_the_items_learns_the_same_structure() -> None:
    live = walkers()
    events, is_due = newcomers(12, live.as_of, new=1, item=5)
    whole, sampled, of_few = (update(live, events, is_due, sampled_items=n) for n in (N_ITEMS // 2, N_ITEMS // 2 - 1, 1))
    assert same(whole, update(live, events, is_due)), "no more than twice as many items as would be drawn: all are scored"
    assert not same(whole, sampled)
    assert not same(sampled, of_few), "the sampled items matter"
    before = live.live.model.items.delta
    one, other = (model.live.model.items.delta[5].detach() - before[5].detach() for model in (whole, sampled))
    assert torch.nn.functional.cosine_similarity(one, other, dim=0) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("n_steps", [8, 16])
def test_each_new_event_comes_with_the_configured_number_of_replayed_events(n_steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    live = after_a_night(walks(n_steps=n_steps), random_text(N_ITEMS))
    events, is_due = newcomers(12, live.as_of)
    n_teaching = {True: 0, False: 0}
    step_loss = increment.step_loss

    def count(model: Any, batch: Any, of: Events, *rest: Any) -> Any:
        n_teaching[of.item is events.item] += int(np.count_nonzero(of.weight[batch.rows[batch.is_target].numpy()]))
        return step_loss(model, batch, of, *rest)

    monkeypatch.setattr(increment, "step_loss", count)
    update(live, events, is_due, replay_per_new=4, passes=5)
    assert n_teaching[False] / n_teaching[True] == pytest.approx(4, rel=0.1), (
        "whether windows are whole histories or cut out of longer ones"
    )


def test_a_grown_catalog_moves_no_row_and_its_new_item_can_be_learnt() -> None:
    live = walkers()
    bigger = with_new_items(live, ["new"], random_text(1, seed=5))
    assert bigger.catalog.item_ids == (*live.catalog.item_ids, "new")
    vectors, old = bigger.live.item_vectors(), live.live.item_vectors()
    assert torch.equal(vectors[:N_ITEMS], old)
    assert vectors[N_ITEMS].norm() == pytest.approx(1, abs=1e-5)
    events, is_due = newcomers(6, live.as_of, new=1)
    events = replace(events, item=np.where(is_due, N_ITEMS, events.item), n_items=N_ITEMS + 1)
    learnt, verdict = learn(bigger, on_catalog_of(live, bigger), events, is_due, int(events.time.max()) + 1, None, INCREMENT, seed=3)
    assert verdict.passed, verdict.reason
    assert all(bool(value.isfinite().all()) for value in learnt.live.model.state_dict().values())
    assert not torch.equal(learnt.live.item_vectors()[N_ITEMS], vectors[N_ITEMS])
    assert learnt.live.is_cold[N_ITEMS] == 0


def test_a_new_item_without_text_does_not_slow_the_learning_of_others() -> None:
    live = walkers()
    steps = []
    for text in (random_text(1, seed=5), np.zeros((1, 16), np.float32)):
        bigger = with_new_items(live, ["new"], text)
        events, is_due = newcomers(6, live.as_of, new=1)
        events = replace(events, item=np.where(is_due & (events.user < 2), N_ITEMS, events.item), n_items=N_ITEMS + 1)
        learnt = learn(bigger, on_catalog_of(live, bigger), events, is_due, int(events.time.max()) + 1, None, INCREMENT, seed=3)[0]
        assert learnt.online is not None
        touched = np.unique(events.item[is_due & (events.user >= 2)])
        moved = learnt.live.model.items.delta[touched] - bigger.live.model.items.delta[touched]
        length = float(learnt.live.model.items.delta[N_ITEMS].detach().norm())
        steps.append((float(learnt.online.delta_square), float(moved.detach().norm()), length))
    (usual_square, usual_move, _), (square, move, length) = steps
    assert square == pytest.approx(usual_square, rel=3)
    assert move == pytest.approx(usual_move, rel=0.5)
    assert 0 < length < 5


def test_items_with_a_new_description_or_without_text_do_not_count_as_drift() -> None:
    live = walkers()
    redescribed = with_new_descriptions(live, dict(enumerate(random_text(N_ITEMS, seed=9))), {})
    bigger = with_new_items(redescribed, [f"new-{n}" for n in range(N_ITEMS)], None)
    events, is_due = newcomers(N_ITEMS, live.as_of, new=1)
    events = replace(events, item=np.where(is_due, N_ITEMS + events.user, events.item), n_items=2 * N_ITEMS)
    as_of = int(events.time.max()) + 1
    _, verdict = learn(
        bigger, on_catalog_of(live, bigger), events, is_due, as_of, None, INCREMENT.model_copy(update={"max_drift": 0.5}), seed=3
    )
    assert verdict.passed, verdict.reason
    assert verdict.figures["drift"] < 0.2


def test_only_due_events_teach_and_only_their_items_move(monkeypatch: pytest.MonkeyPatch) -> None:
    """A late event and a new one, with events between them that were learnt before."""
    live = walkers()
    events, _ = newcomers(6, live.as_of, known=8, new=0)
    is_due = (events.position == 5) | (events.position == 7)
    taught = []
    step_loss = increment.step_loss

    def look(model: Any, batch: Any, of: Events, *rest: Any) -> Any:
        if of.item is events.item:
            rows = batch.rows[batch.is_target].numpy()
            taught.extend(rows[of.weight[rows] > 0])
        return step_loss(model, batch, of, *rest)

    monkeypatch.setattr(increment, "step_loss", look)
    learnt = update(live, events, is_due, passes=1)
    assert sorted(taught) == np.flatnonzero(is_due).tolist()
    still = np.setdiff1d(np.arange(N_ITEMS), events.item[is_due])
    assert torch.equal(learnt.live.model.items.delta[still], live.live.model.items.delta[still])


def test_a_late_event_on_a_new_item_keeps_all_weights_finite() -> None:
    live = walkers()
    bigger = with_new_items(live, ["new"], None)
    events = make_events(
        [(0, 3, live.as_of - 300 * HOUR), (0, N_ITEMS, live.as_of - 200 * HOUR), (0, 4, live.as_of + 5)], n_items=N_ITEMS + 1
    )
    learnt = update(bigger, events, np.array([False, True, True]))
    assert all(bool(value.isfinite().all()) for value in learnt.live.model.state_dict().values())


def test_saved_with_its_online_state_is_loaded_and_learns_the_same(tmp_path: Path) -> None:
    live = update(walkers(), *newcomers(6, walkers().as_of))
    save(live, tmp_path)
    loaded = load(tmp_path)
    assert loaded.past is None
    later = newcomers(6, live.as_of + HOUR)
    one, other = update(live, *later), update(loaded, *later)
    assert same(one, other)
    assert one.online is not None
    assert other.online is not None
    assert np.array_equal(one.online.popularity.counts, other.online.popularity.counts)


def test_an_update_continues_with_the_momentum_of_the_one_before() -> None:
    live = update(walkers(), *newcomers(6, walkers().as_of))
    assert live.online is not None
    later = newcomers(6, live.as_of + HOUR)
    at_rest = replace(live, online=replace(live.online, means={}))
    one, other = (dict(update(model, *later, anchor_pull=0.0).live.model.named_parameters()) for model in (live, at_rest))
    along = [float(((other[name] - one[name]).detach() * mean).sum()) for name, mean in live.online.means.items()]
    assert sum(along) > 0


def test_a_weight_that_is_not_finite_is_discarded() -> None:
    live = walkers()
    events, is_due = newcomers(6, live.as_of)
    _, verdict = learn(
        live, live, events, is_due, live.as_of + HOUR, None, INCREMENT.model_copy(update={"delta_rate": float("nan")}), seed=3
    )
    assert not verdict.passed
    assert "not finite" in verdict.reason


def test_an_update_that_drifts_too_far_is_discarded_and_says_by_how_much() -> None:
    live = walkers()
    events, is_due = newcomers(6, live.as_of)
    _, verdict = learn(live, live, events, is_due, live.as_of + HOUR, None, INCREMENT.model_copy(update={"max_drift": 1e-6}), seed=3)
    assert not verdict.passed
    assert "more than 1e-06" in verdict.reason
    assert verdict.figures["drift"] > 1e-6


def test_an_update_that_unlearns_the_past_is_discarded() -> None:
    live = walkers()
    events, is_due = newcomers(12, live.as_of, item=5)
    config = INCREMENT.model_copy(
        update={"delta_rate": 3.0, "dense_rate": 0.1, "replay_per_new": 0.0, "max_drift": 1e9, "gate_tolerance": 0.05, "passes": 20}
    )
    _, verdict = learn(live, live, events, is_due, live.as_of + HOUR, None, config, seed=3)
    assert not verdict.passed
    assert "held-out replay fell" in verdict.reason
    assert verdict.figures["held_out_ndcg_after"] < verdict.figures["held_out_ndcg_before"]


def test_the_gate_measures_lists_a_minute_old() -> None:
    live = walkers()
    assert live.online is not None
    memory = live.online.memory
    first_seen, by_hour = live.online.popularity.first_seen, memory.events
    last = np.isin(np.arange(len(by_hour)), by_hour.offsets[1:] - 1)
    at_once = replace(by_hour, time=by_hour.time[by_hour.offsets[1:] - 1][by_hour.user])
    ndcg = []
    for events in (by_hour, at_once):
        for item in (events.item, np.where(last, events.item, (events.item + 5) % N_ITEMS)):
            held = replace(memory, events=replace(events, item=item))
            ndcg.append(judge_increment(live.live, live.live, live, held, first_seen, INCREMENT).figures["held_out_ndcg_before"])
    assert ndcg[0] > 0.5 > ndcg[1], "the walk continues from an event of an hour before"
    assert ndcg[2] == ndcg[3] < 0.5, "no list knows simultaneous events"


def test_lists_after_a_discarded_update_have_the_old_weights_and_the_current_popularity() -> None:
    live = walkers()
    events, is_due = newcomers(12, live.as_of, new=1, item=5)
    for_lists = with_popularity(live, events, is_due, live.as_of + 5 * HOUR)
    assert same(live, for_lists)
    assert for_lists.popularity[5, 0] > live.popularity[5, 0]
    assert for_lists.as_of == live.as_of + 5 * HOUR


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 400), st.integers(1, 3600))
def test_the_clicks_of_one_user_on_one_item_within_a_day_weigh_less_than_two(n_clicks: int, gap_s: int) -> None:
    time = np.arange(n_clicks) * gap_s
    events = make_events([(0, 1, int(at)) for at in time], n_items=3)
    value = events.votes
    assert value[0] == 1
    for start in range(0, int(time[-1]) + 1, 86400):
        today = (time >= start) & (time < start + 86400)
        assert value[today].sum() < 2


def test_events_of_different_users_or_items_have_a_full_vote_each() -> None:
    events = make_events([(0, 0, 0), (0, 1, 1), (1, 0, 2), (0, 0, 2 * 86400)], n_items=2)
    assert events.votes.tolist() == [1, 1, 1, 1]


def test_a_bot_with_5000_clicks_does_not_take_over_the_lists_of_others() -> None:
    crowd = random_events(n_users=40, n_events=600, n_items=N_ITEMS)
    live = after_a_night(crowd, random_text(N_ITEMS))
    bot = make_events([(0, 7, live.as_of + n) for n in range(5000)], n_items=N_ITEMS)
    poisoned = update(live, bot, np.ones(5000, bool))
    one = make_events([(0, 7, live.as_of + 4999)], n_items=N_ITEMS)
    honest = update(live, one, np.ones(1, bool))
    lists = [model.scorer().rank(crowd, crowd.n_users, 10) for model in (live, honest, poisoned)]
    share = [(each.item == 7).any(1).mean() for each in lists]
    assert share[2] <= share[1] + 0.1
    kept = [np.mean([len(np.intersect1d(a, b)) for a, b in zip(lists[0].item, each.item, strict=True)]) for each in lists]
    assert kept[2] >= 8


def queries_of(events: Events, now: int) -> Queries:
    """Queries for the last event of each user."""
    is_last = events.position == np.diff(events.offsets)[events.user] - 1
    known = events.where(~is_last)
    trend = np.full(len(known), np.nan, np.float32)
    return Queries(known, np.full(events.n_users, now), trend, events.user[is_last], events.item[is_last])


def test_an_event_is_ranked_the_same_alone_and_among_others() -> None:
    live = walkers()
    queries = queries_of(walks(n_users=10, seed=4), live.as_of)
    together = predict(live.scorer(), queries).ranking.rank
    for user in range(10):
        own = queries.events.user == user
        events = replace(queries.events.where(own), user=np.zeros(int(own.sum()), np.int64), n_users=1)
        alone = Queries(events, queries.now[:1], queries.trend[own], np.zeros(1, np.int64), queries.item[user : user + 1])
        assert predict(live.scorer(), alone).ranking.rank[0] == together[user]


def test_the_walk_is_predicted_and_the_candidates_contain_the_target() -> None:
    live = walkers()
    queries = queries_of(walks(n_users=30, seed=4), live.as_of)
    predicted = predict(live.scorer(), queries, n_candidates=5)
    assert predicted.ranking.ndcg_at_10.mean() > 0.5
    assert predicted.candidates is not None
    assert len(predicted.candidates.is_target) == 30
    assert predicted.candidates.is_target.any(1).float().mean() > 0.5


def test_increments_leave_what_reads_searches_as_the_night_made_it_and_it_still_reads() -> None:
    plain = walkers()
    live = replace(plain, live=replace(plain.live, model=with_searches(plain.live.model, plain.whitening)))
    events, is_due = newcomers(4, live.as_of)
    learnt = update(live, events, is_due)
    assert live.live.model.searches is not None
    assert learnt.live.model.searches is not None
    before, after = live.live.model.searches.state_dict(), learnt.live.model.searches.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert not same(live, learnt)
    asked = Searches.build(np.array([0]), np.array([learnt.as_of]), np.array([0]), random_text(1))
    lists, moved = (learnt.scorer().rank(events, 4, 5, searches=found) for found in (None, asked))
    assert [user for user in range(4) if not np.allclose(lists.score[user], moved.score[user], atol=1e-3)] == [0]
