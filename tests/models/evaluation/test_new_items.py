"""When items are new, and how often they were chosen then, against what their scores said."""

from __future__ import annotations

import numpy as np
import torch

from models.evaluation.new_items import DAY_S, fit_new_items, new_between
from models.ranking.blend import starting_blend
from models.ranking.exploration import NEW_DAYS, NEW_VOTES
from models.sequence.weights import Weights
from tests.models.evaluation.test_evaluator import evaluator_of
from tests.models.planted import HOUR, TINY, make_events, shaken

TREND = np.array([0.0, 1.0], np.float32)


def test_an_item_is_new_from_its_first_event_until_it_is_old_or_has_many_events() -> None:
    n_many = int(NEW_VOTES) + 5
    events = make_events([(0, 1, 500), (0, 1, 100), *((1, 2, 1000 + n) for n in range(n_many))], n_items=4)
    first, until = new_between(events)
    assert first[[1, 2]].tolist() == [100, 1000]
    assert until[[1, 2]].tolist() == [100 + NEW_DAYS * DAY_S, 1000 + NEW_VOTES - 1]
    assert (first[[0, 3]] > 10**15).all()


def test_a_layer_is_fitted_on_the_held_out_events_of_items_that_were_new_then() -> None:
    """Item 29 appears late and gets all events from then on, much more than its score says."""
    rng = np.random.default_rng(0)
    old = [(int(rng.integers(0, 20)), int(rng.integers(0, 29)), n) for n in range(0, 200 * HOUR, HOUR)]
    late = [(int(rng.integers(0, 20)), 29, (200 + n) * HOUR) for n in range(40)]
    events = make_events([*old, *late], n_items=30)
    weights = Weights(shaken(30), torch.zeros(TINY.dim), torch.zeros(30))
    held_out = np.flatnonzero(events.time > 200 * HOUR)

    def surprise(rows: np.ndarray) -> np.ndarray:
        layer = fit_new_items(evaluator_of(events), weights, starting_blend(TREND), rows, 240.0, seed=0)
        assert layer.n_votes == 240
        found: np.ndarray = layer.mean[0] + weights.model.items.text.numpy() @ layer.mean[1:]
        return found

    assert surprise(held_out).argmax() == 29
    assert surprise(held_out)[29] > 0
    assert not surprise(held_out[:0]).any(), "nothing is known without held-out events"
