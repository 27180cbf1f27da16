"""Items that were shown and passed over: which event answers them, the loss by hand, and what a model learns from them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.config import EvaluationConfig
from models.evaluation.evaluator import make_evaluator
from models.evaluation.protocols import held_out
from models.events import TemporalSplit, training_windows
from models.night import fit_past, new_model, training_offsets
from models.ranking.prior import HALF_LIVES_H, Slots, single_popularity
from models.sequence.users import user_vectors
from models.training import passed as module
from models.training.passed import Passed, Shown, passed_loss
from models.training.training import Sampling, train
from tests.models.planted import HOUR, QUICK, TINY, make_events, random_events

DAY = 24 * HOUR
CPU = torch.device("cpu")


def shown(rows: list[tuple[int, int, int]], weight: float = 1.0) -> Shown:
    user, item, time = np.array(rows, np.int64).reshape(-1, 3).T
    return Shown(user, item, time, DAY, weight)


def by_event(found: Passed) -> list[list[int]]:
    return [found.item[start:stop].tolist() for start, stop in zip(found.start[:-1], found.start[1:], strict=True)]


def test_an_event_answers_the_impressions_of_other_items_since_the_event_before_at_most_a_window_old() -> None:
    events = make_events([(0, 0, 100), (0, 1, 200), (1, 2, 150), (0, 3, 200 + 2 * DAY), (1, 4, 10 * DAY)], n_items=9)
    rows = [
        (0, 5, 50),
        (0, 0, 60),  # it was chosen at 100
        (0, 6, 100),  # in the second of the choice: it was before it
        (0, 7, 150),
        (1, 8, 151),  # the answer is too late
        (0, 8, 200 + 2 * DAY + 1),  # no answer
        (7, 8, 1),  # nobody knows this user
    ]
    assert by_event(shown(rows).passed(events)) == [[6, 5], [7], [], [], []]


def test_what_came_of_an_impression_must_be_known_before_the_time_until_which_is_learnt() -> None:
    events = make_events([(0, 0, 100), (0, 1, 3 * DAY)], n_items=4)
    rows = [(0, 2, 50), (0, 3, 3 * DAY - 10)]
    assert by_event(shown(rows).passed(events)) == [[2], []], "the second window is open at the newest event"
    assert by_event(shown(rows).passed(events, until=5 * DAY)) == [[2], [3]]
    assert by_event(shown(rows).passed(events, until=DAY)) == [[], []]


def test_events_that_teach_nothing_answer_nothing_and_only_the_newest_impressions_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    events = make_events([(0, 0, 100), (0, 1, 200)], n_items=9, weights=[0, 1])
    found = shown([(0, item, 10 * item) for item in (2, 3, 4)]).passed(events, until=9 * DAY)
    assert by_event(found) == [[], [4, 3]]


def test_the_loss_is_the_mean_of_log_sigmoids_of_gaps_between_logits() -> None:
    items = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    queries = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    prior = torch.tensor([[0.0, 0.5, -math.inf]])
    found = passed_loss(
        *(queries, items, torch.tensor([0, 1]), np.ones(2, np.float32), prior, torch.zeros(2, dtype=torch.int64)),
        *(np.array([0, 0, 1]), torch.tensor([1, 2, 0])),
    )
    first = (math.log1p(math.exp(0.5 - 2)) + 0.0) / 2  # the item that the prior excludes costs nothing
    second = math.log1p(math.exp(-3 - 0.5))
    assert float(found) == pytest.approx((first + second) / 2, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("is_sampled", [False, True])
def test_items_that_are_passed_over_for_others_sink_below_items_that_are_never_shown(is_sampled: bool) -> None:
    events = random_events(n_users=40, n_events=600, n_items=20)
    events = replace(events, item=events.item % 10)  # nobody chooses items 10 to 19, and 10 to 14 are shown all the time
    rows = [(int(user), 10 + n % 5, int(time) - 1) for n, (user, time) in enumerate(zip(events.user, events.time, strict=True))]
    left = {}
    for weight in (0.0, 1.0):
        model = new_model(TINY, np.zeros((20, TINY.dim), np.float32), 2, CPU, 0)
        offsets = training_offsets(events, Slots.over(events.time), single_popularity(len(HALF_LIVES_H)), CPU)
        flat = torch.zeros_like(offsets.prior)
        sampling = Sampling(20, 8) if is_sampled else None
        offsets = replace(offsets, prior=flat, sampling=sampling, passed=shown(rows, weight).passed(events) if weight else None)
        train(model, events, offsets, QUICK.model_copy(update={"max_epochs": 3}), seed=0)
        vectors, _ = user_vectors(model, events, training_windows(events, TINY.max_events))
        logits = (vectors @ model.items().detach().float().T).mean(0)
        left[weight] = float(logits[15:].mean() - logits[10:15].mean())
    assert left[1.0] > left[0.0] + 0.2


@pytest.mark.slow
def test_a_night_learns_from_them_only_before_its_hold_out_and_without_any_it_is_the_same_night() -> None:
    events = random_events(n_users=30, n_events=500, n_items=20)
    evaluator = make_evaluator(events, EvaluationConfig(seen_items="show"))
    split = TemporalSplit.by_quantile(events.time, 0.8, 0.1)
    validation, _ = held_out(events, split, 1000, 0)
    rows = [
        (int(user), (int(item) + 1) % 20, int(time) - 1) for user, item, time in zip(events.user, events.item, events.time, strict=True)
    ]
    late = [row for row in rows if row[2] + DAY > split.validation_from]
    short = QUICK.model_copy(update={"max_epochs": 1})

    def weights(some: list[tuple[int, int, int]] | None) -> torch.Tensor:
        given = evaluator if some is None else replace(evaluator, shown=shown(some))
        fit = fit_past(given, split, validation, np.zeros((20, 8), np.float32), TINY, short, 0)
        return torch.cat([part.flatten().float() for part in fit.weights.model.state_dict().values()])

    without = weights(None)
    assert torch.equal(weights(late), without), "what came of them was not known before the hold-out"
    assert not torch.equal(weights(rows), without)
