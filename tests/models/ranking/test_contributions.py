"""The terms of a score add up to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.events import Earlier
from models.ranking.blend import GATES
from tests.models.planted import random_events
from tests.models.ranking.test_scorer import N_ITEMS, scorer_of


@pytest.mark.parametrize("hide_seen", [False, True])
def test_the_terms_of_every_score_add_up_to_it(hide_seen: bool) -> None:
    events = random_events(n_users=25)
    scorer = scorer_of(events, hide_seen=hide_seen)
    generator = np.random.default_rng(3)
    scorer.blend.gate[:] = generator.normal(size=scorer.blend.gate.shape)
    scorer.blend.mixture[:] = generator.normal(size=scorer.blend.mixture.shape)
    cold = torch.from_numpy((np.arange(N_ITEMS) % 4 == 0).astype(np.float32))
    scorer = replace(scorer, weights=replace(scorer.weights, is_cold=cold))
    earlier = Earlier(np.full(25, 3), np.zeros(25, np.int64), np.zeros(25, np.int64), np.zeros(0, np.int64))
    (block,) = scorer.score_blocks(events, 25, now=None, trend=None, earlier=earlier)
    terms = scorer.terms(block)
    assert set(terms) == {*GATES, "repeats"} - {"sequence_cold"} - ({"repeats"} if hide_seen else set())
    is_shown = block.scores.isfinite()
    torch.testing.assert_close(sum(terms.values())[is_shown], block.scores[is_shown], atol=1e-4, rtol=1e-5)  # type: ignore[index]
    assert is_shown.all() != hide_seen
