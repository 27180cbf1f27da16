"""Slots for new items: the draws follow the posterior, obey the rules of the place, and are the same wherever they are made."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.ranking.choice import Choice, choose
from models.ranking.exploration import N_DRAWS, Draws, Lottery, NewItemLayer, NewItems, fill_slots, slot_positions

KEY = b"a key of this home"
IDS = [f"item-{n}" for n in range(40)]
NEW = np.arange(30, 40)
LAYER = NewItemLayer(np.zeros(3), np.diag([0.1, 0.5, 0.5]), 1.0, 1000.0)


def lottery_of(layer: NewItemLayer | None = LAYER, moment: int = 7, votes: float = 0.0, key: bytes = KEY) -> Lottery:
    text = np.random.default_rng(0).normal(size=(len(NEW), 2))
    return NewItems(NEW, text, np.full(len(NEW), votes), layer).lottery(key, moment, IDS)


def draws_of(n_users: int, n_slots: int = 1, lottery: Lottery | None = None) -> Draws:
    return (lottery or lottery_of()).draws(KEY, "home", 7, [f"u{n}" for n in range(n_users)], n_slots)


def scores_of(n_users: int, seed: int = 0) -> torch.Tensor:
    scores = torch.randn(n_users, len(IDS), generator=torch.Generator().manual_seed(seed))
    scores[:, 30:] -= 6.0  # no new item is in a list by its score
    return scores


def filled(scores: torch.Tensor, k: int, choice: Choice, draws: Draws) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    out = fill_slots(scores, choose(scores, choice, k, torch.zeros(len(IDS), 1)), choice, draws)
    return out.rows.numpy(), out.is_drawn.numpy(), out.propensity.numpy()


@pytest.mark.parametrize(("n_slots", "ranks"), [(0, []), (1, [5]), (2, [4, 7]), (3, [3, 5, 8]), (4, [2, 4, 6, 8]), (5, [2, 4, 5, 7, 9])])
def test_slots_stand_at_the_same_ranks_of_the_first_and_the_second_ten_and_never_at_the_first(n_slots: int, ranks: list[int]) -> None:
    assert (slot_positions(n_slots) + 1).tolist() == [*ranks, *(rank + 10 for rank in ranks)]


def test_a_drawn_item_stands_in_its_slot_and_the_ranked_items_move_down() -> None:
    n_users = 50
    scores = scores_of(n_users)
    ranked = scores.topk(12, 1).indices.numpy()
    rows, is_drawn, propensity = filled(scores, 12, Choice(new_item_slots=1), draws_of(n_users))
    assert np.isin(rows[:, 4], NEW).all()
    assert (np.delete(rows, 4, 1) == ranked[:, :11]).all()
    assert (is_drawn == (np.arange(12) == 4)).all()
    assert (propensity[:, np.arange(12) != 4] == 1).all()
    assert (propensity[:, 4] >= 1 / N_DRAWS).all()
    assert len(np.unique(rows[:, 4])) > 4


@settings(max_examples=25, deadline=None)
@given(k=st.integers(1, 25), n_slots=st.integers(1, 5), seed=st.integers(0, 5), variety=st.sampled_from([0.0, 0.5]))
def test_a_longer_list_begins_with_the_shorter_one_and_no_item_stands_twice(k: int, n_slots: int, seed: int, variety: float) -> None:
    choice, scores = Choice(new_item_slots=n_slots, variety=variety), scores_of(3, seed)
    scores[:, 30:] += 5.0  # some new items are in the list by their score, too
    scores[0, 25:] = -torch.inf
    whole, short = (filled(scores, each, choice, draws_of(3, n_slots))[0] for each in (30, k))
    assert (whole[:, :k] == short).all()
    assert all(len(set(row[row >= 0])) == (row >= 0).sum() for row in whole)


@settings(max_examples=25, deadline=None)
@given(cap=st.integers(1, 4), n_slots=st.integers(1, 5), seed=st.integers(0, 5))
def test_no_draw_breaks_a_cap_or_shows_a_forbidden_item_or_shortens_a_list(cap: int, n_slots: int, seed: int) -> None:
    category = np.arange(len(IDS)) % 5 - 1
    choice, scores = Choice(category=category, max_per_category=cap, new_item_slots=n_slots), scores_of(4, seed)
    scores[:, 30:] += 5.0
    scores[:, 32] = scores[1, 33:] = -torch.inf
    scores[2, :] = torch.where(torch.arange(len(IDS)) % 5 > 2, scores[2], -torch.inf)
    rows, is_drawn, _ = filled(scores, 12, choice, draws_of(4, n_slots))
    plain = choose(scores, choice, 12, torch.zeros(len(IDS), 1)).numpy()
    for row, before, user in zip(rows, plain, scores.numpy(), strict=True):
        shown = row[row >= 0]
        assert np.isfinite(user[shown]).all()
        assert np.bincount(category[shown][category[shown] >= 0], minlength=1).max() <= cap
        assert len(shown) == (before >= 0).sum()
    assert np.isin(rows[is_drawn], NEW).all()


def test_items_are_drawn_as_often_as_their_propensity_says() -> None:
    n_users = 4000
    scores = scores_of(1).expand(n_users, -1).clone()
    rows, _, propensity = filled(scores, 6, Choice(new_item_slots=1), draws_of(n_users))
    said = {int(item): float(chance) for item, chance in zip(rows[:, 4], propensity[:, 4], strict=True)}
    share = {item: float((rows[:, 4] == item).mean()) for item in said}
    assert sum(said.values()) == pytest.approx(1, abs=0.05)
    assert all(abs(share[item] - said[item]) < 4 * np.sqrt(said[item] / n_users) for item in said)


def test_without_a_layer_each_possible_new_item_is_as_likely() -> None:
    scores = scores_of(3000)
    scores[:, 36:] = -torch.inf
    rows, _, propensity = filled(scores, 6, Choice(new_item_slots=1), draws_of(3000, lottery=lottery_of(None)))
    assert (propensity[:, 4] == np.float32(1 / 6)).all()
    assert np.bincount(rows[:, 4] - 30) / 3000 == pytest.approx(1 / 6, abs=0.03)


def test_a_list_without_possible_new_items_stays_ranked() -> None:
    scores = scores_of(5)
    scores[:, 30:] = -torch.inf
    rows, is_drawn, propensity = filled(scores, 8, Choice(new_item_slots=2), draws_of(5, 2))
    assert (rows == scores.topk(8, 1).indices.numpy()).all()
    assert not is_drawn.any()
    assert (propensity == 1).all()


def test_draws_depend_on_key_user_scenario_publication_and_slot_and_on_nothing_else() -> None:
    lottery, users = lottery_of(), [f"u{n}" for n in range(200)]
    numbers = lottery.draws(KEY, "home", 7, users, 1).numbers
    assert (lottery.draws(KEY, "home", 7, users[::-1], 1).numbers[::-1] == numbers).all()
    others = [lottery.draws(*other, users, 1).numbers for other in ((b"other", "home", 7), (KEY, "cart", 7), (KEY, "home", 8))]
    assert all(abs(np.corrcoef(numbers[:, 0], each[:, 0])[0, 1]) < 0.25 for each in [*others, numbers[:, 1:]])
    assert lottery.bonus is not None
    assert torch.equal(lottery.bonus, lottery_of().bonus)  # type: ignore[arg-type]
    assert not torch.equal(lottery.bonus, lottery_of(moment=8).bonus)  # type: ignore[arg-type]
    assert not torch.equal(lottery.bonus, lottery_of(key=b"other").bonus)  # type: ignore[arg-type]


def test_events_make_an_item_more_certain() -> None:
    own_only = NewItemLayer(np.zeros(3), np.zeros((3, 3)), 1.0, 1000.0)
    deviations = [float(lottery_of(own_only, votes=votes).bonus.std()) for votes in (0.0, 3.0, 35.0)]  # type: ignore[union-attr]
    assert deviations == pytest.approx([1, 1 / 2, 1 / 6], rel=0.1)


def test_an_item_that_was_shown_in_vain_is_drawn_less_and_one_that_was_chosen_more() -> None:
    own_only = NewItemLayer(np.zeros(3), np.zeros((3, 3)), 1.0, 1000.0, {"item-30": (8.0, 0.0), "item-31": (8.0, 20.0)})
    bonus = lottery_of(own_only).bonus
    assert bonus is not None
    mean = [8 / 9 * np.log(0.5 / 8.5), 8 / 9 * np.log(20.5 / 8.5), 0.0]
    assert bonus.mean(0)[:3].numpy() == pytest.approx(mean, abs=0.3)
    assert bonus.std(0)[:3].numpy() == pytest.approx([1 / 3, 1 / 3, 1], rel=0.2)
    rows, _, _ = filled(scores_of(2000), 6, Choice(new_item_slots=1), draws_of(2000, lottery=lottery_of(own_only)))
    in_vain, chosen, usual = ((rows[:, 4] == item).mean() for item in (30, 31, 32))
    assert in_vain < usual / 3 < usual < chosen


def test_an_item_is_new_without_events_or_with_a_recent_first_and_few_ones() -> None:
    popularity = np.zeros((6, 10), np.float32)
    popularity[:, 6] = [0, 0.02, 0.02, 0.2, 0.02, 0.02]  # of 1,000 events
    popularity[:, 8] = np.log1p([0, 2, 200, 2, 29, 2])
    popularity[:, 9] = [1, 0, 0, 0, 0, 0]
    is_available = np.arange(6) != 5
    found = NewItems.find(popularity, torch.zeros(6, 2), torch.zeros(6), is_available, LAYER)
    assert found.rows.tolist() == [0, 1, 4]
    assert found.votes == pytest.approx([0, 20, 20])
