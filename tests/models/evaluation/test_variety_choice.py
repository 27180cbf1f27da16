"""The default dial: the greatest that costs next to nothing and varies lists noticeably, or none."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.evaluation.comparison import rank_recommender
from models.evaluation.variety_choice import DIALS, LEAST_EVENTS, Pools, choose_dial, choose_variety
from models.events import Floats
from models.ranking.blend import starting_blend
from models.sequence.weights import Weights
from tests.models.evaluation.test_evaluator import N_ITEMS, evaluator_of
from tests.models.planted import TINY, random_events, random_text, shaken

TREND = np.array([0.0, 1.0], np.float32)


def pools_of(target: list[int], n_items: int = 40, slope: float = 0.05) -> Pools:
    """Lists of the items in their order; each event has its own target and user."""
    scores = -slope * torch.arange(float(n_items)).repeat(len(target), 1)
    return Pools(scores.log_softmax(1), torch.arange(n_items).repeat(len(target), 1), torch.tensor(target), np.arange(len(target)))


def alike(n_alike: int, n_items: int = 40) -> torch.Tensor:
    """The first items all look the same, the others differ."""
    vectors = random_text(n_items, 16)
    vectors[:n_alike] = vectors[0]
    return torch.from_numpy(vectors)


def test_where_the_best_item_is_what_people_want_the_dial_goes_up_to_its_end() -> None:
    assert choose_dial(pools_of([0] * 50), alike(12)) == max(DIALS)


def test_where_people_want_what_is_alike_lists_stay_in_the_order_of_their_scores() -> None:
    assert choose_dial(pools_of(list(range(10)) * 5), alike(12)) == 0


def test_a_dial_that_hardly_varies_lists_is_not_worth_it() -> None:
    assert choose_dial(pools_of([0] * 50), torch.eye(40)) == 0, "all items are as different as can be"


def test_without_a_hit_or_with_few_events_nothing_is_chosen() -> None:
    assert choose_dial(pools_of([39] * 50), alike(12)) == 0
    events = random_events(n_users=20)
    weights = Weights(shaken(N_ITEMS), torch.zeros(TINY.dim), torch.zeros(N_ITEMS))
    few = np.arange(LEAST_EVENTS - 1)
    assert choose_variety(evaluator_of(events), weights, starting_blend(TREND), few, 0) == 0


@pytest.mark.parametrize("variety", [0.0, 0.7])
def test_the_figures_of_a_dial_are_those_of_its_lists(variety: float) -> None:
    vectors = alike(3, 30)
    pools = pools_of([0, 2, 25], 30)
    pools.log_p[2, 1:] = -torch.inf  # a list of one item
    tops = pools.tops(vectors, variety)
    assert tops.item.shape == (3, 10)
    assert tops.item[2].tolist() == [0] + [-1] * 9
    assert tops.distance[2] == 0
    for user, target in enumerate([0, 2]):
        shown = tops.item[user].tolist()
        place = shown.index(target) if target in shown else None
        assert tops.ndcg[user] == pytest.approx(0 if place is None else 1 / np.log2(place + 2))
        of_shown: Floats = vectors[shown].numpy()
        pairs = (1 - of_shown @ of_shown.T)[np.triu_indices(10, 1)]
        assert tops.distance[user] == pytest.approx(pairs.mean(), abs=1e-5)
    assert pools.distance(tops) == pytest.approx(tops.distance.mean())


@pytest.mark.parametrize("hide_seen", [False, True])
def test_without_variety_the_lists_are_those_that_the_gate_judges(hide_seen: bool) -> None:
    events = random_events(n_users=40)
    evaluator = evaluator_of(events, hide_seen=hide_seen).by_lists_of_before(60)
    weights = Weights(shaken(N_ITEMS), torch.randn(TINY.dim, generator=torch.Generator().manual_seed(0)), torch.zeros(N_ITEMS))
    rows, blend = np.arange(len(events)), starting_blend(TREND)
    ranking = rank_recommender(evaluator, weights, blend, rows)
    pools = Pools.of(evaluator, weights, blend, rows)
    found = pools.tops(weights.item_vectors(), 0.0)
    order = evaluator.by_slot(rows)
    np.testing.assert_allclose(found.ndcg, ranking.ndcg_at_10[order], atol=1e-6)
    assert np.array_equal(pools.user, events.user[order])
