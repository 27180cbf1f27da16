"""Flat events: order, half-open windows of time, and windows of streams that cover every event once."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.events import Events, TemporalSplit, Windows, ragged_rows, target_windows, training_windows, usual_span
from tests.models.planted import make_events, random_events

COUNTS = st.lists(st.integers(0, 23), min_size=1, max_size=8).filter(any)


def users_with(counts: list[int]) -> Events:
    """One user per count, with that many events; some users may have none."""
    rows = [(user, 0, 10 * n + user) for user, count in enumerate(counts) for n in range(count)]
    return make_events(rows, n_items=1)


def covered(windows: Windows) -> list[int]:
    """All rows that are targets of windows."""
    return sorted(np.concatenate([np.empty(0, np.int64), *map(np.arange, windows.target, windows.stop)]).tolist())


def owners(events: Events, windows: Windows) -> bool:
    """Whether every window lies inside one user's events."""
    return bool((events.user[windows.start] == events.user[windows.stop - 1]).all())


def test_events_are_grouped_by_user_and_keep_their_order_within_each_user() -> None:
    events = make_events([(1, 5, 30), (0, 6, 10), (1, 7, 20), (0, 8, 10)], n_items=9)
    assert events.user.tolist() == [0, 0, 1, 1]
    assert events.item.tolist() == [6, 8, 7, 5]
    assert events.position.tolist() == [0, 1, 0, 1]


def test_a_user_without_events_has_an_empty_range() -> None:
    events = make_events([(0, 0, 1), (2, 0, 2), (2, 0, 3)], n_items=1)
    assert events.n_users == 3
    assert events.offsets.tolist() == [0, 1, 1, 3]


def test_no_events_make_no_users() -> None:
    events = make_events([], n_items=3)
    assert (len(events), events.n_users, events.offsets.tolist()) == (0, 0, [0])
    assert len(training_windows(events, 4)) == len(target_windows(events, np.empty(0, np.int64), 4)) == 0


def test_before_is_half_open_and_keeps_the_rows_of_users_and_items() -> None:
    events = make_events([(0, 0, 1), (1, 1, 5), (2, 2, 9)], n_items=4)
    past = events.before(5)
    assert past.time.tolist() == [1]
    assert (past.n_users, past.n_items) == (3, 4)
    assert past.offsets.tolist() == [0, 1, 1, 1]


def test_a_split_by_quantile_never_separates_simultaneous_events() -> None:
    time = np.array([1, 2, 3, 4, 5, 6, 7, 8, 8, 8])
    split = TemporalSplit.by_quantile(time, 0.5, 0.2)
    assert ((time < split.validation_from).sum(), (time < split.test_from).sum()) == (5, 7)
    instant = TemporalSplit.by_quantile(np.full(5, 77), 0.8, 0.1)
    assert (instant.validation_from, instant.test_from) == (77, 77)


@given(COUNTS, st.integers(1, 9))
def test_training_windows_cover_every_event_exactly_once(counts: list[int], max_events: int) -> None:
    events = users_with(counts)
    windows = training_windows(events, max_events)
    assert covered(windows) == list(range(len(events)))
    assert (windows.length <= max_events).all()
    assert (windows.start == windows.target).all()
    assert owners(events, windows)


@settings(max_examples=200)
@given(COUNTS, st.integers(2, 9), st.randoms(use_true_random=False))
def test_target_windows_have_every_asked_row_as_a_target_exactly_once_behind_enough_history(counts, max_events, random) -> None:  # type: ignore[no-untyped-def]
    events = users_with(counts)
    rows = np.array(sorted(random.sample(range(len(events)), random.randint(1, len(events)))), np.int64)
    windows = target_windows(events, rows, max_events)
    found = covered(windows)
    assert len(found) == len(set(found))
    assert set(rows.tolist()) <= set(found)
    assert (windows.length <= max_events).all()
    assert owners(events, windows)
    for start, target in zip(windows.start, windows.target, strict=True):
        assert target - start >= min(events.position[target], max_events // 2)


def test_all_rows_asked_for_are_all_rows_covered() -> None:
    events = random_events()
    assert covered(target_windows(events, np.arange(len(events)), 8)) == list(range(len(events)))


def test_ragged_rows_name_the_range_and_the_row_of_every_entry() -> None:
    number, row = ragged_rows(np.array([4, 9, 2]), np.array([6, 9, 3]))
    assert number.tolist() == [0, 0, 2]
    assert row.tolist() == [4, 5, 2]


def test_one_event_at_a_wrong_time_does_not_stretch_the_usual_span() -> None:
    time = np.arange(1_760_000_000, 1_760_100_000, 100)
    assert usual_span(time) == (1_760_000_000, 1_760_099_900)
    since, until = usual_span(np.concatenate([[0], time]))
    assert since >= 1_760_000_000
    assert until - since > 90_000
    assert usual_span(np.empty(0, np.int64)) == (0, 0)
