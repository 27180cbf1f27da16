"""What the capture heads say about a user: from the past only, for anybody, and as planted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from safetensors.torch import load, save
from scipy.sparse import csr_matrix

from models.events import Events, Floats, Ints
from models.interests.capture import HORIZONS, Capture
from models.interests.profiles import Evidence, Moments, Popular, Tables, near_texts, popular_at
from models.training.capture_fit import fit_capture, long_shares
from tests.models.planted import HOUR, make_events, random_events

DAY = 24 * HOUR
N_USERS, N_ITEMS, N_TOPICS = 160, 24, 4
GROUP = np.array([0, 0, 0, 0, 1, 1])
"""Four topics, to which the items belong in turn, and two halves of the catalogue."""


def memberships(n_items: int = N_ITEMS, *, without: int | None = None) -> csr_matrix:
    """[items, 6]: each item has one topic and one half; one item may have no interest at all."""
    table = np.zeros((n_items, len(GROUP)), np.float32)
    table[np.arange(n_items), np.arange(n_items) % N_TOPICS] = 1
    table[np.arange(n_items), N_TOPICS + (np.arange(n_items) >= N_ITEMS // 2)] = 1
    if without is not None:
        table[without] = 0
    return csr_matrix(table)


def faithful(n_users: int = N_USERS, n_events: int = 16, seed: int = 0) -> Events:
    """Each user takes nine of ten items from a topic of their own, a few hours apart; every day some users start."""
    rng = np.random.default_rng(seed)
    user, step = np.divmod(np.arange(n_users * n_events), n_events)
    topic = np.where(rng.random(len(user)) < 0.9, user % N_TOPICS, rng.integers(0, N_TOPICS, len(user)))
    item = topic + N_TOPICS * rng.integers(0, N_ITEMS // N_TOPICS, len(user))
    time = (user // 16) * DAY + step * 6 * HOUR + rng.integers(0, HOUR, len(user))
    return make_events(zip(user, item, time, strict=True), n_items=N_ITEMS)


def alternating(n_users: int = 60, n_events: int = 24, seed: int = 0) -> Events:
    """The topic after topic n is always n + 1."""
    rng = np.random.default_rng(seed)
    user, step = np.divmod(np.arange(n_users * n_events), n_events)
    item = (user + step) % N_TOPICS + N_TOPICS * rng.integers(0, N_ITEMS // N_TOPICS, len(user))
    return make_events(zip(user, item, step * 6 * HOUR + rng.integers(0, HOUR, len(user)), strict=True), n_items=N_ITEMS)


def fitted(events: Events, shares: csr_matrix | None = None) -> Capture:
    """Tuned on the last fifth of time."""
    validation_from = int(np.quantile(events.time, 0.8)) if len(events) else 0
    return fit_capture(events, memberships() if shares is None else shares, GROUP, validation_from, seed=1)


@pytest.fixture(scope="module")
def capture() -> Capture:
    return fitted(faithful())


def test_a_faithful_user_is_captured_at_both_horizons(capture: Capture) -> None:
    events = faithful(seed=0)
    found = capture.posterior(events, memberships(), events.n_users, int(events.time.max()))
    topics = found[:, :, :N_TOPICS]
    assert found.shape == (len(HORIZONS), N_USERS, len(GROUP))
    assert (topics.argmax(2) == np.arange(N_USERS) % N_TOPICS).mean() > 0.95
    own = topics[:, np.arange(N_USERS), np.arange(N_USERS) % N_TOPICS]
    assert np.abs(own.mean(1) - 0.925).max() < 0.05, "probabilities are those of the plan"


def test_the_short_horizon_knows_what_follows() -> None:
    events = alternating()
    found = fitted(events).posterior(events, memberships(), events.n_users, int(events.time.max()) + HOUR)
    following = (events.item[events.offsets[1:] - 1] + 1) % N_TOPICS
    assert (found[0, :, :N_TOPICS].argmax(1) == following).mean() > 0.95
    assert found[0, np.arange(60), following].mean() > found[1, np.arange(60), following].mean() + 0.1


def test_probabilities_sum_to_1_within_each_group(capture: Capture) -> None:
    found = capture.posterior(faithful(), memberships(), N_USERS, 10**9)
    for number in np.unique(GROUP):
        np.testing.assert_allclose(found[:, :, number == GROUP].sum(2), 1, atol=1e-5)


def test_a_user_without_events_gets_what_is_popular_and_one_event_moves_it(capture: Capture) -> None:
    nobody = capture.posterior(make_events([], n_items=N_ITEMS), memberships(), 3, 6 * DAY)
    assert (nobody == nobody[:, :1]).all()
    assert np.abs(nobody[0, 0, :N_TOPICS] - 0.25).max() < 0.1
    once = capture.posterior(make_events([(1, 6, 6 * DAY)], n_items=N_ITEMS), memberships(), 3, 6 * DAY)
    assert (once[:, 1, 2] > nobody[:, 1, 2] + 0.1).all()
    np.testing.assert_allclose(once[:, [0, 2]], nobody[:, [0, 2]], atol=1e-6)


def test_what_becomes_popular_moves_the_interests_of_unknown_users() -> None:
    capture = fitted(few(7))
    later = capture.popular.now + 10 * DAY
    rush = make_events([(user, 3, later - HOUR) for user in range(200)], n_items=N_ITEMS)
    moved = capture.with_events(rush, memberships(), later)
    before, after = (each.posterior(make_events([], n_items=N_ITEMS), memberships(), 1, later)[0, 0, 3] for each in (capture, moved))
    assert after > before


def test_events_after_the_time_asked_for_change_nothing(capture: Capture) -> None:
    events, now = faithful(), 6 * DAY
    rng = np.random.default_rng(5)
    other = replace(events, item=np.where(events.time > now, rng.integers(0, N_ITEMS, len(events)), events.item))
    found = [capture.posterior(each, memberships(), N_USERS, now) for each in (events, other, events.before(now + 1))]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_allclose(found[0], found[2], atol=1e-6)


def test_changing_the_future_changes_no_evidence_before_it() -> None:
    events, shares = random_events(n_items=N_ITEMS), memberships()
    until = int(np.median(events.time))
    other = replace(events, item=np.where(events.time >= until, (events.item + 7) % N_ITEMS, events.item))
    rows = np.flatnonzero(events.time < until)
    learnt = [Tables.learn(each.before(until), shares, GROUP) for each in (events, other)]
    moments = [Moments.before(each, rows) for each in (events, other)]
    found = [Evidence.of(*each, GROUP) for each in zip((events, other), moments, [shares] * 2, learnt, strict=True)]
    np.testing.assert_array_equal(found[0].counts, found[1].counts)
    np.testing.assert_array_equal(found[0].context, found[1].context)
    popular = [next(popular_at(each, shares, np.array([until]))).counts for each in (events, other)]
    np.testing.assert_array_equal(popular[0], popular[1])


def test_changing_the_items_of_the_validation_period_changes_no_step_of_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    later = iter(range(1000))
    monkeypatch.setattr("models.training.capture_fit._losses", lambda *_: np.full(2, -next(later)))  # the last epoch is the best
    events = faithful()
    since = int(np.quantile(events.time, 0.8))
    other = replace(events, item=np.where(events.time >= since, (events.item + 1) % N_ITEMS, events.item))
    ours, theirs = (fit_capture(each, memberships(), GROUP, since, seed=1).head.state_dict() for each in (events, other))
    assert all((ours[name] == theirs[name]).all() for name in ours)


def test_a_user_gets_the_same_interests_alone_and_among_others(capture: Capture) -> None:
    events = faithful()
    everybody = capture.posterior(events, memberships(), N_USERS, 5 * DAY)
    own = events.where(events.user == 17)
    alone = capture.posterior(replace(own, user=np.zeros_like(own.user), n_users=1), memberships(), 1, 5 * DAY)
    np.testing.assert_allclose(alone[:, 0], everybody[:, 17], atol=1e-5)


def test_saved_is_loaded(capture: Capture) -> None:
    loaded = Capture.from_tensors(load(save(capture.tensors())))
    events = faithful(seed=3)
    ours, theirs = (each.posterior(events, memberships(), 90, 5 * DAY) for each in (capture, loaded))
    np.testing.assert_array_equal(ours, theirs)


def test_a_new_item_counts_by_its_interests(capture: Capture) -> None:
    new = make_events([(0, N_ITEMS + 2, 5 * DAY)], n_items=N_ITEMS + 4)
    nobody, found = (capture.posterior(each, memberships(N_ITEMS + 4), 1, 5 * DAY) for each in (make_events([], n_items=N_ITEMS), new))
    assert (found[:, 0, 2] > nobody[:, 0, 2] + 0.1).all()


def few(n_events: int) -> Events:
    return make_events([(n % 2, n % N_ITEMS, n * HOUR) for n in range(n_events)], n_items=N_ITEMS)


@pytest.mark.parametrize(
    "events",
    [
        *(few(n) for n in (0, 1, 2, 7)),
        make_events([(n, 5, 1000) for n in range(50)], n_items=N_ITEMS),
        make_events([(0, n % N_ITEMS, 1000 + n) for n in range(400)], n_items=N_ITEMS),
        make_events([(n % 5, n % N_ITEMS, -(10**9) + n * 10**8) for n in range(60)], n_items=N_ITEMS),
        make_events([(n % 5, n % N_ITEMS, n) for n in range(60)], n_items=N_ITEMS, weights=[0.0] * 60),
        make_events([(n % 5, 0, n) for n in range(60)], n_items=N_ITEMS),
        random_events(n_items=N_ITEMS),
    ],
)
def test_on_a_table_of_any_kind_probabilities_are_finite_and_sum_to_1(events: Events) -> None:
    shares = memberships(without=0)
    capture = fitted(events, shares)
    found = capture.posterior(events, shares, events.n_users + 2, 2 * 10**9)
    assert np.isfinite(found).all()
    assert found.min(initial=1) > 0
    np.testing.assert_allclose(found.sum(2), len(np.unique(GROUP)), atol=1e-4)


def test_without_interests_there_is_an_empty_answer() -> None:
    events = random_events(n_items=N_ITEMS)
    shares, nothing = csr_matrix((N_ITEMS, 0), dtype=np.float32), np.empty(0, np.int64)
    assert fit_capture(events, shares, nothing, 10**6, seed=1).posterior(events, shares, 4, 10**7).shape == (len(HORIZONS), 4, 0)


def test_the_long_horizon_is_the_mean_of_the_items_of_28_days() -> None:
    rows = [(0, 0, 0), (0, 1, DAY), (0, 2, 27 * DAY), (0, 3, 28 * DAY), (1, 0, DAY)]
    found = long_shares(make_events(rows, n_items=N_ITEMS), np.arange(5), memberships(), GROUP)
    expected = np.array([[1, 1, 1, 0], [0, 1, 1, 1], [3, 0, 0, 0]]) / 3
    np.testing.assert_allclose(found[[0, 1, 4], :N_TOPICS], expected, rtol=1e-6)


def test_popularity_advanced_in_steps_is_popularity_at_once() -> None:
    events, shares = random_events(n_items=N_ITEMS), memberships()
    *_, stepwise = popular_at(events, shares, np.arange(0, 31 * DAY, DAY))
    (at_once,) = popular_at(events, shares, np.array([30 * DAY]))
    np.testing.assert_allclose(stepwise.counts, at_once.counts, rtol=1e-4)
    assert isinstance(at_once, Popular)


def counted_by_hand(events: Events, row: int, shares: Floats, half_life_h: float) -> Floats:
    earlier: Ints = np.arange(events.offsets[events.user[row]], row)
    weight = events.weight[earlier] * 0.5 ** ((events.time[row] - events.time[earlier]) / (half_life_h * HOUR))
    total: Floats = (weight @ shares[events.item[earlier]]).astype(np.float32)
    return total


def test_a_profile_is_the_decayed_sum_over_earlier_events() -> None:
    events, shares = random_events(n_items=N_ITEMS), memberships()
    rows = np.arange(len(events))
    evidence = Evidence.of(events, Moments.before(events, rows), shares, Tables.learn(events, shares, GROUP), GROUP)
    by_hand = np.stack([counted_by_hand(events, int(row), shares.toarray(), 168.0) for row in rows])
    np.testing.assert_allclose(evidence.counts[:, :, 2], by_hand, atol=1e-4)


def test_without_enough_to_learn_from_interests_are_smoothed_counts() -> None:
    capture = fitted(few(7))
    found = capture.posterior(make_events([(0, 2, 100), (0, 6, 100)], n_items=N_ITEMS), memberships(), 2, 10 * HOUR)
    weight = 1 + 2**-0.1
    np.testing.assert_allclose(found[:, 0, 2], (weight + 10 * found[:, 1, 2]) / (weight + 10), rtol=1e-5)


def test_a_text_is_near_to_the_interests_whose_names_are_most_similar() -> None:
    text = np.array([[1, 0], [0.6, 0.8], [0, 0]], np.float32)
    near = near_texts(text, np.array([[1, 0], [0, 1], [-1, 0], [0, 1]], np.float32), np.array([0, 0, 0, 1])).toarray()
    np.testing.assert_allclose(near[:, 3], [1, 1, 0])
    assert near[0, 0] > 0.99
    assert near[1, 1] > 0.9
    np.testing.assert_allclose(near.sum(1), [2, 2, 0], atol=1e-5)


def test_texts_are_evidence_if_given() -> None:
    events, names = faithful(), np.eye(len(GROUP), dtype=np.float32)
    text = names[np.arange(N_ITEMS) % N_TOPICS]
    known, unknown = (fit_capture(events, memberships(), GROUP, 8 * DAY, 1, *texts) for texts in ((text, names), ()))
    assert known.tables.near.nnz
    assert not unknown.tables.near.nnz
    found = known.posterior(events, memberships(), N_USERS, 10 * DAY)
    assert (found[0, :, :N_TOPICS].argmax(1) == np.arange(N_USERS) % N_TOPICS).mean() > 0.95


def test_on_another_catalogue_a_user_has_the_same_interests(capture: Capture) -> None:
    events, order = faithful(), np.random.default_rng(2).permutation(N_ITEMS + 2)
    place, row = np.where(order < N_ITEMS, order, N_ITEMS), np.argsort(order)
    moved = capture.on_items(place).posterior(replace(events, item=row[events.item]), memberships(N_ITEMS + 2)[order], N_USERS, 6 * DAY)
    np.testing.assert_allclose(moved, capture.posterior(events, memberships(), N_USERS, 6 * DAY), atol=1e-5)
