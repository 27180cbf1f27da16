"""The choice of the blend: candidates rank as the catalogue does, late events count more, no segment is neglected."""

from __future__ import annotations

import numpy as np
import torch

from models.evaluation.blend_choice import View, lateness, scores
from models.ranking.blend import GATES, Blend, popularity_only, starting_blend
from models.ranking.prior import HALF_LIVES_H
from models.sequence.users import target_vectors
from tests.models.evaluation.test_evaluator import N_ITEMS, evaluator_of
from tests.models.planted import random_events, shaken

SCALE = np.array([0, 1], np.float32)
POPULARITIES = [popularity_only(row, SCALE) for row in range(len(HALF_LIVES_H) + 1)]


def a_view(is_cold: torch.Tensor) -> tuple[View, np.ndarray]:
    """A view of random events by an untrained model, and the items of the events in the order of the view."""
    events = random_events(n_users=60)
    evaluator, model, rows = evaluator_of(events), shaken(N_ITEMS), np.arange(len(events))
    items = model.items().detach()
    vectors = target_vectors(model, events, rows)
    candidates = evaluator.candidates(rows, vectors, items, starting_blend(SCALE), items @ vectors.mean(0), is_cold)
    item = events.item[evaluator.by_slot(rows)]
    cold = is_cold.numpy()[item] > 0
    segments = {"all": np.ones(len(rows), bool), "warm_user_warm_item": ~cold, "warm_user_cold_item": cold}
    return View.of(candidates, events.user[evaluator.by_slot(rows)], np.ones(len(rows), np.float32), segments, POPULARITIES), item


def test_ndcg_among_the_candidates_is_that_of_the_whole_catalogue() -> None:
    events = random_events(n_users=60)
    evaluator, model, rows = evaluator_of(events), shaken(N_ITEMS), np.arange(len(events))
    items, is_cold = model.items().detach(), torch.zeros(N_ITEMS)
    vectors = target_vectors(model, events, rows)
    blend = starting_blend(SCALE)
    ranked = evaluator.rank_blend(rows, vectors, items, blend, items @ vectors.mean(0), is_cold)
    candidates = evaluator.candidates(rows, vectors, items, blend, items @ vectors.mean(0), is_cold)
    found = candidates.ndcg_at_10(scores(candidates, blend))
    np.testing.assert_allclose(found, ranked.ndcg_at_10[evaluator.by_slot(rows)], rtol=1e-5)


def test_a_blend_that_misses_a_segment_has_less_quality_than_its_ndcg() -> None:
    is_cold = (torch.arange(N_ITEMS) % 3 == 0).float()
    view, _ = a_view(is_cold)

    def plain(blend: Blend) -> float:
        return float(view.candidates.ndcg_at_10(scores(view.candidates, blend)).mean() / view.baselines.mean(1).max())

    unfair = POPULARITIES[-1].shifted("cold", -20.0)
    assert view.quality(unfair) < 0.85 * plain(unfair), "no cold item is on any list"
    assert view.at(~view.segments[1]).quality(unfair) > 0.9, "on warm items only, it is at least as good as popularity"


def test_a_shift_raises_one_gate_for_every_user() -> None:
    blend = starting_blend(SCALE)
    moved = blend.shifted("cold", 0.5).gate - blend.gate
    assert moved[0, GATES.index("cold")] == 0.5
    assert np.count_nonzero(moved) == 1


def test_late_events_count_three_times_as_much_as_early_ones_and_events_of_one_time_the_same() -> None:
    weight = lateness(np.array([40, 10, 30, 20, 30]))
    assert weight.mean() == 1
    assert weight[2] == weight[4]
    assert np.array_equal(np.argsort(weight[[1, 3, 2, 0]]), np.arange(4))
    many = lateness(np.arange(10_000))
    assert round(float(many.max() / many.min()), 2) == 3
    assert np.array_equal(lateness(np.zeros(7, np.int64)), np.ones(7, np.float32))
