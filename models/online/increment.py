"""Incremental learning: a few gradient steps on new events and replayed windows, pulled towards the night's weights."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from models.config import IncrementConfig
from models.events import Events, Ints, Windows, target_windows
from models.online.gate import UpdateDecision, judge_increment
from models.online.offsets import memory_offsets
from models.ranking.candidates import Candidates
from models.ranking.prior import Popularity, log_prior
from models.sequence.recommender import LEAST_LENGTH, Recommender
from models.sequence.streams import bucket_by_length, make_batch
from models.sequence.weights import Weights
from models.training.blend_fit import fit_blend
from models.training.training import Offsets, Sampling, all_items, step_loss
from models.version.checkpoint import Checkpoint
from models.version.memory import WINDOW_EVENTS, Memory, is_counted
from models.version.online_state import DELTA, OnlineState, keep_newest

SAMPLED_FROM = 2
"""A catalogue is sampled if it has more than this many times sampled_items."""
SQUARE_RATE = 0.05
BETAS = 0.9, 0.98
LEAST_SHARE = 0.25
"""Share of the usual length of text plus delta; gradients of shorter vectors are rescaled as if they had the usual length."""


def with_popularity(live: Checkpoint, events: Events, is_due: np.ndarray, as_of: int) -> Checkpoint:
    """The same weights with the popularity after the due events; for lists only, because the model has not learnt these events."""
    if live.online is None:
        return live
    popularity = _advance_popularity(live.online.popularity, len(live.catalog), events, is_due, as_of)
    return replace(live, as_of=as_of, popularity=popularity.features(), online=None)


def _advance_popularity(popularity: Popularity, n_items: int, events: Events, is_due: np.ndarray, as_of: int) -> Popularity:
    due = events.where(is_due)
    by_time = np.argsort(due.time, kind="stable")
    out = popularity.with_n_items(n_items)
    out.advance(as_of, due.item[by_time], due.time[by_time], events.votes[is_due][by_time])
    return out


def learn(
    live: Checkpoint,
    night: Checkpoint,
    events: Events,
    is_due: np.ndarray,
    as_of: int,
    candidates: Candidates | None,
    config: IncrementConfig,
    seed: int,
    owners: Ints | None = None,
) -> tuple[Checkpoint, UpdateDecision]:
    """The model after the due events, and whether it may go live.

    events: histories and due events of the users of this step (models.online.step). night: last night's model on the same
    catalog, the anchor. candidates: those of `predict` for the due events. owners: of the replay windows of each user. Without due events
    this is a no-op.
    """
    online = live.online
    if online is None:
        raise ValueError("the checkpoint was saved without its online state; it cannot go on learning")
    if not is_due.any():
        return live, UpdateDecision(True, "nothing to learn", {})
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    popularity = _advance_popularity(online.popularity, len(live.catalog), events, is_due, as_of)
    features = popularity.features()
    before = log_prior(torch.from_numpy(online.popularity.features()), torch.from_numpy(live.prior))
    memory = online.memory.with_slot(live.as_of, before, *config.slots_for(len(live.catalog)))
    tuned = _tune(live.live, night.live, online, memory, popularity.first_seen, events, np.flatnonzero(is_due), config, rng)
    recent, blend = online.recent, live.blend
    if candidates is not None:
        rows = torch.from_numpy(np.sort(rng.permutation(len(candidates.is_out))[: max(config.blend_rows // 4, 1)]))
        recent = keep_newest(recent, candidates.at(rows), config.blend_rows)
        if config.blend_rows and len(recent.is_out) >= config.blend_rows // 4:
            blend = fit_blend(recent, blend, config.blend_pull, anchor=night.blend, max_iterations=config.blend_iterations)
    is_cold = torch.from_numpy((popularity.counts[-1] < config.warm_after).astype(np.float32)) * live.live.is_cold
    weights = Weights(tuned.model, live.live.mean_vector, is_cold)
    n_due = memory.n_due(as_of, as_of - live.as_of, config, rng)
    learnt = replace(
        live,
        as_of=as_of,
        popularity=features,
        blend=blend,
        live=weights,
        past=None,
        online=OnlineState(
            popularity=popularity,
            memory=memory.added(events, rng, n_due, config.memory_windows, _window(weights), owners),
            recent=recent,
            delta_square=tuned.delta_square,
            squares=tuned.dense.squares or online.squares,
            means=tuned.dense.means,
            n_steps=online.n_steps + tuned.n_steps,
        ),
    )
    return learnt, judge_increment(live.live, night.live, learnt, memory, popularity.first_seen, config)


def _window(weights: Weights) -> int:
    return min(WINDOW_EVENTS, weights.model.config.max_events)


@dataclass(frozen=True)
class _Tuned:
    model: Recommender
    delta_square: Tensor
    dense: _Dense
    n_steps: int


def _tune(
    live: Weights,
    night: Weights,
    online: OnlineState,
    memory: Memory,
    first_seen: Ints,
    events: Events,
    due: Ints,
    config: IncrementConfig,
    rng: np.random.Generator,
) -> _Tuned:
    """Gradient steps on windows that end in due events, each together with replayed windows of several times as many events."""
    model = copy.deepcopy(live.model)
    known = torch.from_numpy(online.popularity.counts[-1]).float()
    sampling = Sampling(len(known), config.sampled_items) if len(known) > SAMPLED_FROM * config.sampled_items else None
    due = due[is_counted(events, due)]
    events = replace(events, weight=np.where(np.isin(np.arange(len(events)), due), events.weight, 0))
    windows = target_windows(events, due, min(config.window_events, model.config.max_events))
    offsets = memory_offsets(memory, first_seen, events.time, sampling)
    steps = _Steps(
        model=model,
        dense=_Dense.of(model, online),
        anchor=dict(night.model.named_parameters()),
        square=online.delta_square.clone(),
        rate=config.delta_rate / (1 + known / config.delta_settles).sqrt(),
        usual_length=_usual_length(model),
        events=events,
        offsets=offsets,
        memory=memory,
        replay_offsets=replace(offsets, slot=memory.slot_of(memory.events.time)),
        config=config,
        rng=rng,
    )
    n_steps = 0
    model.train()
    if len(windows) and (config.delta_rate or config.dense_rate):
        for _ in range(config.passes):
            for which in list(bucket_by_length(windows.length, config.batch_events, rng))[: config.max_steps]:
                steps.take(windows, which)
                n_steps += 1
    model.eval()
    return _Tuned(model, steps.square, steps.dense, n_steps)


@torch.no_grad()
def _usual_length(model: Recommender) -> float:
    """Mean length of text plus delta, over the items for which it is not zero."""
    length = model.items.whole(model.items.text, model.items.delta).norm(dim=1)
    known = length[length >= LEAST_LENGTH]
    return float(known.mean()) if len(known) else 1.0


@dataclass(frozen=True)
class _Dense:
    """All weights except the deltas, by name, with Adam's moments; weights without squares from the night are not updated.

    There is no bias correction, because the squares have converged. torch's own Adam is not used: creating it imports torch._dynamo,
    which takes a second of each minute run.
    """

    parameters: dict[str, torch.nn.Parameter]
    means: dict[str, Tensor]
    squares: dict[str, Tensor]

    @staticmethod
    def of(model: Recommender, online: OnlineState) -> _Dense:
        parameters = {name: parameter for name, parameter in model.named_parameters() if name != DELTA}
        known = [name for name in parameters if name in online.squares]
        means = {name: online.means[name].clone() if name in online.means else torch.zeros_like(parameters[name]) for name in known}
        return _Dense(parameters, means, {name: online.squares[name].clone() for name in known})

    def forget_gradients(self) -> None:
        for parameter in self.parameters.values():
            parameter.grad = None

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Kingma and Ba 2015, algorithm 1."""
        for name, mean in self.means.items():
            parameter, square = self.parameters[name], self.squares[name]
            if parameter.grad is not None:
                mean.lerp_(parameter.grad, 1 - BETAS[0])
                square.lerp_(parameter.grad.square(), 1 - BETAS[1])
                parameter.addcdiv_(mean, square.sqrt().add_(1e-8), value=-rate)


@dataclass(frozen=True)
class _Steps:
    """Shared state of the steps of one increment.

    anchor: the night's parameters. square: mean squared length of the deltas' gradients. rate: [items] learning rates of deltas.
    usual_length: mean length of an item's text plus delta.
    """

    model: Recommender
    dense: _Dense
    anchor: dict[str, torch.nn.Parameter]
    square: Tensor
    rate: Tensor
    usual_length: float
    events: Events
    offsets: Offsets
    memory: Memory
    replay_offsets: Offsets
    config: IncrementConfig
    rng: np.random.Generator

    def take(self, windows: Windows, which: Ints) -> None:
        """One step on the given windows, and on replayed ones in proportion to their events."""
        config = self.config
        self.dense.forget_gradients()
        self.model.items.delta.grad = None
        batch = make_batch(self.events, windows, which)
        rows = batch.rows[batch.is_target].numpy()
        rows = rows[self.events.weight[rows] > 0]
        items = all_items(self.model, self.offsets)
        replayed, n_replayed = self._replay(len(rows), items)
        share = 1 / (1 + config.replay_per_new)
        (step_loss(self.model, batch, self.events, self.offsets, items) * share + replayed).backward()
        n_events = len(rows) + n_replayed
        torch.nn.utils.clip_grad_norm_(self.dense.parameters.values(), 1.0)
        if config.dense_rate:  # the squares belong to the night's batch size; smaller batches are noisier, so the rate shrinks
            self.dense.step(config.dense_rate * min(n_events / config.batch_events, 1.0))
        self._move_deltas(np.unique(self.events.item[rows]))
        with torch.no_grad():
            for name, parameter in self.dense.parameters.items():
                parameter.lerp_(self.anchor[name], config.anchor_pull)

    def _replay(self, n_new: int, items: Tensor | None) -> tuple[Tensor, int]:
        """The loss of replayed windows, and their number of events."""
        per_new, memory, n_events, loss = self.config.replay_per_new, self.memory, 0, torch.zeros(())
        if not per_new:
            return loss, 0
        n_windows = max(round(per_new * n_new / max(memory.n_teaching, 1)), 8)
        replayed = memory.windows(memory.draw(n_windows, self.rng))
        for part in bucket_by_length(replayed.length, self.config.batch_events):
            batch = make_batch(memory.events, replayed, part)
            weight = per_new / (1 + per_new) * len(part) / len(replayed)
            loss = loss + step_loss(self.model, batch, memory.events, self.replay_offsets, items) * weight
            n_events += int(np.count_nonzero(memory.events.weight[batch.rows[batch.is_target].numpy()]))
        return loss, n_events

    @torch.no_grad()
    def _move_deltas(self, rows: Ints) -> None:
        """One step of the deltas of the given items; the gradients are normalised by their usual length."""
        delta, items = self.model.items.delta, torch.from_numpy(rows)
        if not self.config.delta_rate or delta.grad is None:
            return
        gradient = delta.grad.index_select(0, items).to_dense()  # sparse if the items were sampled
        tower = self.model.items  # the gradient is divided by the vector's length, so a tiny vector has a huge one
        share = tower.whole(tower.text[items], delta[items]).norm(dim=1, keepdim=True).clamp_min(LEAST_LENGTH) / self.usual_length
        gradient *= torch.where(share < LEAST_SHARE, share, 1.0)
        usual = gradient.square().sum(1).mean()
        self.square.copy_(torch.lerp(self.square, usual, SQUARE_RATE) if self.square > 0 else usual)
        delta[items] -= self.rate[items, None] * gradient / self.square.sqrt().clamp_min(1e-12)
        delta[items] = torch.lerp(delta[items], self.anchor[DELTA][items], self.config.anchor_pull)
