"""Batches: tokens, targets and times, and the grouping of windows."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.events import Windows, training_windows
from models.sequence.streams import bucket_by_length, make_batch, padded_length
from tests.models.planted import make_events, random_events

EVENTS = make_events([(0, 3, 10), (0, 4, 20), (0, 5, 35), (1, 6, 12)], n_items=7, kinds=[0, 1, 0, 1])


def test_a_stream_begins_with_a_start_token_and_each_token_is_the_event_before_its_target() -> None:
    batch = make_batch(EVENTS, training_windows(EVENTS, 8), np.array([0]))
    assert batch.is_start.tolist() == [[True, False, False]]
    assert batch.item[0, 1:].tolist() == [3, 4]
    assert batch.kind[0, 1:].tolist() == EVENTS.kind[:2].tolist()
    assert batch.rows.tolist() == [[0, 1, 2]]
    assert batch.is_target.all()


def test_a_token_knows_its_own_time_and_that_of_its_target() -> None:
    batch = make_batch(EVENTS, training_windows(EVENTS, 8), np.array([0]))
    assert batch.query_time.tolist() == [[10, 20, 35]]
    assert batch.event_time.tolist() == [[10, 10, 20]], "the start token has the time of its target: the gap is zero"


def test_a_window_in_the_middle_of_a_stream_has_no_start_token() -> None:
    batch = make_batch(EVENTS, Windows(np.array([1]), np.array([2]), np.array([3])), np.array([0]))
    assert not batch.is_start.any()
    assert batch.item.tolist() == [[3, 4]]
    assert (batch.rows.tolist(), batch.is_target.tolist()) == ([[2]], [[True]]), "the first row only gives history"
    assert batch.place is not None
    assert batch.place.tolist() == [[1]]


def test_padding_is_at_the_end_and_not_a_target() -> None:
    batch = make_batch(EVENTS, training_windows(EVENTS, 8), np.array([0, 1]))
    assert batch.is_target.tolist() == [[True, True, True], [True, False, False]]
    assert batch.item[batch.is_target & ~batch.is_start].tolist() == [3, 4]


def test_a_window_one_past_the_end_asks_for_the_next_event_at_the_given_time() -> None:
    windows = Windows(np.array([1, 3]), np.array([3, 4]), np.array([4, 5]))
    batch = make_batch(EVENTS, windows, np.array([0, 1]), now=99)
    assert batch.query_time[0].tolist() == [20, 35, 99], "although the row after is another user's event"
    assert batch.query_time[1, :2].tolist() == [12, 99]
    assert batch.item[0].tolist() == [3, 4, 5]
    assert batch.item[1, 1].item() == 6
    assert (batch.rows.tolist(), batch.is_target.tolist()) == ([[3], [4]], [[True], [True]])
    assert batch.place is not None
    assert batch.place.tolist() == [[2], [1]]


def test_only_the_last_states_are_requested_for_windows_with_few_targets() -> None:
    events = make_events([(user, n % 7, n) for user, n_events in enumerate((10, 3)) for n in range(n_events)], n_items=7)
    batch = make_batch(events, Windows(np.array([0, 10]), np.array([6, 12]), np.array([10, 13])), np.array([0, 1]))
    assert batch.place is not None
    assert batch.place.tolist() == [[6, 7, 8, 9], [0, 0, 1, 2]], "a window shorter than what is asked of another begins again"
    assert batch.rows[batch.is_target].tolist() == [6, 7, 8, 9, 12]
    every = make_batch(events, Windows(np.array([0]), np.array([4]), np.array([10])), np.array([0]))
    assert (every.place, every.rows.shape) == (None, (1, 10)), "most of the tokens"


def test_every_event_is_the_target_of_the_batches_of_an_epoch_exactly_once() -> None:
    events = random_events()
    windows = training_windows(events, 5)
    rows = [batch.rows[batch.is_target] for which in bucket_by_length(windows.length, 40) for batch in [make_batch(events, windows, which)]]
    assert sorted(torch.cat(rows).tolist()) == list(range(len(events)))


@given(st.lists(st.integers(1, 30), max_size=60), st.integers(1, 100), st.booleans())
def test_buckets_hold_every_window_once_and_no_more_tokens_than_allowed(lengths: list[int], batch_events: int, is_shuffled: bool) -> None:
    length = np.array(lengths, np.int64)
    groups = list(bucket_by_length(length, batch_events, np.random.default_rng(0) if is_shuffled else None))
    assert sorted(np.concatenate([np.empty(0, np.int64), *groups]).tolist()) == list(range(len(length)))
    assert all(len(group) == 1 or len(group) * length[group].max() <= batch_events for group in groups)


def test_windows_of_like_length_go_together() -> None:
    length = np.array([1, 9, 1, 9, 1, 9])
    assert {frozenset(length[group].tolist()) for group in bucket_by_length(length, 27)} == {frozenset({9}), frozenset({1})}


def test_the_order_of_batches_depends_only_on_the_generator() -> None:
    length = np.arange(1, 60) % 7 + 1
    first, again, other = ([group.tolist() for group in bucket_by_length(length, 20, np.random.default_rng(seed))] for seed in (5, 5, 6))
    assert first == again != other


@given(st.integers(1, 5000), st.integers(0, 5000))
def test_a_batch_is_padded_little(length: int, more: int) -> None:
    longest = length + more
    there = padded_length(length, longest)
    assert length <= there <= min(longest, length * 1.125)
    assert padded_length(there, longest) == there


def test_an_octave_of_lengths_is_padded_to_eight() -> None:
    assert len({padded_length(n, 10_000) for n in range(1025, 2049)}) == 8


def test_a_short_batch_is_padded_beyond_its_own_windows() -> None:
    events = make_events([(user, n % 7, n) for user, n_events in enumerate((21, 40)) for n in range(n_events)], n_items=7)
    windows = training_windows(events, 50)
    assert make_batch(events, windows, np.array([0])).item.shape == (1, 22)
    assert make_batch(events, windows, np.array([1])).item.shape == (1, 40), "the longest window needs none"
