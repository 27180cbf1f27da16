"""Item-kNN on examples calculated by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from models.evaluation.item_knn import N_NEIGHBOURS, ItemKnn
from models.events import Events, Ints
from tests.models.planted import make_events, random_events

TRAIN = make_events([(0, 0, 1), (0, 1, 2), (1, 0, 1), (1, 1, 2), (1, 2, 3), (2, 2, 1), (2, 3, 2), (2, 3, 9)], n_items=5)


def ranges(*each: tuple[int, int]) -> tuple[Ints, Ints]:
    """Histories as half-open ranges of events."""
    start, stop = np.array(each).T
    return start, stop


def before(events: Events, rows: Sequence[int] | Ints) -> tuple[Ints, Ints]:
    """The events of the same user before each row."""
    stop = np.array(rows)
    return events.offsets[events.user[stop]], stop


def test_similarity_is_the_shrunk_cosine_of_the_users_of_two_items() -> None:
    near = ItemKnn(TRAIN, shrinkage=5.0).neighbours.toarray()
    assert near[0, 1] == pytest.approx(2 / (2 + 5)), "both users of 0 and of 1"
    assert near[0, 2] == pytest.approx(1 / (2 + 5))
    assert near[2, 3] == pytest.approx(1 / (np.sqrt(2) + 5)), "a user with two events counts once"
    assert near[0, 3] == near[0, 4] == 0
    assert (near.diagonal() == 0).all()
    assert np.allclose(near, near.T)


def test_a_history_votes_with_its_events_newest_first() -> None:
    knn = ItemKnn(TRAIN, decay=0.5)
    events = make_events([(0, 0, 1), (0, 3, 2), (0, 4, 3)], n_items=5)
    near = knn.neighbours.toarray()
    scores = knn.score(events, *before(events, [2]))
    assert np.allclose(scores[0], near[3] + 0.5 * near[0], atol=1e-6)


def test_another_decay_keeps_the_neighbours() -> None:
    knn = ItemKnn(TRAIN, decay=0.5)
    even = knn.with_decay(1.0)
    assert even.neighbours is knn.neighbours
    assert (even.decay, knn.decay) == (1.0, 0.5)


def test_without_history_popularity_decides() -> None:
    scores = ItemKnn(TRAIN).score(make_events([(0, 4, 1)], n_items=5), *ranges((0, 0)))
    assert np.allclose(scores[0] * 1e9, [2, 2, 2, 2, 0])


def test_the_event_itself_and_later_events_have_no_vote() -> None:
    knn = ItemKnn(TRAIN)
    events = make_events([(0, 0, 1), (0, 1, 2), (0, 2, 3)], n_items=5)
    other = make_events([(0, 0, 1), (0, 4, 2), (0, 3, 3)], n_items=5)
    assert np.array_equal(knn.score(events, *before(events, [0, 1])), knn.score(other, *before(other, [0, 1])))


def test_only_the_events_within_a_range_vote() -> None:
    knn, near = ItemKnn(TRAIN, decay=0.5), ItemKnn(TRAIN).neighbours.toarray()
    events = make_events([(0, 4, 1), (0, 0, 2), (0, 3, 3), (0, 2, 4)], n_items=5)
    assert np.allclose(knn.score(events, *ranges((1, 2)))[0], near[0], atol=1e-6)


def test_an_item_keeps_only_its_nearest_neighbours() -> None:
    rows = [(user, item, item) for user in range(3) for item in range(N_NEIGHBOURS + 60)]
    rows += [(3, item, item) for item in range(N_NEIGHBOURS + 1)]
    near = ItemKnn(make_events(rows, n_items=N_NEIGHBOURS + 60)).neighbours
    assert near[0].nnz == N_NEIGHBOURS
    assert set(near[0].indices) == set(range(1, N_NEIGHBOURS + 1))


def test_scores_of_rows_are_the_same_alone_and_together() -> None:
    events = random_events()
    knn, rows = ItemKnn(events), np.arange(0, len(events), 3)
    alone = np.vstack([knn.score(events, *before(events, rows[n : n + 1])) for n in range(len(rows))])
    assert np.allclose(knn.score(events, *before(events, rows)), alone, atol=1e-6)


def test_training_on_nothing_scores_nothing() -> None:
    knn = ItemKnn(make_events([], n_items=3))
    assert (knn.score(make_events([(0, 1, 1), (0, 2, 2)], n_items=3), *ranges((0, 0), (0, 1))) == 0).all()
