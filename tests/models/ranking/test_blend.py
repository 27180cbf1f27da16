"""The blend: useful terms get weight, repeats are as calculated by hand, scores follow the formula of its docstring."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from models.events import Ints
from models.ranking.blend import (
    GATES,
    N_REPEAT_FEATURES,
    N_USER_FEATURES,
    Blend,
    ItemState,
    Repeats,
    combine,
    find_repeats,
    popularity_only,
    starting_blend,
    trendiness,
    user_features,
)
from models.ranking.candidates import Candidates, candidate_scorer, pick_candidates
from models.ranking.prior import HALF_LIVES_H, N_SHARES, Slots
from models.training.blend_fit import fit_blend
from tests.models.planted import HOUR, make_events

IS_BUSY = 6
TREND = np.array([0.0, 1.0], np.float32)
ROWS, ITEMS = 400, 25


def item_state(seed: int = 0) -> ItemState:
    generator = torch.Generator().manual_seed(seed)
    shares = torch.rand(ITEMS, N_SHARES, generator=generator) + 0.01
    extra = torch.stack([torch.rand(ITEMS, generator=generator), torch.zeros(ITEMS)], 1)
    return ItemState(torch.cat([shares / shares.sum(0), extra], 1), torch.zeros(ITEMS), torch.zeros(ITEMS))


def users(rows: int = ROWS) -> Tensor:
    features = torch.zeros(rows, N_USER_FEATURES)
    features[:, 0] = 1
    return features


def young(state: ItemState, item: int) -> float:
    """The `young` term: 1 for an item of today, 1/e after three days."""
    days = np.expm1(state.popularity[item, N_SHARES].item())
    return float(np.exp(-days / 3))


def had_before(item: Ints) -> Repeats:
    """Every user had one item, an hour ago."""
    events = make_events([(user, int(each), 0) for user, each in enumerate(item)], n_items=ITEMS)
    return find_repeats(events, np.arange(ROWS), np.arange(ROWS) + 1, np.full(ROWS, HOUR))


def fit(sequence: Tensor, target: Tensor, state: ItemState, repeats: Repeats | None = None) -> Blend:
    return fit_blend(pick_candidates(users(len(target)), sequence, state, repeats, None, target), starting_blend(TREND, sequence=0.0))


def test_a_useful_sequence_score_gets_weight_and_a_useless_one_none() -> None:
    generator = torch.Generator().manual_seed(0)
    score = 2 * torch.randn(ROWS, ITEMS, generator=generator)
    target = torch.distributions.Categorical(logits=score).sample()
    row = GATES.index("sequence")
    useful = fit(score, target, item_state()).gate[0, row]
    useless = fit(torch.randn(ROWS, ITEMS, generator=generator), target, item_state()).gate[0, row]
    assert useful == pytest.approx(1.0, abs=0.3), "the score is the log probability itself"
    assert abs(useless) < 0.25


def test_the_popularity_that_predicts_gets_the_share_of_the_mixture() -> None:
    state = item_state()
    chosen = HALF_LIVES_H.index(8.0)
    target = torch.multinomial(state.popularity[:, chosen] ** 3, ROWS, replacement=True, generator=torch.Generator().manual_seed(0))
    blend = fit(torch.zeros(ROWS, ITEMS), target, state)
    assert blend.mixture[0].argmax() == chosen
    assert blend.gate[0, GATES.index("popularity")] > 1


def test_users_who_return_to_items_get_them_again() -> None:
    rng = np.random.default_rng(0)
    history = rng.integers(0, ITEMS, ROWS)
    repeats = had_before(history)
    target = torch.from_numpy(np.where(rng.random(ROWS) < 0.8, history, rng.integers(0, ITEMS, ROWS)))
    blend = fit(torch.zeros(ROWS, ITEMS), target, item_state(), repeats)
    scores = combine(blend, users(), {"sequence": torch.zeros(ROWS, ITEMS)}, item_state(), repeats)
    assert (scores.argmax(1).numpy() == history).mean() > 0.9


def test_without_any_target_among_the_candidates_the_start_is_kept() -> None:
    start = starting_blend(TREND)
    candidates = pick_candidates(users(3), torch.randn(3, ITEMS), item_state(), None, None, torch.tensor([1, 2, 3]))
    none = replace(candidates, is_target=torch.zeros_like(candidates.is_target))
    assert fit_blend(none, start) is start


def test_candidates_are_weighed_by_the_formula_that_ranks_the_catalogue() -> None:
    generator = torch.Generator().manual_seed(3)
    widths = N_SHARES, len(GATES), N_REPEAT_FEATURES
    mixture, gate, repeat = (torch.randn(N_USER_FEATURES, width, generator=generator) for width in widths)
    is_cold = (torch.arange(ITEMS) % 3 == 0).float()
    state = replace(item_state(), mean_score=torch.randn(ITEMS, generator=generator), is_cold=is_cold)
    who, sequence = torch.randn(ROWS, N_USER_FEATURES, generator=generator), torch.randn(ROWS, ITEMS, generator=generator)
    repeats = had_before(np.arange(ROWS) % ITEMS)
    picked = pick_candidates(who, sequence, state, repeats, None, torch.zeros(ROWS, dtype=torch.int64), n_each=ITEMS)
    everything = combine(Blend(mixture.numpy(), gate.numpy(), repeat.numpy(), TREND), who, {"sequence": sequence}, state, repeats)
    weighed = candidate_scorer(picked)(mixture, gate, repeat)
    assert (~picked.is_out).sum() == ROWS * ITEMS, "every item is a candidate once"
    assert torch.allclose(weighed[~picked.is_out].view(ROWS, ITEMS), everything, atol=1e-4)


def test_combine_is_the_formula() -> None:
    generator = torch.Generator().manual_seed(1)
    widths = N_SHARES, len(GATES), N_REPEAT_FEATURES
    mixture, gate, repeat = (torch.randn(N_USER_FEATURES, width, generator=generator).numpy() for width in widths)
    blend = Blend(mixture, gate, repeat, TREND)
    state = replace(item_state(), mean_score=torch.randn(ITEMS, generator=generator), is_cold=(torch.arange(ITEMS) % 3 == 0).float())
    who, sequence = torch.randn(4, N_USER_FEATURES, generator=generator), torch.randn(4, ITEMS, generator=generator)
    repeats = Repeats(torch.tensor([2]), torch.tensor([7]), torch.tensor([[1.0, 0.5, 2.0, 0.3]]))
    found = combine(blend, who, {"sequence": sequence}, state, repeats)
    row, item = 2, 7
    weight = dict(zip(GATES, who[row].numpy() @ blend.gate, strict=True))
    share = torch.from_numpy(who[row].numpy() @ blend.mixture).softmax(0) @ state.popularity[item, :N_SHARES]
    expected = (
        weight["popularity"] * share.log()
        + weight["sequence"] * sequence[row, item]
        + weight["item_mean"] * state.mean_score[item]
        + weight["age"] * state.popularity[item, N_SHARES]
        + weight["unseen"] * state.popularity[item, N_SHARES + 1]
        + weight["young"] * young(state, item)
        + torch.tensor([1.0, 0.5, 2.0, 0.3]) @ torch.from_numpy(who[row].numpy() @ blend.repeat)
    )
    assert found[row, item].item() == pytest.approx(float(expected), rel=1e-4)
    signs = set()
    for row in range(4):
        weight = dict(zip(GATES, who[row].numpy() @ blend.gate, strict=True))
        share = torch.from_numpy(who[row].numpy() @ blend.mixture).softmax(0) @ state.popularity[6, :N_SHARES]
        cold = found[row, 6].item() - max(weight["sequence_cold"], 0) * sequence[row, 6].item() - weight["cold"]
        alone = weight["popularity"] * share.log() + weight["age"] * state.popularity[6, N_SHARES] + weight["young"] * young(state, 6)
        assert cold == pytest.approx(float(alone), rel=1e-3)
        signs.add(weight["sequence_cold"] > 0)
    assert signs == {True, False}, "a negative weight would lower the score of a wanted item"


def test_the_fitted_scores_are_the_served_scores() -> None:
    generator = torch.Generator().manual_seed(2)
    state = replace(item_state(), mean_score=torch.randn(ITEMS, generator=generator), is_cold=(torch.arange(ITEMS) % 4 == 0).float())
    sequence, target = torch.randn(50, ITEMS, generator=generator), torch.randint(0, ITEMS, (50,), generator=generator)
    candidates = pick_candidates(users(50), sequence, state, None, None, target)
    assert candidates.is_target.sum(1).eq(1).all()
    kept = candidates.sequence.masked_fill(candidates.is_out, -torch.inf).logsumexp(1)
    torch.testing.assert_close(kept, sequence.logsumexp(1), msg="a small catalogue is all candidates, each once")
    torch.testing.assert_close(candidates.sequence[candidates.is_target], sequence[torch.arange(50), target])


def test_mid_session_users_get_other_items_and_returning_users_the_same() -> None:
    rng = np.random.default_rng(0)
    history = rng.integers(0, ITEMS, ROWS)
    repeats = had_before(history)
    is_busy = np.arange(ROWS) % 2 == 0
    who = users()
    who[:, IS_BUSY] = torch.from_numpy(is_busy).float()
    target = torch.from_numpy(np.where(is_busy, (history + rng.integers(1, ITEMS, ROWS)) % ITEMS, history))
    sequence, state = torch.zeros(ROWS, ITEMS), item_state()
    blend = fit_blend(pick_candidates(who, sequence, state, repeats, None, target), starting_blend(TREND, sequence=0.0))
    first = combine(blend, who, {"sequence": sequence}, state, repeats).argmax(1).numpy()
    assert (first[~is_busy] == history[~is_busy]).mean() > 0.9
    assert (first[is_busy] == history[is_busy]).mean() < 0.1


def test_seen_items_are_no_candidates_unless_they_are_the_target() -> None:
    seen = (np.array([0, 0, 1]), np.array([3, 4, 5]))
    sequence = torch.arange(float(ITEMS)).repeat(2, 1)
    candidates = pick_candidates(users(2), sequence, item_state(), None, seen, torch.tensor([3, 9]))
    offered = [set(candidates.sequence[row][~candidates.is_out[row]].int().tolist()) for row in range(2)]
    assert 3 in offered[0]
    assert 4 not in offered[0]
    assert 5 not in offered[1]
    assert offered[0] | {4} == offered[1] | {5} == set(range(ITEMS))


def test_candidates_join_row_after_row() -> None:
    one = pick_candidates(users(2), torch.randn(2, ITEMS), item_state(), None, None, torch.tensor([1, 2]))
    assert torch.equal(Candidates.join([one, one]).is_target, torch.cat([one.is_target, one.is_target]))


def test_repeats_count_and_date_the_distinct_items_of_a_history() -> None:
    events = make_events([(0, item, n * HOUR) for n, item in enumerate([9, 4, 4, 7, 4, 9])], n_items=10)
    repeats = find_repeats(events, np.array([1, 5]), np.array([5, 5]), np.array([5 * HOUR, 5 * HOUR]))
    assert repeats.row.tolist() == [0, 0], "the second history is empty"
    assert repeats.item.tolist() == [4, 7]
    expected = [[1, np.log(3), np.log(1), np.log(2) / 3], [1, 0, np.log(2), np.log(3) / 3]]
    assert repeats.features.numpy() == pytest.approx(np.array(expected), abs=1e-6)


def test_user_features_know_newcomers_activity_and_the_gap() -> None:
    trend = np.array([1.0, 3.0, 9.0], np.float32)
    start, stop, gap = np.array([0, 0, 2, 0]), np.array([2, 2, 2, 2]), np.array([2 * HOUR, 99 * HOUR, 5, 59])
    who = [1, 0, np.log(3) / 3, (2 - 1) / 2]
    today, days_ago, nobody, busy = user_features(trend, start, stop, gap, np.array([1.0, 2.0], np.float32)).numpy()
    assert today == pytest.approx([*who, 0, np.log(3 / 25) / 3, 0, 0, 0], abs=1e-5)
    assert days_ago == pytest.approx([*who, np.log(100 / 25) / 3, 0, 0, 0, 0], abs=1e-5)
    assert nobody.tolist() == [1, 1, 0, 0, 0, 0, 0, 0, 0]
    assert busy == pytest.approx([*who, 0, 0, 1, *who[2:]], abs=1e-5)
    known = user_features(trend, start, stop, gap, np.array([1.0, 2.0], np.float32), np.array([98, 98, 98, 0])).numpy()
    assert known[:, 2].tolist() == pytest.approx([np.log(101) / 3, np.log(101) / 3, 0, np.log(3) / 3])


def test_an_item_is_trendy_when_many_came_before_and_its_own_event_does_not_count() -> None:
    events = make_events([(user, 0, user) for user in range(5)] + [(5, 0, HOUR), (6, 1, HOUR)], n_items=2)
    trend = trendiness(events, Slots(0, 900), events)
    assert trend[5] > np.log(4)
    assert trend[6] == trend[0] == pytest.approx(np.log(0.1))


def test_scaling_turns_one_part_up_or_down_and_leaves_the_other() -> None:
    blend = starting_blend(TREND)
    quiet = blend.scaled(sequence=0.0, popularity=1.0)
    assert quiet.gate[0].tolist()[:3] == [1, 0, 0]
    assert blend.scaled(2.0, 0.5).gate[0].tolist()[:3] == [0.5, 2, 2]
    assert blend.gate[0].tolist()[:3] == [1, 1, 1], "the blend itself stays"


def test_one_popularity_alone_orders_items_by_it() -> None:
    state = item_state()
    scores = combine(popularity_only(2, TREND), users(1), {"sequence": torch.randn(1, ITEMS)}, state, None)
    assert torch.equal(scores[0].argsort(), state.popularity[:, 2].argsort())
