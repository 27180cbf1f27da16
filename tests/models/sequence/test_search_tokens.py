"""Searches as tokens of the stream: in training between the events, in lists at the end of the history."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from models.events import Events, Floats, training_windows
from models.night import new_model
from models.sequence.streams import Streams, teaching_windows
from models.sequence.users import LastSearches, target_vectors, vectors_at
from models.sequence.whitening import Whitening
from tests.models.planted import HOUR, TINY, make_events, random_events, random_text, reader, shaken

CPU = torch.device("cpu")
N_ITEMS = 30
TEXTS = random_text(6, 16, seed=2)


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.device.has_fast_bf16", lambda device: False)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """With several threads, the bits of a sum depend on how a batch is shared out among them."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def mixed(events: Events, searches: list[tuple[int, int, int]], texts: Floats = TEXTS) -> Streams:
    """searches: user, time and text of each."""
    user, time, text = np.array(searches, np.int64).reshape(-1, 3).T
    return Streams.mix(events, user, time, text, texts)


def last(n_users: int, searches: dict[int, tuple[int, int]], texts: Floats = TEXTS) -> LastSearches:
    """searches: time and text by user."""
    vectors, time = np.zeros((n_users, texts.shape[1]), np.float32), np.zeros(n_users, np.int64)
    for user, (moment, text) in searches.items():
        vectors[user], time[user] = texts[text], moment
    return LastSearches(vectors, time)


def test_streams_have_searches_between_the_events_in_order_of_time_and_an_event_first_at_the_same_time() -> None:
    events = make_events([(0, 4, 10), (0, 5, 30), (2, 6, 20)], n_items=9)
    streams = mixed(events, [(0, 10, 3), (0, 5, 1), (2, 7, 3)])
    assert streams.events.user.tolist() == [0, 0, 0, 0, 2, 2]
    assert streams.events.item.tolist() == [9, 4, 10, 5, 10, 6]
    assert streams.events.time.tolist() == [5, 10, 10, 30, 7, 20]
    assert streams.events.weight.tolist() == [0, 1, 0, 1, 0, 1]
    assert streams.row.tolist() == [1, 3, 5]
    assert np.array_equal(streams.texts, TEXTS[[1, 3]])
    assert streams.events.n_items == 9


def test_a_search_without_words_is_no_token() -> None:
    texts = np.concatenate([TEXTS, np.zeros((1, 16), np.float32)])
    streams = mixed(make_events([(0, 4, 10)], n_items=9), [(0, 5, 6), (0, 6, 0)], texts)
    assert streams.events.item.tolist() == [9, 4]


def test_of_searches_one_after_the_other_the_last_is_a_token_and_none_without_a_later_event() -> None:
    events = make_events([(0, 4, 10), (0, 5, 30), (2, 6, 20)], n_items=9)
    streams = mixed(events, [(0, 12, 0), (0, 14, 1), (0, 16, 2), (0, 40, 3), (1, 5, 3), (2, 30, 3)])
    assert streams.events.time.tolist() == [10, 16, 30, 20]
    assert streams.row.tolist() == [0, 2, 3]


def test_a_window_of_a_search_alone_teaches_nothing() -> None:
    streams = mixed(make_events([(0, 4, time) for time in range(10, 18)], n_items=9), [(0, 5, 0)])
    windows = training_windows(streams.events, TINY.max_events)
    assert (len(windows), teaching_windows(streams.events, windows).start.tolist()) == (2, [1])


def test_a_model_that_reads_searches_starts_as_one_that_does_not() -> None:
    text, whitening = random_text(N_ITEMS), Whitening.fit(TEXTS, TINY.dim, np.ones(6, bool))
    plain, reading = new_model(TINY, text, 2, CPU, 3), new_model(TINY, text, 2, CPU, 3, whitening)
    state = reading.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in plain.state_dict().items())
    assert {name for name in state if name not in plain.state_dict()} == {name for name in state if name.startswith("searches.")}


def test_a_search_at_the_end_of_a_history_is_read_as_the_same_search_in_a_stream() -> None:
    events = make_events([(0, step, step * HOUR) for step in range(5)] + [(1, 7, 0)], n_items=N_ITEMS)
    model, moment = reader(N_ITEMS), 3 * HOUR + 50
    streams = mixed(events, [(0, moment, 4)])
    row = 4  # the last event of user 0
    in_stream = target_vectors(model, streams.events, streams.row[[row]], streams.texts)
    asked = vectors_at(model, events, np.array([0]), np.array([row]), int(events.time[row]), last=last(1, {0: (moment, 4)}))
    torch.testing.assert_close(in_stream, asked, atol=1e-5, rtol=0)
    without = vectors_at(model, events, np.array([0]), np.array([row]), int(events.time[row]))
    assert (asked - without).abs().max() > 0.1


def test_a_search_takes_the_place_of_the_oldest_event_that_a_long_history_would_show_the_model() -> None:
    events = make_events([(0, step % N_ITEMS, step * HOUR) for step in range(20)], n_items=N_ITEMS)
    model, found = reader(N_ITEMS), last(1, {0: (20 * HOUR, 2)})
    zero, end = np.zeros(1, np.int64), np.array([20])
    whole = vectors_at(model, events, zero, end, 21 * HOUR, last=found)
    for n_events, is_same in ((8, True), (7, True), (6, False)):  # a shorter history begins with the start token
        cut = events.where(np.arange(20) >= 20 - n_events)
        some = vectors_at(model, cut, zero, np.array([n_events]), 21 * HOUR, last=found)
        assert torch.allclose(whole, some, atol=1e-5) == is_same


@pytest.mark.usefixtures("one_thread")
def test_who_has_not_searched_has_the_same_vector_and_who_only_searched_has_one_of_their_own() -> None:
    events = random_events(n_users=6, n_events=60)
    model, now = reader(N_ITEMS), 40 * 24 * HOUR
    start = np.append(events.offsets[:-1], [60, 60])
    stop = np.append(events.offsets[1:], [60, 60])
    plain = vectors_at(model, events, start, stop, now)
    asked = vectors_at(model, events, start, stop, now, last=last(8, {2: (now - 9, 1), 7: (now - 9, 1)}))
    same = [user for user in range(8) if torch.equal(plain[user], asked[user])]
    assert same == [0, 1, 3, 4, 5, 6]


def test_a_search_does_not_depend_on_the_searches_of_others() -> None:
    events = random_events(n_users=6, n_events=60)
    model, now = reader(N_ITEMS), 40 * 24 * HOUR
    start, stop = events.offsets[:-1], events.offsets[1:]
    together = vectors_at(model, events, start, stop, now, last=last(6, {user: (now - user, user) for user in range(6)}))
    for user in range(6):
        alone = vectors_at(model, events, start[[user]], stop[[user]], now, last=last(1, {0: (now - user, user)}))
        torch.testing.assert_close(alone[0], together[user], atol=1e-5, rtol=0)


def test_a_model_without_a_tower_for_searches_reads_none() -> None:
    events = random_events(n_users=6, n_events=60)
    model, now = shaken(N_ITEMS), 40 * 24 * HOUR
    ranges = events.offsets[:-1], events.offsets[1:]
    found = vectors_at(model, events, *ranges, now, last=last(6, {0: (now - 9, 1)}))
    assert torch.equal(found, vectors_at(model, events, *ranges, now))
