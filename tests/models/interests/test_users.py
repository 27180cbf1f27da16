"""The strongest interests of users, with items of theirs that speak for each."""

from __future__ import annotations

import numpy as np
import pytest

from models.events import Events
from models.interests.capture import HORIZONS
from models.interests.users import BLOCK_USERS, LEAST_PROBABILITY, Spoken, find_interests, last_events
from models.interests.vocabulary import Interests
from models.training.capture_fit import fit_capture
from tests.models.interests.test_vocabulary import described, found

DAY = 86400
TITLES = [f"Film ({1950 + 10 * (n % 3)})" for n in range(12)]
FILMS = found(described(*[(("Horror", "Comedy", "War", "Music")[n // 3],) for n in range(12)], titles=TITLES))
ROW = {interest_id: row for row, interest_id in enumerate(FILMS.interest_ids)}


def events_of(*events: tuple[int, int, int]) -> Events:
    """Events as (user, item, day)."""
    table = np.array(events, np.int64).reshape(-1, 3)
    weight = np.ones(len(table), np.float32)
    return Events.build(table[:, 0], table[:, 1], 0 * table[:, 0], table[:, 2] * DAY, weight, n_items=12, n_kinds=1)


HABITS = events_of(*[(0, n % 3, n) for n in range(9)], *[(1, 6 + n % 3, n) for n in range(9)], (2, 0, 0), (2, 1, 2), (2, 9, 9), (2, 10, 9))


def shown(interests: Interests, events: Events, n_users: int) -> dict[tuple[int, str, str], tuple[float, list[int]]]:
    """Probability and evidence by user, horizon and interest."""
    capture = fit_capture(events, interests.shares, interests.group_numbers, 0, 7)  # nothing to train on: smoothed counts
    held = find_interests(interests, capture, events, n_users, 10 * DAY)
    keys = zip(held.user.tolist(), held.horizon.tolist(), held.interest.tolist(), strict=True)
    return {
        (user, HORIZONS[horizon], interests.interest_ids[interest]): (float(p), [item for item in cited if item >= 0])
        for (user, horizon, interest), p, cited in zip(keys, held.probability, held.evidence.tolist(), strict=True)
    }


@pytest.fixture(scope="module")
def held() -> dict[tuple[int, str, str], tuple[float, list[int]]]:
    return shown(FILMS, HABITS, 3)


def test_what_a_user_does_is_what_they_are_interested_in(held: dict[tuple[int, str, str], tuple[float, list[int]]]) -> None:
    for user, interest in ((0, "label:horror"), (1, "label:war")):
        of_user = {key[2]: value[0] for key, value in held.items() if key[:2] == (user, "short") and key[2].startswith("label")}
        assert max(of_user, key=of_user.__getitem__) == interest


def test_evidence_is_items_of_the_user_that_belong_to_the_interest_newest_first(
    held: dict[tuple[int, str, str], tuple[float, list[int]]],
) -> None:
    assert held[2, "short", "label:music"][1] == [9, 10]
    assert held[2, "short", "label:horror"][1] == [1, 0]
    assert held[2, "long", "decade:1950"][1] == [9, 0]
    for (user, _, interest), (_, cited) in held.items():
        had = set(HABITS.item[HABITS.user == user].tolist())
        assert set(cited) <= had & set(FILMS.item[FILMS.interest == ROW[interest]].tolist())


def test_probabilities_sum_to_at_most_one_in_each_group_and_small_ones_are_left_out(
    held: dict[tuple[int, str, str], tuple[float, list[int]]],
) -> None:
    for user in range(4):
        for horizon in HORIZONS:
            for group in ("label", "decade"):
                total = [value[0] for key, value in held.items() if key[:2] == (user, horizon) and key[2].startswith(group)]
                assert 0 < sum(total) <= 1 + 1e-5
    assert min(value[0] for value in held.values()) >= LEAST_PROBABILITY


def test_after_the_users_comes_everybody_without_evidence(held: dict[tuple[int, str, str], tuple[float, list[int]]]) -> None:
    assert {key[0] for key in held} == {0, 1, 2, 3}
    assert all(not cited for (user, _, _), (_, cited) in held.items() if user == 3)


def test_users_in_another_block_get_the_same_interests(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = shown(FILMS, HABITS, 3)
    monkeypatch.setattr("models.interests.users.BLOCK_USERS", 2)
    apart = shown(FILMS, HABITS, 3)
    assert BLOCK_USERS > 3
    assert {key: cited for key, (_, cited) in apart.items()} == {key: cited for key, (_, cited) in at_once.items()}
    assert all(apart[key][0] == pytest.approx(p, abs=1e-5) for key, (p, _) in at_once.items())


def test_only_the_last_events_of_a_user_count() -> None:
    kept = last_events(HABITS, 3, 2)
    assert [kept.item[kept.user == user].tolist() for user in range(3)] == [[1, 2], [7, 8], [9, 10]]


def test_a_search_shifts_the_short_horizon_of_its_user_by_its_trust_and_nothing_else() -> None:
    posterior = np.tile(np.array([0.75, 0.25], np.float32), (2, 3, 1))
    spoken = Spoken(np.array([1, 5]), np.array([[0.0, 1.0], [0.5, 0.5]], np.float32), np.array([0.4, 1.0], np.float32))
    mixed = spoken.mixed(posterior, first=0)
    assert mixed[0, 1].tolist() == pytest.approx([0.45, 0.55])
    mixed[0, 1] = posterior[0, 1]
    assert np.array_equal(mixed, posterior)
    assert spoken.mixed(posterior, first=5)[0, 0].tolist() == [0.5, 0.5]
    assert np.array_equal(spoken.mixed(posterior, first=2), posterior)
