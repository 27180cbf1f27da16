"""Training of the sequence model: epochs over windows, judged on validation events."""

from __future__ import annotations

import copy
import logging
import math
import time as clock
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from models.config import RecommenderConfig, TrainConfig
from models.device import autocast, free_memory, matmul_dtype
from models.events import Events, Ints, Windows, training_windows
from models.sequence.recommender import Recommender
from models.sequence.streams import Batch, bucket_by_length, make_batch, padded_length, teaching_windows
from models.training.course import Course
from models.training.loss import ROWS, catalog_cross_entropy
from models.training.passed import Passed, passed_loss

if TYPE_CHECKING:
    from models.training.ranks import Ranks

log = logging.getLogger("minutehand.training")
LEAST_GAIN = 0.003
"""Minimum relative gain of validation NDCG with which an epoch resets the patience."""
N_SAMPLED_ITEMS = 4_000
"""Number of items drawn in a step with sampling; catalogues of up to twice this size are always scored in full."""

ENOUGH_EPOCHS = 4.0
"""Training steps score all items if the time budget allows this many epochs; otherwise they score a sample."""

N_TIMED_STEPS = 4
"""Number of steps on a copy of the model that estimate the duration of an epoch with all items; the first one is warm-up."""
DELTA_RATE = 2.0
"""Learning rate of item deltas relative to all other weights."""
CARD_TIMES, CARD_STEPS, CARD_SHARE = 16, 400, 0.25
"""Limits of the step size on a CUDA card: maximum multiple of batch_events, minimum steps per epoch, maximum share of the free memory."""
ROUNDING = 1e-6
"""A share of an epoch times its steps may miss a whole number of steps by less than this."""
PROBE_STEPS = 10
"""Number of steps after which the number of epochs is first planned from the time budget."""
OnEpoch = Callable[[int, float, float | None, float], None]
"""Called after each epoch with its number, loss, validation NDCG@10 if judged, and seconds."""


@dataclass(frozen=True)
class Sampling:
    """The items that a step scores if the catalogue is too large: the items of its batch, and a uniform sample.

    Mixed negatives (Yang et al. 2020). Items of the batch are always included and have weight 1. Other items have the inverse of their
    inclusion probability as weight (log Q, Bengio and Senecal 2008). So the estimate of the sum over the catalogue is unbiased.
    """

    n_items: int
    n_drawn: int

    def draw(self, item: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Ascending item rows to score for a batch with these items [any shape], and the log inclusion probability of each."""
        is_certain = torch.zeros(self.n_items, dtype=torch.bool, device=item.device).index_fill_(0, item.flatten(), True)
        drawn = torch.randint(self.n_items, (self.n_drawn,), device=item.device, generator=generator)
        is_there = is_certain.index_fill(0, drawn, True)
        rows = is_there.nonzero().flatten()
        chance = -math.expm1(self.n_drawn * math.log1p(-1 / self.n_items)) if self.n_items > 1 else 1.0
        return rows, torch.where(is_certain[rows], 0.0, math.log(chance) if chance else 0.0)


@dataclass(frozen=True)
class Offsets:
    """Offsets of the logits of training events: the log prior of each slot, -inf for items that do not exist yet.

    sampling: how a step samples items; None if it scores all. passed: weak negatives of the same events; None without them.
    """

    prior: Tensor
    slot: Ints
    sampling: Sampling | None = None
    passed: Passed | None = None


@dataclass
class Curve:
    """Training curve, one value per epoch; squares: AdamW's final mean of squared gradients by parameter.

    share: completed share of the last epoch; below 1 if time ran out in the first one. planned: as in Course.
    """

    share: float = 1.0
    loss: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    squares: dict[str, Tensor] = field(default_factory=dict)
    planned: list[tuple[int, float]] = field(default_factory=list)

    @property
    def points(self) -> tuple[list[float], list[float | None]]:
        """Loss and validation NDCG@10 of every epoch; None if an epoch was not judged."""
        return self.loss, [*self.validation, *[None] * (len(self.loss) - len(self.validation))]

    @property
    def best_epoch(self) -> int:
        """Number of the best epoch, counted from 1; without validation, the last one."""
        return int(np.argmax(self.validation)) + 1 if self.validation else len(self.loss)

    @property
    def n_epochs(self) -> float:
        """Number of trained epochs, the last one possibly in part."""
        return len(self.loss) - 1 + self.share if self.loss else 0.0

    @property
    def n_best(self) -> float:
        """Number of epochs behind the weights that were kept."""
        return self.share if self.share < 1 else float(self.best_epoch)

    @property
    def last_gain(self) -> int:
        """The last epoch that beat all earlier ones by at least LEAST_GAIN; counted from 1."""
        best, last = 0.0, 0
        for epoch, value in enumerate(self.validation, start=1):
            if value > best * (1 + LEAST_GAIN):
                best, last = value, epoch
        return last if self.validation else len(self.loss)


@dataclass(frozen=True)
class Pace:
    """How windows are cut into steps. windows: those of this process; n_seen: events of a step, of all ranks; per_epoch: steps of an epoch.

    groups: the windows of every step of an epoch, counted from 0; a rank has none in a step in which only others have some left.
    """

    windows: Windows
    n_seen: int
    per_epoch: int
    groups: Callable[[int], Iterator[Ints]]

    @staticmethod
    def alone(model: Recommender, events: Events, windows: Windows, config: TrainConfig, seed: int) -> Pace:
        """The pace of a training in one process."""
        rng = np.random.default_rng(seed)
        n_seen = events_per_step(config, model.config, len(events), free_memory(next(model.parameters()).device))
        per_epoch = sum(1 for _ in bucket_by_length(windows.length, n_seen))
        return Pace(windows, n_seen, per_epoch, lambda epoch: bucket_by_length(windows.length, n_seen, rng))


@dataclass(frozen=True)
class Kept:
    """A training after an epoch, besides weights and moments. best: the weights of the best epoch so far; None without a judge."""

    curve: Curve
    planned: float
    best: dict[str, Tensor] | None


def events_per_step(config: TrainConfig, model: RecommenderConfig, n_events: int, free_bytes: int | None) -> int:
    """Number of events per step: batch_events, and more on a card with free_bytes, which small steps would leave idle.

    The size grows with the data, so that an epoch keeps enough steps: small data sets train as well on a card as on a CPU.
    """
    if free_bytes is None:
        return config.batch_events
    bytes_per_event = 4 * model.dim * (24 * model.n_blocks + 8) + 8 * model.n_blocks * model.n_heads * model.max_events
    fits = int(free_bytes * CARD_SHARE) // bytes_per_event
    return min(max(n_events // CARD_STEPS, config.batch_events), CARD_TIMES * config.batch_events, max(fits, 256))


def choose_sampling(
    model: Recommender,
    events: Events,
    offsets: Offsets,
    config: TrainConfig,
    *,
    seed: int,
    searches: Tensor | None = None,
    ranks: Ranks | None = None,
) -> Sampling | None:
    """How training samples the catalogue; None if config.minutes allow ENOUGH_EPOCHS with all items. searches, ranks: as in `train`.

    Few epochs with all items learn less than many epochs with samples, which cost a little accuracy each.
    """
    n_items, windows = len(model.items.delta), _windows(model, events, searches)
    if n_items <= 2 * N_SAMPLED_ITEMS or not len(windows):
        return None
    pace = (Pace.alone if ranks is None else ranks.pace)(model, events, windows, config, seed)
    groups = list(pace.groups(0))
    trial = copy.deepcopy(model).train()
    optimizers, seconds = make_optimizers(trial, config, is_sampled=False), []
    for which in groups[:N_TIMED_STEPS]:
        begun = clock.monotonic()
        if ranks is None:
            descend(step_loss(trial, make_batch(events, windows, which), events, offsets, searches=searches), optimizers)
        else:
            ranks.step(trial, events, pace.windows, which, offsets, optimizers, searches=searches)
        seconds.append(clock.monotonic() - begun)
    step_s = float(np.median(seconds[1:] or seconds))
    n_epochs = config.minutes * 60 / (step_s * len(groups))
    n_epochs = n_epochs if ranks is None else ranks.agree(n_epochs)
    sampling = None if n_epochs >= ENOUGH_EPOCHS else Sampling(n_items, N_SAMPLED_ITEMS)
    scored = "all items" if sampling is None else f"a sample of {N_SAMPLED_ITEMS:,} of {n_items:,} items"
    log.info("a step on all items takes %.2f s, so the budget holds %.1f epochs of them; each step scores %s", step_s, n_epochs, scored)
    return sampling


def train(
    model: Recommender,
    events: Events,
    offsets: Offsets,
    config: TrainConfig,
    *,
    seed: int,
    n_epochs: float | None = None,
    course: Course | None = None,
    judge: Callable[[Recommender], float] | None = None,
    on_epoch: OnEpoch | None = None,
    searches: Tensor | None = None,
    ranks: Ranks | None = None,
) -> Curve:
    """Train the model in place; with a judge, keep the weights of the best epoch and stop early.

    searches: whitened texts [texts, dim] of the searches among the events, as in models.sequence.streams.Streams; None without searches.
    n_epochs fixes the number of epochs (for the refit on all events). Otherwise the plan has as many epochs as fit into
    config.minutes, at most config.max_epochs, and training stops after config.patience epochs or a fifth of the plan without
    a gain. If not even one epoch fits, it stops when the time is over, after a random part of the windows, and is not judged.
    The learning rate warms up over the first steps and then follows a cosine over the plan. Without events this is a no-op.
    course: that of an earlier training, which this one repeats instead of watching the clock.
    ranks: the processes that train together, each of which calls this; the judge then gives all of them the same value. None for one.
    """
    torch.manual_seed(seed)
    windows = _windows(model, events, searches)
    if not len(windows):
        return Curve()
    optimizers = make_optimizers(model, config, is_sampled=offsets.sampling is not None)
    fixed = n_epochs if course is None else course.n_epochs
    planned = float(fixed or config.max_epochs)
    step = 0
    pace = (Pace.alone if ranks is None else ranks.pace)(model, events, windows, config, seed)
    windows, per_epoch = pace.windows, pace.per_epoch
    faster = math.sqrt(pace.n_seen / config.batch_events)  # square-root scaling for Adam: Malladi et al. 2022
    curve, best = Curve(planned=[(0, planned)]), None
    if ranks is not None and (kept := ranks.kept(model, optimizers)):
        curve, planned, best, step = kept.curve, kept.planned, kept.best, len(kept.curve.loss) * per_epoch
    started = clock.monotonic() - sum(curve.seconds)

    def step_on(which: Ints, rate: float) -> float:
        """The loss of a step on some windows."""
        if ranks is not None:
            return ranks.step(model, events, windows, which, offsets, optimizers, rate, searches)
        loss = step_loss(model, make_batch(events, windows, which), events, offsets, searches=searches)
        return descend(loss, optimizers, rate)

    def that_fit(epoch_s: float) -> float:
        """Total epochs within the time limit if one takes epoch_s: a whole number, or a part of the first."""
        fit = step / per_epoch + (config.minutes * 60 - (clock.monotonic() - started)) / epoch_s
        fit = float(min(int(fit), config.max_epochs)) if fit >= 1 else fit
        fit = fit if ranks is None else ranks.agree(fit)
        curve.planned.append((step, fit))
        return fit

    while len(curve.loss) < planned:
        begun = clock.monotonic()
        model.train()
        losses = []
        for which in pace.groups(len(curve.loss)):
            aim = planned if course is None else course.planned_at(step)
            rate = faster * _rate(step, round(per_epoch * aim), per_epoch)
            losses.append(step_on(which, rate))
            step += 1
            if fixed is None and not curve.loss and (step == PROBE_STEPS or planned < 1):
                planned = that_fit((clock.monotonic() - begun) / step * per_epoch)
            if step + ROUNDING >= per_epoch * planned:
                break
        curve.share = min(step / per_epoch, 1.0)
        finite = [loss for loss in losses if math.isfinite(loss)]
        if len(finite) < len(losses):
            log.warning("%d of %d steps had a loss that is not finite; they moved no weight", len(losses) - len(finite), len(losses))
        curve.loss.append(float(np.mean(finite)) if finite else math.nan)
        model.eval()
        if ranks is not None:
            ranks.demand_equal(model, len(curve.loss))
        if judge is not None and curve.share == 1:
            curve.validation.append(judge(model))
            if curve.best_epoch == len(curve.loss):
                best = copy.deepcopy(model.state_dict())
        curve.seconds.append(clock.monotonic() - begun)
        epoch, judged = len(curve.loss), f", validation NDCG@10 {curve.validation[-1]:.4f}" if curve.validation else ""
        log.info("epoch %d of %d planned: loss %.4f%s, %.0f s", epoch, math.ceil(planned), curve.loss[-1], judged, curve.seconds[-1])
        if on_epoch is not None:
            on_epoch(epoch, curve.loss[-1], curve.validation[-1] if curve.validation else None, curve.seconds[-1])
        if fixed is None and curve.share < 1:
            log.warning("there was time for %.2f of an epoch: with more minutes the model would learn from all of the users", curve.share)
            break
        if fixed is None:
            planned = that_fit((clock.monotonic() - started) / epoch)
            if epoch - curve.last_gain >= max(config.patience, math.ceil(planned / 5)):
                break
        if ranks is not None:
            ranks.keep(Kept(curve, planned, best), model, optimizers)
    if best is not None:
        model.load_state_dict(best)
    state = {p: found for optimizer in optimizers for p, found in optimizer.state.items()}
    curve.squares = {name: state[p]["exp_avg_sq"].cpu() for name, p in model.named_parameters() if p in state}
    return curve


def _windows(model: Recommender, events: Events, searches: Tensor | None) -> Windows:
    windows = training_windows(events, model.config.max_events)
    return windows if searches is None else teaching_windows(events, windows)  # a window of searches alone has no target


def _rate(step: int, n_steps: int, warm_up: int) -> float:
    """Learning rate at a step, relative to the peak: warm-up, then a cosine down to a tenth."""
    warm = min((step + 1) / max(min(warm_up, 200), 1), 1.0)
    return warm * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * min(step / max(n_steps, 1), 1.0))))


def make_optimizers(model: Recommender, config: TrainConfig, *, is_sampled: bool) -> list[torch.optim.Optimizer]:
    """AdamW without weight decay for biases, norms, temperatures and deltas (deltas are bounded instead).

    Deltas get a higher learning rate, as a batch touches few of them. With item sampling, only the deltas of sampled items
    have a gradient, and only they and their moments are updated. Each group stores its peak learning rate.
    """
    decayed = [p for name, p in model.named_parameters() if p.ndim > 1 and "bias" not in name and name != "items.delta"]
    ids = {id(p) for p in [*decayed, model.items.delta]}
    rest = [p for p in model.parameters() if id(p) not in ids]
    rate, betas = config.learning_rate, (0.9, 0.98)
    groups = [{"params": decayed, "peak": rate, "weight_decay": config.weight_decay}, {"params": rest, "peak": rate, "weight_decay": 0.0}]
    deltas = {"params": [model.items.delta], "peak": DELTA_RATE * rate}
    if is_sampled:
        return [torch.optim.AdamW(groups, lr=rate, betas=betas, fused=True), torch.optim.SparseAdam([deltas], lr=rate, betas=betas)]
    return [torch.optim.AdamW([*groups, {**deltas, "weight_decay": 0.0}], lr=rate, betas=betas, fused=True)]


def descend(
    loss: Tensor | None,
    optimizers: list[torch.optim.Optimizer],
    rate: float = 1.0,
    average: Callable[[list[Tensor], Tensor | None], float] | None = None,
) -> float:
    """One step down the gradient of a loss, at a share of the peak learning rates; the loss as a number.

    The gradient is clipped to length 1, sparse ones aside: Adam does not mind how long they are. Where loss or gradient is not finite, no
    weight moves.
    average: puts the mean of all ranks in the place of a rank's gradients, and gives that of their losses; a rank without windows has no
    loss.
    """
    parameters = [p for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]]
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * rate
    if loss is not None:
        loss.backward()  # type: ignore[no-untyped-call]
    if average is not None:
        value = average(parameters, loss)
    else:
        value = float(loss.detach()) if loss is not None else 0.0
    norm = torch.nn.utils.clip_grad_norm_([p for p in parameters if p.grad is not None and not p.grad.is_sparse], 1.0)
    if math.isfinite(value) and math.isfinite(float(norm)):
        for optimizer in optimizers:
            optimizer.step()
    return value


def all_items(model: Recommender, offsets: Offsets) -> Tensor | None:
    """The item vectors of a step that scores all items; None where it samples them."""
    with autocast(next(model.parameters()).device):
        return model.items() if offsets.sampling is None else None


def step_loss(
    model: Recommender, batch: Batch, events: Events, offsets: Offsets, items: Tensor | None = None, searches: Tensor | None = None
) -> Tensor:
    """The loss of one batch of windows.

    items: the vectors of all items, if several batches of a step share them. searches: as in `train`.
    """
    device = next(model.parameters()).device
    row = batch.rows.numpy().ravel()
    place = np.flatnonzero(batch.is_target.numpy())
    teaching = place[events.weight[row[place]] > 0]
    place = teaching if len(teaching) else place
    n_padded = -len(place) % ROWS
    place = np.pad(place, (0, n_padded), mode="edge")
    row = row[place]
    weight = events.weight[row]
    weight[len(place) - n_padded :] = 0
    on_device = batch.to(device)
    item, prior, target = on_device.item, offsets.prior, torch.from_numpy(events.item[row]).to(device)
    answered, left = (np.empty(0, np.int64),) * 2 if offsets.passed is None else offsets.passed.of(row)
    negative = torch.from_numpy(left).to(device)
    text, number = _searches_of(item, events.n_items, searches)
    with autocast(device):
        if offsets.sampling is None:
            items = model.items() if items is None else items
        else:
            read = item if number is None else item[number < 0]
            rows, log_chance = offsets.sampling.draw(torch.cat([read.flatten(), target, negative]))
            items, prior = model.items(rows), prior[:, rows] - log_chance.to(prior.dtype)
            item, target, negative = (torch.searchsorted(rows, some) for some in (item, target, negative))
        searched = None
        if number is not None and model.searches is not None:
            searched = model.searches(text)
            item = torch.where(number < 0, item, len(items) + number)
        items_low = items.to(matmul_dtype(device))
        times = on_device.event_time, on_device.query_time
        states = model.encode(items, item, on_device.kind, *times, on_device.is_start, on_device.place, searched)
        queries = states.flatten(0, 1).index_select(0, torch.from_numpy(place).to(device)).to(items_low.dtype)
        slot = torch.from_numpy(offsets.slot[row]).to(device)
        loss = catalog_cross_entropy(queries, items_low, target, torch.from_numpy(weight).to(device), prior, slot)
        if offsets.passed is not None and len(answered):
            loss = loss + offsets.passed.weight * passed_loss(queries, items_low, target, weight, prior, slot, answered, negative)
        return loss


def _searches_of(item: Tensor, n_items: int, searches: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """The texts of the searches of a batch, each once, and the row of each token's text in them; -1 for other tokens, None without any.

    Rows of zeros follow the texts, so that few shapes occur.
    """
    is_search = None if searches is None else item >= n_items
    if searches is None or is_search is None or not is_search.any():
        return torch.empty(0), None
    wanted, place = torch.unique(item[is_search] - n_items, return_inverse=True)
    text = searches.new_zeros(padded_length(len(wanted), len(searches)), searches.shape[1])
    text[: len(wanted)] = searches[wanted]
    number = torch.full_like(item, -1)
    number[is_search] = place
    return text, number
