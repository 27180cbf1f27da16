"""The replay memory: recent windows are likelier, held-out windows stay, only context has weight zero."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.config import IncrementConfig
from models.events import windows_as_users
from models.version.memory import CONTEXT_SHARE, WINDOW_EVENTS, Memory, newest_windows, sample_windows
from tests.models.planted import HOUR, make_events, random_events


def memory_of(capacity: int = 30) -> Memory:
    events = random_events(n_users=60, n_events=600)
    sample = sample_windows(events, 1e9, capacity, 32, np.random.default_rng(0))
    return Memory(windows_as_users(events, sample.windows), sample.is_held_out, torch.zeros(1, 30), np.zeros(1, np.int64))


def test_recent_windows_are_likelier_to_be_kept() -> None:
    events = make_events([(user, 0, user * HOUR) for user in range(1000)], n_items=1)
    sample = windows_as_users(events, sample_windows(events, 100.0 * HOUR, 100, 32, np.random.default_rng(0)).windows)
    assert sample.n_users == 100
    assert np.median(sample.time) > 800 * HOUR
    assert len(np.unique(sample.time)) == 100


def test_a_window_cut_out_of_a_longer_history_begins_with_context_that_weighs_nothing() -> None:
    events = make_events([(0, n % 5, n) for n in range(WINDOW_EVENTS + 20)], n_items=5)
    sample = windows_as_users(events, sample_windows(events, 1e9, 10, WINDOW_EVENTS, np.random.default_rng(0)).windows)
    last, first = (sample.where(sample.user == n) for n in range(2))
    assert len(first) == 20
    assert first.weight.all()
    assert last.weight[: WINDOW_EVENTS // CONTEXT_SHARE].sum() == 0
    assert last.weight[WINDOW_EVENTS // CONTEXT_SHARE :].all()


def test_added_windows_replace_old_ones_but_not_held_out_ones() -> None:
    memory = memory_of()
    held_out = [memory.events.time[memory.events.user == n].tolist() for n in np.flatnonzero(memory.is_held_out)]
    rng = np.random.default_rng(1)
    for step in range(20):
        fresh = make_events([(user, 1, 10**8 + step) for user in range(5)], n_items=30)
        memory = memory.added(fresh, rng, 5, 30, 32)
        assert memory.n_windows == 30
        assert len(memory.events.offsets) == 31
    assert (memory.events.time >= 10**8).sum() > 20
    assert [memory.events.time[memory.events.user == n].tolist() for n in np.flatnonzero(memory.is_held_out)] == held_out


@pytest.mark.slow
@pytest.mark.parametrize("step_s", [60, 3600])
def test_the_memory_halves_with_its_half_life_however_often_windows_are_added(step_s: int) -> None:
    config = IncrementConfig(memory_windows=200, memory_half_life_share=0.1)
    start = 10 * 86400
    events = make_events([(user, user % 30, user * start // 1000) for user in range(1000)], n_items=30)
    sample = sample_windows(events, 0.1 * start, 200, 32, np.random.default_rng(0))
    memory = Memory(windows_as_users(events, sample.windows), sample.is_held_out, torch.zeros(1, 30), np.zeros(1, np.int64))
    rng = np.random.default_rng(1)
    for now in range(start, start + 86400, step_s):
        busy = make_events([(user, 1, now) for user in range(100)], n_items=30)
        memory = memory.added(busy, rng, memory.n_due(now, step_s, config, rng), 200, 32)
    is_old = np.array([memory.events.time[stop - 1] < start for stop in memory.windows(np.arange(200)).stop])
    assert is_old[~memory.is_held_out].mean() == pytest.approx(0.5, abs=0.12)


def test_a_memory_with_room_takes_windows_whatever_the_time() -> None:
    config = IncrementConfig(memory_windows=200)
    memory = memory_of()
    assert memory.n_due(int(memory.events.time.max()), 0, config, np.random.default_rng(0)) == 2


def test_added_windows_exclude_events_of_the_gate_and_repeats_of_a_bot_from_training() -> None:
    memory = memory_of()
    rows = memory.last_events(np.flatnonzero(memory.is_held_out)).stop - 1
    item, time = int(memory.events.item[rows[0]]), int(memory.events.time[rows[0]])
    fresh = make_events([(0, item, time), (0, item, time + 200_000), *((1, 7, 10**8 + n) for n in range(20))], n_items=30)
    added = memory.added(fresh, np.random.default_rng(0), 2, memory.n_windows, 32).events
    of_user, of_bot = (added.weight[added.user == memory.n_windows - 2 + n] for n in range(2))
    assert of_user.tolist() == [0, 1]
    assert np.flatnonzero(of_bot).tolist() == [0, 1, 2]


def test_held_out_windows_are_never_drawn() -> None:
    memory = memory_of()
    assert not memory.is_held_out[memory.draw(1000, np.random.default_rng(0))].any()


def test_the_newest_window_of_a_user_ends_in_their_last_event() -> None:
    events = random_events()
    windows = newest_windows(events, WINDOW_EVENTS)
    assert np.array_equal(windows.stop, events.offsets[1:])
    assert (windows.length <= WINDOW_EVENTS).all()


def test_an_event_is_offset_by_the_last_slot_before_it() -> None:
    memory = memory_of()
    for time in (100, 200, 250, 400):
        memory = memory.with_slot(time, torch.full((30,), float(time)), n_slots=3, spacing_s=100)
    assert memory.slot_time.tolist() == [100, 200, 400]
    assert memory.prior[:, 0].tolist() == [100, 200, 400]
    assert memory.slot_of(np.array([0, 199, 200, 1000])).tolist() == [0, 0, 1, 2]


def test_a_large_catalogue_keeps_fewer_points_in_time_over_the_same_span() -> None:
    config = IncrementConfig(prior_slots=128, prior_spacing_hours=3)
    assert config.slots_for(100_000) == (128, 3 * HOUR), "the catalogues of most shops keep all"
    n_slots, spacing_s = config.slots_for(1_000_000)
    assert (n_slots, n_slots * spacing_s) == (16, 128 * 3 * HOUR)
    assert config.slots_for(100_000_000)[0] == 4
    assert IncrementConfig(prior_slots=8).slots_for(1_000_000) == (8, 3 * HOUR)
