"""Popularity: decay calculated by hand, equal in steps and at once, no leaks from the future."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.events import Events
from models.ranking.prior import (
    HALF_LIVES_H,
    N_PARAMETERS,
    N_SHARES,
    Popularity,
    Slots,
    log_prior,
    popularity_by_slot,
    single_popularity,
    slot_features,
    slot_log_prior,
)
from models.training.prior_fit import fit_prior
from tests.models.planted import HOUR, make_events, random_events

ONE_HALF_LIFE = HALF_LIVES_H.index(2.0)
ALL_TIME = len(HALF_LIVES_H)


def learnt(now: int, item: list[int], time: list[int], n_items: int = 3) -> Popularity:
    popularity = Popularity(n_items)
    popularity.advance(now, np.array(item, np.int64), np.array(time, np.int64), np.ones(len(item), np.float32))
    return popularity


def test_an_event_counts_half_after_a_half_life_and_fully_over_all_time() -> None:
    popularity = learnt(4 * HOUR, [0, 1, 1], [0, 2 * HOUR, 4 * HOUR])
    assert popularity.counts[ONE_HALF_LIFE] == pytest.approx([0.25, 1.5, 0])
    assert popularity.counts[ALL_TIME].tolist() == [1, 2, 0]


def test_features_are_shares_then_age_then_whether_an_item_is_new() -> None:
    features = learnt(2 * 86400, [0, 1, 1, 1], [0, 86400, 86400, 86400]).features()
    assert features.shape == (3, N_SHARES + 2)
    assert np.allclose(features[:, :N_SHARES].sum(0), 1)
    assert features[:, ALL_TIME].tolist() == [0.25, 0.75, 0]
    assert np.allclose(features[:, N_SHARES - 1], 1 / 3)
    assert np.allclose(features[:, N_SHARES], [np.log(3), np.log(2), 0])
    assert features[:, N_SHARES + 1].tolist() == [0, 0, 1]


def test_before_the_first_event_every_share_is_even() -> None:
    features = Popularity(4).features()
    assert (features[:, :N_SHARES] == 0.25).all()
    assert (features[:, N_SHARES + 1] == 1).all()


def test_counts_decayed_to_zero_give_even_shares_and_no_nan() -> None:
    features = learnt(10**9, [0, 0, 1], [0, 0, 0]).features()
    assert np.isfinite(features).all()
    assert np.allclose(features[:, ONE_HALF_LIFE], 1 / 3)
    assert features[:, ALL_TIME] == pytest.approx([2 / 3, 1 / 3, 0])


@given(st.lists(st.integers(0, 20), min_size=1, max_size=6, unique=True))
def test_popularity_advanced_in_steps_is_that_advanced_at_once(cuts: list[int]) -> None:
    events = random_events(n_items=7, n_events=60)
    order = events.by_time
    item, time, weight = events.item[order], events.time[order], events.weight[order]
    end, steps = int(time[-1]) + 1, Popularity(7)
    done = 0
    for cut in sorted(cuts):
        now = end * cut // 21
        until = int(np.searchsorted(time, now))
        steps.advance(now, item[done:until], time[done:until], weight[done:until])
        done = until
    steps.advance(end, item[done:], time[done:], weight[done:])
    once = Popularity(7)
    once.advance(end, item, time, weight)
    assert np.allclose(steps.counts, once.counts)
    assert np.allclose(steps.features(), once.features(), atol=1e-6)


def test_slots_cover_their_times_and_a_time_at_a_border_opens_the_next() -> None:
    slots = Slots(first=100, seconds=50)
    assert slots.of(np.array([100, 149, 150, 260])).tolist() == [0, 0, 1, 3]
    assert [slots.begin(slot) for slot in (0, 1, 3)] == [100, 150, 250]
    hourly = np.arange(0, 10**7, HOUR)
    assert Slots.over(hourly, n_slots=100).of(hourly)[[0, -1]].tolist() == [0, 99]
    assert Slots.over(np.array([5, 5])).of(np.array([5])).tolist() == [0]


def test_a_slot_knows_the_events_before_it_began_and_no_later_ones() -> None:
    events = make_events([(0, 0, 0), (0, 1, 899), (0, 2, 900), (1, 2, 1000)], n_items=3)
    slots = Slots(0, 900)
    known = {slot: popularity.counts[ALL_TIME].tolist() for slot, popularity in popularity_by_slot(events, slots, np.array([0, 1, 2]))}
    assert known == {0: [0, 0, 0], 1: [1, 1, 0], 2: [1, 1, 2]}


def changed_from(events: Events, time: int) -> Events:
    """The events with other items from a time on."""
    item = np.where(events.time >= time, (events.item + 1) % events.n_items, events.item)
    return Events(events.user, item, events.kind, events.time, events.weight, events.n_users, events.n_items, events.n_kinds)


def test_changing_the_future_changes_no_slot_up_to_it() -> None:
    events = random_events()
    slots = Slots.over(events.time, 40)
    wanted = np.arange(40)
    border = slots.begin(20)
    before, after = (slot_features(one, slots, wanted) for one in (events, changed_from(events, border)))
    assert torch.equal(before[:21], after[:21])
    assert not torch.equal(before[21:], after[21:])


def test_a_single_popularity_ranks_as_its_counts_do() -> None:
    features = torch.from_numpy(learnt(4 * HOUR, [0, 0, 0, 1, 1, 2], [0, 0, 0, 3 * HOUR, 4 * HOUR, 4 * HOUR]).features())
    assert log_prior(features, torch.from_numpy(single_popularity(ALL_TIME))).argsort(descending=True).tolist() == [0, 1, 2]
    assert log_prior(features, torch.from_numpy(single_popularity(ONE_HALF_LIFE))).argsort(descending=True).tolist() == [1, 2, 0]


def test_the_log_prior_of_slots_is_that_of_their_features() -> None:
    events = random_events()
    slots, parameters = Slots.over(events.time, 40), np.linspace(-1, 1, N_PARAMETERS, dtype=np.float32)
    wanted = np.array([0, 3, 17, 39])
    expected = log_prior(slot_features(events, slots, wanted), torch.from_numpy(parameters))
    torch.testing.assert_close(slot_log_prior(events, slots, wanted, parameters), expected)
    assert expected.isfinite().all()


def test_the_fitted_prior_finds_which_memory_the_events_have() -> None:
    rng = np.random.default_rng(0)
    hot = np.arange(2000) // 50 % 40  # the item of the hour is another one every few hours
    item = np.where(rng.random(2000) < 0.8, hot, rng.integers(0, 40, 2000))
    quick = make_events(((n, int(i), n * 600) for n, i in enumerate(item)), n_items=40)
    parameters = fit_prior(quick, Slots.over(quick.time))
    share = torch.from_numpy(parameters[:N_SHARES]).softmax(0)
    assert share[:2].sum() > 0.8 * share[:-1].sum(), "2 and 8 hours, next to even shares"
    favourites = rng.choice(40, 2000, p=rng.dirichlet(np.full(40, 0.3)))
    slow = make_events(((n, int(i), n * 600) for n, i in enumerate(favourites)), n_items=40)
    share = torch.from_numpy(fit_prior(slow, Slots.over(slow.time))[:N_SHARES]).softmax(0)
    assert share[3:-1].sum() > 0.8 * share[:-1].sum(), "days and more"


@pytest.mark.parametrize("n_items", [1, 3])
def test_a_prior_of_hardly_any_events_is_finite(n_items: int) -> None:
    for rows in ([], [(0, 0, 5)], [(0, 0, 5), (1, 0, 5)]):
        events = make_events(rows, n_items=n_items)
        assert np.isfinite(fit_prior(events, Slots.over(events.time))).all()


def test_a_night_counts_the_clicks_of_a_bot_as_less_than_two() -> None:
    events = make_events([*((0, 0, second) for second in range(5000)), (1, 1, 1), (2, 1, 2)], n_items=2)
    ((_, popularity),) = popularity_by_slot(events, Slots(0, 3600), np.array([2]))
    assert popularity.counts[ALL_TIME, 0] < 2 == popularity.counts[ALL_TIME, 1]


@pytest.mark.parametrize(
    "wrong",
    [np.array([0]), np.array([-62_135_596_800]), np.zeros(5000, np.int64), np.array([0, 10**8, 2 * 10**8])],
    ids=["1970", "the year 1", "a mass at one time", "some"],
)
def test_events_at_wrong_times_make_no_slot_longer(wrong: NDArray[np.int64]) -> None:
    time = 1_760_000_000 + np.sort(np.random.default_rng(0).integers(0, 60 * 24 * HOUR, 9000))
    right, with_wrong = Slots.over(time, n_slots=500), Slots.over(np.concatenate([wrong, time]), n_slots=500)
    assert with_wrong.seconds <= 1.05 * right.seconds


@given(st.lists(st.integers(0, 10**10), min_size=1, max_size=200), st.integers(1, 50))
def test_every_event_is_in_its_slot_and_at_most_the_given_number_of_slots_has_events(times: list[int], n_slots: int) -> None:
    time = np.array(times, np.int64)
    slots = Slots.over(time, n_slots, min_seconds=10)
    number = slots.of(time)
    assert (number >= 0).all()
    assert len(np.unique(number)) <= n_slots
    assert all(slots.begin(int(n)) <= t < slots.begin(int(n) + 1) for n, t in zip(number, time, strict=True))
