"""A night: no leaks from the future, the choice of the blend, and nights with hardly any data."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.config import EvaluationConfig
from models.evaluation.baselines import rank_baselines
from models.evaluation.blend_choice import choose_blend
from models.evaluation.comparison import rank_recommender
from models.evaluation.evaluator import Evaluator, make_evaluator, rows_with_outdated_list, served_vectors
from models.evaluation.protocols import Task, held_out
from models.events import Events, Floats, TemporalSplit, sample
from models.night import Fit, fit_past, make_judge, new_model, refit, training_offsets
from models.ranking.prior import HALF_LIVES_H, Slots, single_popularity
from models.results import SeenItems
from tests.models.planted import HOUR, QUICK, TINY, make_events, random_events, random_text, walks

CPU = torch.device("cpu")
ALL_TIME = len(HALF_LIVES_H)
SHORT = QUICK.model_copy(update={"max_epochs": 2})


def no_text(events: Events) -> Floats:
    return np.zeros((events.n_items, 8), np.float32)


def evaluator_of(events: Events) -> Evaluator:
    return Evaluator(events, Slots.over(events.time, 100), hide_seen=False)


def night(events: Events, text: Floats | None = None, seed: int = 0) -> tuple[Evaluator, TemporalSplit, Fit]:
    evaluator = evaluator_of(events)
    split = TemporalSplit.by_quantile(events.time, 0.7, 0.15)
    validation, _ = held_out(events, split, 1000, seed)
    return evaluator, split, fit_past(evaluator, split, validation, no_text(events) if text is None else text, TINY, SHORT, seed)


@pytest.mark.slow
def test_a_blend_is_chosen_for_lists_made_before_a_basket_too() -> None:
    rng = np.random.default_rng(0)
    baskets = [rng.permutation(30)[:4] for _ in range(40)]
    rows = [
        (user, int(item), week * 7 * 24 * HOUR + user * HOUR) for user, basket in enumerate(baskets) for week in range(8) for item in basket
    ]
    events = make_events(rows, n_items=30)
    evaluator, _, fit = night(events)
    served = replace(evaluator, delay_s=60)
    newest = np.sort(events.by_time[-160:])
    first = {row for row in newest if events.position[row] % 4 == 0}
    assert set(newest) - set(rows_with_outdated_list(served, newest)) == first, "all but the first line of each"
    known = served_vectors(fit.weights.model, served, newest)
    items = fit.weights.item_vectors()
    ranking = served.rank_blend(newest, known, items, fit.blend, items @ fit.weights.mean_vector, fit.weights.is_cold)
    assert (ranking.rank <= 4).mean() > 0.9, "weekly purchases are offered again, though no basket has an item twice"


def test_an_item_is_not_in_the_softmax_before_its_first_event() -> None:
    events = make_events([(0, 0, 0), (0, 1, HOUR), (1, 2, 2 * HOUR), (1, 0, 2 * HOUR + 1)], n_items=4)
    offsets = training_offsets(events, Slots(0, HOUR), single_popularity(ALL_TIME), CPU)
    there = offsets.prior.isfinite()
    assert there.tolist() == [[True, False, False, False], [True, True, False, False], [True, True, True, False]]
    assert offsets.slot.tolist() == [0, 1, 2, 2]


def test_every_target_of_training_has_a_finite_offset() -> None:
    events = random_events()
    offsets = training_offsets(events, Slots.over(events.time, 40), single_popularity(0), CPU)
    assert offsets.prior[torch.from_numpy(offsets.slot), torch.from_numpy(events.item)].isfinite().all()


def test_changing_the_future_changes_no_training_offset_before_it() -> None:
    events = random_events()
    slots = Slots.over(events.time, 40)
    border = slots.begin(20)
    changed = replace(events, item=np.where(events.time >= border, (events.item + 3) % 30, events.item))
    one, other = (training_offsets(each, slots, single_popularity(2), CPU) for each in (events, changed))
    past = torch.from_numpy(np.unique(one.slot[events.time < border]))
    assert torch.equal(one.prior[past], other.prior[past])


def test_changing_the_test_period_changes_nothing_that_was_learnt() -> None:
    events = random_events(n_users=30)
    split = TemporalSplit.by_quantile(events.time, 0.7, 0.15)
    late = events.time >= split.test_from
    rng = np.random.default_rng(5)
    changed = replace(events, item=np.where(late, rng.integers(0, 30, len(events)), events.item), kind=np.where(late, 0, events.kind))
    text = random_text(30, 12)
    (_, _, one), (_, _, other) = night(events, text), night(changed, text)
    state = other.weights.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in one.weights.model.state_dict().items())
    assert torch.equal(one.weights.mean_vector, other.weights.mean_vector)
    assert torch.equal(one.weights.is_cold, other.weights.is_cold)
    assert one.curve.validation == other.curve.validation
    for name in ("mixture", "gate", "repeat", "trend"):
        assert np.array_equal(getattr(one.blend, name), getattr(other.blend, name))
    assert np.array_equal(one.whitening.projection, other.whitening.projection)
    assert np.array_equal(one.prior, other.prior)


def test_text_is_whitened_by_the_items_of_the_training_period_alone() -> None:
    events = make_events([(n % 5, n % 10 if n < 70 else n % 20, n * HOUR) for n in range(100)], n_items=20)
    text = random_text(20, 12)
    changed = text.copy()
    changed[10:] *= -40
    (_, _, one), (_, _, other) = night(events, text), night(events, changed)
    assert np.array_equal(one.whitening.projection, other.whitening.projection)
    assert one.weights.is_cold.tolist() == [0.0] * 10 + [1.0] * 10


@pytest.mark.slow
def test_a_night_is_the_same_under_a_seed_whatever_was_drawn_before_it() -> None:
    events = random_events()
    _, _, one = night(events, seed=1)
    torch.rand(17)
    _, _, again = night(events, seed=1)
    state = again.weights.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in one.weights.model.state_dict().items())
    assert np.array_equal(one.blend.gate, again.blend.gate)


def test_fit_and_refit_learn_a_walk_that_popularity_cannot_express() -> None:
    events = walks(n_users=120)
    evaluator = evaluator_of(events)
    split = TemporalSplit.by_quantile(events.time, 0.7, 0.15)
    validation, test = held_out(events, split, 1000, 0)
    fit = fit_past(evaluator, split, validation, no_text(events), TINY, QUICK, 0)
    ours = rank_recommender(evaluator, fit.weights, fit.blend, test).ndcg_at_10.mean()
    popular = max(evaluator.rank_popularity(test, row).ndcg_at_10.mean() for row in range(ALL_TIME + 1))
    assert ours > 0.9 > 3 * popular
    live, _ = refit(evaluator, fit, no_text(events), TINY, QUICK, 0)
    assert rank_recommender(evaluator, live, fit.blend, test).ndcg_at_10.mean() > 0.9
    assert not live.is_cold.any()


@pytest.mark.slow
def test_a_sequence_model_that_knows_nothing_is_given_no_weight_over_a_popularity_that_does(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    rng = np.random.default_rng(0)
    item = rng.choice(30, 1500, p=np.sort(rng.dirichlet(np.full(30, 0.2)))[::-1])
    events = make_events(((n % 40, int(i), n * 600) for n, i in enumerate(item)), n_items=30)
    evaluator, split, fit = night(events)
    validation, test = held_out(events, split, 1000, 0)
    untrained = replace(fit.weights, model=new_model(TINY, np.zeros((30, 16), np.float32), 2, CPU, 9))
    blend = choose_blend(evaluator, untrained, validation, split.validation_from, 0)
    assert re.search(r"blend of model and popularity: (no sequence model|only the popularity of .*), best of 14 on validation", caplog.text)
    ours = rank_recommender(evaluator, untrained, blend, test).ndcg_at_10.mean()
    best = max(evaluator.rank_popularity(test, row).ndcg_at_10.mean() for row in range(ALL_TIME + 1))
    assert ours > 0.97 * best


@pytest.mark.slow
def test_the_judge_gives_a_model_that_knows_the_walk_a_higher_ndcg() -> None:
    events = walks(n_users=80)
    evaluator, split, fit = night(events)
    judge = make_judge(evaluator, held_out(events, split, 1000, 0)[0], fit.prior)
    untrained = new_model(TINY, np.zeros((24, 16), np.float32), 2, CPU, 9)
    assert judge(fit.weights.model) > judge(untrained)
    assert judge(fit.weights.model) == judge(fit.weights.model)


def test_the_periods_do_not_overlap_and_a_sample_is_sorted_even_and_the_same_under_a_seed() -> None:
    events = random_events()
    split = TemporalSplit.by_quantile(events.time, 0.5, 0.2)
    validation, test = held_out(events, split, 10_000, 0)
    assert events.time[validation].min() >= split.validation_from
    assert events.time[validation].max() < split.test_from <= events.time[test].min()
    drawn = sample(np.arange(1000), 100, 3)
    assert len(np.unique(drawn)) == 100
    assert (np.diff(drawn) > 0).all()
    assert 350 < drawn.mean() < 650
    assert np.array_equal(drawn, sample(np.arange(1000), 100, 3))


TINY_NIGHTS = {
    "one event": make_events([(0, 0, 5)], n_items=1),
    "two events": make_events([(0, 0, 5), (1, 1, 9)], n_items=2),
    "one user": make_events([(0, n % 3, n * 100) for n in range(20)], n_items=3),
    "one item": make_events([(n % 4, 0, n * 100) for n in range(20)], n_items=1),
    "one instant": make_events([(n % 4, n % 5, 100) for n in range(20)], n_items=5),
    "nothing of weight": make_events([(n % 4, n % 5, n * 100) for n in range(20)], n_items=5, weights=[0.0] * 20),
    "a user without events": make_events([(4, n % 5, n * 100) for n in range(20)], n_items=6),
}


@pytest.mark.parametrize("name", TINY_NIGHTS)
@pytest.mark.parametrize("has_text", [True, False])
def test_a_night_works_with_hardly_any_data(name: str, has_text: bool) -> None:
    events = TINY_NIGHTS[name]
    text = random_text(events.n_items, 12) if has_text else no_text(events)
    evaluator = evaluator_of(events)
    split = TemporalSplit.by_quantile(events.time, 0.8, 0.1)
    validation, test = held_out(events, split, 1000, 0)
    fit = fit_past(evaluator, split, validation, text, TINY, SHORT, 0)
    task = Task(evaluator, events.before(split.validation_from), validation, test, split)
    rankings = [rank_recommender(evaluator, fit.weights, fit.blend, test), *rank_baselines(task).values()]
    assert all(((one.rank >= 1) & (one.rank <= events.n_items)).all() for one in rankings)
    live, _ = refit(evaluator, fit, text, TINY, SHORT, 0)
    assert live.item_vectors().isfinite().all()
    assert live.mean_vector.isfinite().all()


SEEN_ITEMS = [("auto", True, False), ("auto", False, True), ("hide", True, True), ("show", False, False)]


@pytest.mark.parametrize(("setting", "comes_back", "hides"), SEEN_ITEMS)
def test_seen_items_are_hidden_if_no_user_returns_or_the_setting_says_so(setting: str, comes_back: bool, hides: bool) -> None:
    events = make_events([(n % 2, n % 3 if comes_back else n, n) for n in range(30)], n_items=30)
    config = EvaluationConfig(seen_items=setting)  # type: ignore[arg-type]
    evaluator = make_evaluator(events, config)
    assert evaluator.hide_seen is hides
    assert evaluator.seen_items == SeenItems(hides, setting, 0.75 if comes_back else 0.0)
