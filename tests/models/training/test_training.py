"""Training: finds a planted walk, repeats itself under a seed, keeps its best epoch."""

from __future__ import annotations

import copy
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models import device
from models.config import RecommenderConfig, TrainConfig
from models.device import pick_device
from models.events import Events, Windows, training_windows
from models.night import new_model, training_offsets
from models.ranking.prior import HALF_LIVES_H, Slots, single_popularity
from models.sequence.recommender import Recommender
from models.sequence.streams import Streams, make_batch, teaching_windows
from models.sequence.users import target_vectors, user_vectors
from models.sequence.whitening import Whitening
from models.training import training
from models.training.training import Curve, Offsets, Sampling, choose_sampling, descend, events_per_step, make_optimizers, step_loss, train
from tests.models.planted import QUICK, TINY, make_events, random_events, random_text, reader, shaken, walks

CPU = torch.device("cpu")
N_ITEMS = 24
EVEN = single_popularity(len(HALF_LIVES_H))


def fresh(seed: int = 0, n_items: int = N_ITEMS) -> Recommender:
    return new_model(TINY, np.zeros((n_items, TINY.dim), np.float32), 2, CPU, seed)


def trained(events: Events, config: TrainConfig = QUICK, seed: int = 0) -> tuple[Recommender, Curve]:
    model = fresh(seed, events.n_items)
    offsets = training_offsets(events, Slots.over(events.time), EVEN, CPU)
    return model, train(model, events, offsets, config, seed=seed)


def hits(model: Recommender, events: Events) -> float:
    """Share of events, except each user's first, whose item is ranked first."""
    vectors, rows = user_vectors(model, events, training_windows(events, TINY.max_events))
    best = (vectors @ model.items().detach().float().T).argmax(1).numpy()
    later = events.position[rows] > 0
    return float((best == events.item[rows])[later].mean())


def test_a_walk_that_popularity_cannot_express_is_learnt_and_holds_for_new_users() -> None:
    model, curve = trained(walks())
    assert curve.loss[-1] < 0.5 * curve.loss[0]
    assert hits(model, walks(seed=1)) > 0.9


def test_two_trainings_under_one_seed_give_equal_weights_and_another_seed_others() -> None:
    events, short = walks(n_users=20), QUICK.model_copy(update={"max_epochs": 2})
    (one, curve), (again, same), (other, _) = (trained(events, short, seed) for seed in (3, 3, 4))
    assert curve.loss == same.loss
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in one.state_dict().items())
    assert not torch.equal(one.items.delta, other.items.delta)


def test_training_on_no_events_changes_no_weight() -> None:
    model, curve = trained(make_events([], n_items=N_ITEMS))
    assert all(torch.equal(value, fresh().state_dict()[name]) for name, value in model.state_dict().items())
    assert curve.loss == []
    assert curve.best_epoch == 0


def test_events_of_weight_zero_move_no_item() -> None:
    events = walks(n_users=10)
    silent = make_events(zip(events.user, events.item, events.time, strict=True), n_items=N_ITEMS, weights=[0.0] * len(events))
    model, curve = trained(silent, QUICK.model_copy(update={"max_epochs": 2, "weight_decay": 0.0}))
    assert curve.loss == [0, 0]
    assert torch.equal(model.items.delta, fresh().items.delta)


def test_the_best_epoch_is_kept_and_patience_ends_the_training() -> None:
    quality, kept = iter([0.1, 0.3, 0.2, 0.2, 0.9]), []

    def judge(model: Recommender) -> float:
        kept.append(copy.deepcopy(model.state_dict()))
        return next(quality)

    events, model = walks(n_users=10), fresh()
    offsets = training_offsets(events, Slots.over(events.time), EVEN, CPU)
    epochs_seen: list[int] = []
    config = QUICK.model_copy(update={"max_epochs": 9, "patience": 2})
    curve = train(model, events, offsets, config, seed=0, judge=judge, on_epoch=lambda epoch, *_: epochs_seen.append(epoch))
    assert curve.validation == [0.1, 0.3, 0.2, 0.2]
    assert curve.best_epoch == 2
    assert epochs_seen == [1, 2, 3, 4]
    assert all(torch.equal(value, kept[1][name]) for name, value in model.state_dict().items())


def test_a_fixed_number_of_epochs_is_trained_whatever_the_patience() -> None:
    events, model = walks(n_users=5), fresh()
    offsets = training_offsets(events, Slots.over(events.time), EVEN, CPU)
    curve = train(model, events, offsets, QUICK.model_copy(update={"patience": 1}), seed=0, n_epochs=4.0)
    assert len(curve.loss) == curve.best_epoch == 4
    assert curve.points == (curve.loss, [None] * 4)


def test_a_budget_of_no_time_still_trains_an_epoch_of_few_steps() -> None:
    _, curve = trained(walks(n_users=5), QUICK.model_copy(update={"minutes": 1e-9}))
    assert (curve.n_epochs, curve.n_best) == (1, 1)


@pytest.mark.slow
def test_an_epoch_too_long_for_the_budget_ends_with_it_and_a_refit_is_as_short(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_judge(model: Recommender) -> float:
        raise AssertionError("there is one epoch to choose from, and no time")

    def slow(*given: Any) -> float:
        steps.append(descend(*given))
        return steps[-1]

    steps: list[float] = []
    monkeypatch.setattr(training, "descend", slow)
    monkeypatch.setattr(training, "clock", SimpleNamespace(monotonic=lambda: float(len(steps))))
    events, model = walks(), fresh()
    offsets = training_offsets(events, Slots.over(events.time), EVEN, CPU)
    config = QUICK.model_copy(update={"batch_events": 16, "minutes": 0.5})
    curve = train(model, events, offsets, config, seed=0, judge=no_judge)
    assert len(steps) == 30, "of a second each"
    assert 0.1 < curve.share < 0.9
    assert curve.n_epochs == curve.n_best == curve.share
    assert curve.points == (curve.loss, [None])
    assert not torch.equal(model.items.delta, fresh().items.delta)
    assert "there was time for 0.50 of an epoch" in caplog.text
    caplog.clear()
    refit = train(fresh(), events, offsets, config, seed=0, n_epochs=curve.n_best)
    assert refit.share == curve.share
    assert len(steps) == 60
    assert "there was time for" not in caplog.text, "the number of epochs was fixed"


@pytest.mark.slow
def test_the_plan_has_the_epochs_that_fit_the_budget_and_the_rate_reaches_its_end_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(100_000))
    monkeypatch.setattr(training, "clock", SimpleNamespace(monotonic=lambda: float(next(ticks))))
    config = QUICK.model_copy(update={"max_epochs": 1000, "batch_events": 64})
    plans: list[tuple[int, int]] = []
    rate = training._rate

    def planned_rate(step: int, n_steps: int, warm_up: int) -> float:
        plans.append((step, n_steps))
        return rate(step, n_steps, warm_up)

    monkeypatch.setattr(training, "_rate", planned_rate)
    epochs = len(trained(walks(), config.model_copy(update={"minutes": 0.5}))[1].loss)
    assert 2 < epochs < 100, "every look at the clock takes a second, and an epoch a few looks"
    last, planned = plans[-1]
    assert last + 1 == planned, "the plan ends where training does"


def test_gains_within_noise_do_not_count() -> None:
    assert Curve(loss=[1.0] * 4, validation=[0.1, 0.2, 0.2002, 0.2004]).last_gain == 2
    assert Curve(loss=[1.0] * 3, validation=[0.0, 0.0, 0.0]).last_gain == 0


def loss_and_gradient(model: Recommender, events: Events) -> tuple[float, Tensor]:
    offsets = training_offsets(events, Slots.over(events.time), EVEN, CPU)
    windows = training_windows(events, TINY.max_events)
    model.zero_grad()
    loss = step_loss(model, make_batch(events, windows, np.arange(len(windows))), events, offsets)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.item(), torch.cat([p.grad.float().flatten() for p in model.parameters() if p.grad is not None])


def test_bf16_and_fp32_agree_roughly(monkeypatch: pytest.MonkeyPatch) -> None:
    events, found = walks(n_users=20), []
    for is_fast in (True, False):
        monkeypatch.setattr(device, "has_fast_bf16", lambda device, is_fast=is_fast: is_fast)
        found.append(loss_and_gradient(shaken(N_ITEMS), events))
    (low, low_gradient), (full, full_gradient) = found
    assert low == pytest.approx(full, rel=0.02)
    assert torch.nn.functional.cosine_similarity(low_gradient, full_gradient, dim=0) > 0.99


@pytest.mark.usefixtures("fp32")
def test_the_loss_is_the_plain_cross_entropy_over_existing_items_with_the_prior() -> None:
    events = walks(n_users=6, n_steps=5)
    offsets = training_offsets(events, Slots.over(events.time), EVEN, CPU)
    model = shaken(N_ITEMS)
    found, _ = loss_and_gradient(model, events)
    vectors, rows = user_vectors(model, events, training_windows(events, TINY.max_events))
    logits = vectors @ model.items().detach().T + offsets.prior[torch.from_numpy(offsets.slot[rows])]
    expected = torch.nn.functional.cross_entropy(logits, torch.from_numpy(events.item[rows]))
    assert found == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("n_teaching", [0, 1, 64])
def test_only_events_with_weight_are_scored_in_a_batch(n_teaching: int, monkeypatch: pytest.MonkeyPatch) -> None:
    events, model = walks(n_users=20), shaken(N_ITEMS)
    events = replace(events, weight=(np.arange(len(events)) < n_teaching).astype(np.float32))
    offsets, windows = training_offsets(events, Slots.over(events.time), EVEN, CPU), training_windows(events, TINY.max_events)
    batch = make_batch(events, windows, np.arange(len(windows)))
    score, n_scored = training.catalog_cross_entropy, list[int]()

    def count(queries: Tensor, *rest: Any) -> Tensor:
        n_scored.append(len(queries))
        return score(queries, *rest)

    monkeypatch.setattr(training, "catalog_cross_entropy", count)
    loss = step_loss(model, batch, events, offsets)
    assert (float(loss.detach()) > 0) == (n_teaching > 0)
    assert n_scored == [64 if n_teaching else len(events)], (
        "a multiple of 64; and all of a batch in which nothing teaches, as some are needed"
    )


@pytest.mark.usefixtures("fp32")
def test_a_sample_that_holds_the_whole_catalogue_gives_the_loss_over_all_of_it(fp32: None) -> None:
    events, model = walks(n_users=20), fresh().eval()
    offsets = training_offsets(events, Slots.over(events.time), EVEN, CPU)
    windows = training_windows(events, TINY.max_events)
    batch = make_batch(events, windows, np.arange(len(windows)))
    sampling = Sampling(N_ITEMS, n_drawn=2000)
    full, sampled = (step_loss(model, batch, events, replace(offsets, sampling=way)) for way in (None, sampling))
    torch.testing.assert_close(sampled, full, atol=1e-4, rtol=1e-4)


def test_training_on_samples_learns_ranks_of_the_whole_catalogue() -> None:
    events, model = walks(), fresh()
    offsets = training_offsets(events, Slots.over(events.time), EVEN, CPU)
    train(model, events, replace(offsets, sampling=Sampling(N_ITEMS, n_drawn=3)), QUICK, seed=0)
    assert hits(model, walks(seed=1)) > 0.9


def test_a_step_on_a_sample_leaves_all_other_items_alone() -> None:
    events, model = make_events([(user, user % 3, n) for user in range(4) for n in range(3)], n_items=N_ITEMS), fresh().train()
    offsets = training_offsets(events, Slots.over(events.time), EVEN, CPU)
    windows = training_windows(events, TINY.max_events)
    before = model.items.delta.detach().clone()
    batch = make_batch(events, windows, np.arange(len(windows)))
    for _ in range(3):
        loss = step_loss(model, batch, events, replace(offsets, sampling=Sampling(N_ITEMS, n_drawn=0)))
        assert np.isfinite(descend(loss, make_optimizers(model, QUICK, is_sampled=True)))
    moved = (model.items.delta.detach() != before).any(1)
    assert moved.tolist() == [True] * 3 + [False] * (N_ITEMS - 3)


@pytest.mark.slow
def test_a_sample_gives_the_sum_over_the_catalogue_without_bias_whatever_the_batch(fp32: None) -> None:
    torch.manual_seed(0)
    score, sampling, times = torch.randn(50).exp(), Sampling(50, n_drawn=5), 4000
    for batch in (torch.tensor([3]), torch.tensor([7, 7, 8, 9])):
        total = 0.0
        for _ in range(times):
            rows, log_chance = sampling.draw(batch)
            assert torch.isin(batch, rows).all()
            assert (rows[1:] > rows[:-1]).all()
            total += float((score[rows] * (-log_chance).exp()).sum()) / times
        assert total == pytest.approx(float(score.sum()), rel=0.03)


def test_user_vectors_come_in_the_order_of_their_rows_and_the_same_in_any_batch() -> None:
    events, model = walks(n_users=12, n_steps=5), shaken(N_ITEMS)
    windows = training_windows(events, TINY.max_events)
    vectors, rows = user_vectors(model, events, windows)
    assert rows.tolist() == list(range(len(events)))
    backwards = Windows(windows.start[::-1].copy(), windows.target[::-1].copy(), windows.stop[::-1].copy())
    small, again = user_vectors(model, events, backwards, batch_events=7)
    assert again.tolist() == rows.tolist()
    torch.testing.assert_close(small, vectors, atol=1e-4, rtol=1e-4)


def test_deltas_norms_biases_and_temperature_are_not_decayed() -> None:
    model = Recommender(TINY, torch.from_numpy(random_text(N_ITEMS)), 2, torch.Generator())
    decayed, rest, deltas = make_optimizers(model, QUICK, is_sampled=False)[0].param_groups
    names = {id(p): name for name, p in model.named_parameters()}
    assert [group["weight_decay"] for group in (decayed, deltas, rest)] == [QUICK.weight_decay, 0, 0]
    assert [names[id(p)] for p in deltas["params"]] == ["items.delta"]
    free = {names[id(p)] for p in rest["params"]}
    assert {"log_scale", "start", "norm.weight", "blocks.0.qkv.bias", "blocks.0.norm_forward.weight"} <= free
    assert {names[id(p)] for p in decayed["params"]} >= {"blocks.0.qkv.weight", "kind.weight", "items.head.0.weight"}
    assert len(free) + len(decayed["params"]) + 1 == len(names)


def test_auto_is_a_device_of_this_machine() -> None:
    assert pick_device("cpu").type == "cpu"
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_card_takes_larger_steps_of_many_events_only_and_no_more_than_fit() -> None:
    config, shape, gib = QUICK.model_copy(update={"batch_events": 2048}), RecommenderConfig(), 2**30
    assert events_per_step(config, shape, 10**9, None) == 2048, "a CPU"
    assert events_per_step(config, shape, 100_000, 80 * gib) == 2048, "an epoch keeps its steps"
    assert events_per_step(config, shape, 4_000_000, 80 * gib) == 10_000
    assert events_per_step(config, shape, 10**9, 80 * gib) == 16 * 2048
    assert 1000 < events_per_step(config, shape, 10**9, gib // 6) < 2048, "a card that others fill"


def test_a_step_whose_loss_is_not_finite_moves_no_weight() -> None:
    model = fresh()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizers = make_optimizers(model, QUICK, is_sampled=False)
    descend(sum((p.sum() for p in model.parameters()), torch.zeros(())) * torch.nan, optimizers)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    descend(sum((p.square().sum() for p in model.parameters()), torch.zeros(())), optimizers)
    assert not torch.equal(model.state_dict()["start"], before["start"])


@pytest.mark.slow
@pytest.mark.parametrize(("n_items", "minutes", "is_sampled"), [(9000, 1e-4, True), (9000, 60.0, False), (500, 1e-4, False)])
def test_a_large_catalogue_is_sampled_if_the_budget_is_too_short_for_enough_full_epochs(
    n_items: int, minutes: float, is_sampled: bool
) -> None:
    model = fresh(n_items=n_items)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    events = random_events(n_users=40, n_events=400, n_items=n_items)
    offsets = training_offsets(events, Slots.over(events.time), EVEN, CPU)
    sampling = choose_sampling(model, events, offsets, QUICK.model_copy(update={"minutes": minutes}), seed=0)
    assert (sampling is not None) == is_sampled
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()), "the timed steps run on a copy"


def searched(events: Events) -> tuple[Recommender, Streams, Offsets]:
    """A model that reads searches, events with a search before every third, and their offsets."""
    rows = np.arange(0, len(events), 3)
    streams = Streams.mix(events, events.user[rows], events.time[rows] - 5, events.item[rows], random_text(N_ITEMS))
    offsets = training_offsets(events, Slots.over(events.time), EVEN, CPU)
    slot = np.zeros(len(streams.events), np.int64)
    slot[streams.row] = offsets.slot
    return reader(N_ITEMS), streams, replace(offsets, slot=slot)


@pytest.mark.usefixtures("fp32")
def test_searches_are_read_but_never_predicted_nor_drawn_as_items() -> None:
    model, streams, offsets = searched(walks(n_users=10))
    assert model.searches is not None
    texts, events = model.searches.whitened(streams.texts), streams.events
    windows = teaching_windows(events, training_windows(events, TINY.max_events))
    batch = make_batch(events, windows, np.arange(len(windows)))
    vectors, rows = user_vectors(model, events, windows, texts=streams.texts)
    is_event = events.weight[rows] > 0
    logits = vectors[torch.from_numpy(is_event)] @ model.items().detach().T
    logits += offsets.prior[torch.from_numpy(offsets.slot[rows[is_event]])]
    expected = torch.nn.functional.cross_entropy(logits, torch.from_numpy(events.item[rows[is_event]]))
    for sampling in (None, Sampling(N_ITEMS, n_drawn=2000)):
        found = step_loss(model, batch, events, replace(offsets, sampling=sampling), searches=texts)
        assert float(found.detach()) == pytest.approx(expected.item(), rel=1e-3)
    found.backward()  # type: ignore[no-untyped-call]
    assert model.searches.kind.grad is not None
    assert model.searches.kind.grad.abs().sum() > 0


def test_what_a_search_names_is_learnt_from_the_events_that_follow() -> None:
    rng = np.random.default_rng(0)
    item = rng.integers(0, N_ITEMS, 600)
    events = make_events(((n % 60, int(each), n * 600) for n, each in enumerate(item)), n_items=N_ITEMS)
    text = random_text(N_ITEMS)
    streams = Streams.mix(events, events.user, events.time - 5, events.item, text)
    model = new_model(TINY, text, 2, CPU, 0, Whitening.fit(text, TINY.dim, np.ones(N_ITEMS, bool)))
    assert model.searches is not None
    offsets = training_offsets(events, Slots.over(events.time), EVEN, CPU)
    slot = np.zeros(len(streams.events), np.int64)
    slot[streams.row] = offsets.slot
    texts = model.searches.whitened(streams.texts)
    train(model, streams.events, replace(offsets, slot=slot), QUICK, seed=0, n_epochs=6.0, searches=texts)
    vectors = target_vectors(model, streams.events, streams.row, streams.texts)
    best = (vectors @ model.items().detach().T).argmax(1).numpy()
    assert (best == events.item).mean() > 0.9
