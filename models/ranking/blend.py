"""P(i | u, t): a blend of sequence model, popularities and repeats of earlier items, weighted by features of the user.

log P(i | u, t) = s(u) U.C_i + p(u) log sum_k w_k(u) share_k(i, t) + g(u) . (age_i, young_i, unseen_i) + r(u) . repeats(u, i) - log Z

Every weight is linear in a few features of the user (the mixture w through a softmax). One feature is how trendy the items of
their history were at the time: trend followers and explorers of the back catalogue need different popularities. Another is
whether the user is mid-session: the next line of an invoice rarely repeats one of its lines, the next invoice often does.
For items that the sequence model has not learnt, its weight s is at least zero, so that similarity to the user never lowers a score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.events import Events, Floats, Ints, ragged_rows
from models.ranking.prior import HALF_LIVES_H, N_SHARES, Slots, popularity_by_slot
from models.sequence.weights import LIST_DELAY_S

N_USER_FEATURES = 9
BUSY_S = LIST_DELAY_S
"""A user whose last event is less than this many seconds old counts as mid-session."""
DAY_H = 24.0
GATES = ("popularity", "sequence", "sequence_cold", "cold", "item_mean", "age", "unseen", "young")
"""One gate per term of the score, in the order of the columns of Blend.gate.

A new source of scores needs a name here and a value under that name: in `item_terms` if it depends on the item only, otherwise in
the pairs that `combine` and `Candidates` get. No other code knows the terms.
"""
COLD_GATES = {"sequence": "sequence_cold"}
"""Gates that replace the gate of a pair term for items without training events."""
SEQUENCE_GATES = ("sequence", "sequence_cold", "item_mean")
"""Gates of the terms of the sequence model; the others weight popularity."""
YOUNG_DAYS = 3.0
"""Age at which the `young` term has fallen to 1/e; demand for new items differs from their share of events so far.

Without this term, the gate of cold items would learn the effect: all cold items are young in the validation period, but not later.
"""
N_REPEAT_FEATURES = 4
REPEAT_HISTORY = 100
TREND_HISTORY = 10
TREND_ROW = HALF_LIVES_H.index(24.0)


@dataclass(frozen=True)
class Blend:
    """Weights of user features: mixture [.., shares], gate [.., GATES], repeat [.., N_REPEAT_FEATURES].

    trend: mean and deviation of trendiness.
    """

    mixture: Floats
    gate: Floats
    repeat: Floats
    trend: Floats

    def scaled(self, sequence: float, popularity: float) -> Blend:
        """The blend with the gates of sequence model and popularity multiplied by the given factors."""
        by_gate = {name: sequence if name in SEQUENCE_GATES else popularity for name in GATES}
        return replace(self, gate=self.gate * np.array(list(by_gate.values()), np.float32))

    def shifted(self, name: str, by: float) -> Blend:
        """The blend with the gate of one term raised for every user."""
        gate = self.gate.copy()
        gate[0, GATES.index(name)] += by
        return replace(self, gate=gate)


@dataclass(frozen=True)
class Repeats:
    """Items of each history, sparse: one entry per row and distinct item."""

    row: Tensor
    item: Tensor
    features: Tensor


def starting_blend(trend: Floats, sequence: float = 1.0) -> Blend:
    """The sequence model plus a uniform mixture of popularities, the same for every user."""
    mixture = np.zeros((N_USER_FEATURES, N_SHARES), np.float32)
    gate = np.zeros((N_USER_FEATURES, len(GATES)), np.float32)
    for name, weight in {"popularity": 1.0, "sequence": sequence, "sequence_cold": sequence}.items():
        gate[0, GATES.index(name)] = weight
    return Blend(mixture, gate, np.zeros((N_USER_FEATURES, N_REPEAT_FEATURES), np.float32), trend)


def popularity_only(row: int, trend: Floats) -> Blend:
    """A blend of one popularity only. row: an index in HALF_LIVES_H, or len(HALF_LIVES_H) for all time."""
    blend = starting_blend(trend, sequence=0.0)
    blend.mixture[0] = -30.0
    blend.mixture[0, row], blend.mixture[0, N_SHARES - 1] = 0.0, -20.0
    return blend


def trendiness(events: Events, slots: Slots, counted: Events) -> Floats:
    """Log of the decayed count (half-life one day) of each event's item, over counted events before the event's slot."""
    slot = slots.of(events.time)
    order = np.argsort(slot, kind="stable")
    wanted, begin = np.unique(slot[order], return_index=True)
    out = np.empty(len(events), np.float32)
    for (_, popularity), rows in zip(popularity_by_slot(counted, slots, wanted), np.split(order, begin[1:]), strict=True):
        out[rows] = log_trend(popularity.counts)[events.item[rows]]
    return out


def log_trend(counts: NDArray[np.float64]) -> Floats:
    """[items] trendiness from decayed counts [half-lives, items]."""
    trend: Floats = np.log(counts[TREND_ROW] + 0.1).astype(np.float32)
    return trend


def user_features(trend: Floats, start: Ints, stop: Ints, gap_s: Ints, scale: Floats, n_earlier: Ints | None = None) -> Tensor:
    """[rows, N_USER_FEATURES] of histories, given as half-open ranges of events and the seconds since their last event.

    The columns: constant one, whether the history is empty, its length, its trendiness; log gap above one day and log gap below one
    day, two columns so that gaps of weeks do not determine the effect of minutes; one, length and trendiness again if mid-session.

    n_earlier: [rows] number of events before the ranges; the length includes them.
    """
    n = stop - start
    total = np.concatenate([[0.0], np.cumsum(trend, dtype=np.float64)])
    recent = np.minimum(n, TREND_HISTORY)
    mean = (total[stop] - total[stop - recent]) / np.maximum(recent, 1)
    has = n > 0
    is_busy = has & (gap_s < BUSY_S)
    length = n if n_earlier is None else np.where(has, n + n_earlier, 0)
    who = np.stack([np.ones(len(n)), ~has, np.log1p(length) / 3, np.where(has, (mean - scale[0]) / scale[1], 0)])
    days = np.where(has & ~is_busy, np.log1p(np.maximum(gap_s, 0) / 3600) - np.log1p(DAY_H), 0) / 3
    features = np.vstack([who, np.maximum(days, 0), np.minimum(days, 0), who[[0, 2, 3]] * is_busy])
    return torch.from_numpy(features.T.astype(np.float32))


def find_repeats(events: Events, start: Ints, stop: Ints, now: Ints) -> Repeats:
    """The distinct items of histories, given as half-open ranges of events, each at its time in `now`.

    features: constant one, log count, log number of events since the last occurrence, log hours since it.
    """
    start = np.maximum(start, stop - REPEAT_HISTORY)
    number, row = ragged_rows(start, stop)
    key = number * events.n_items + events.item[row]
    distinct, first_from_end = np.unique(key[::-1], return_index=True)
    last = row[::-1][first_from_end]
    count = np.bincount(np.searchsorted(distinct, key), minlength=len(distinct))
    number = distinct // events.n_items
    hours = np.maximum(now[number] - events.time[last], 0) / 3600
    features = np.stack([np.ones(len(distinct)), np.log(count), np.log(stop[number] - last), np.log1p(hours) / 3], 1)
    return Repeats(torch.from_numpy(number), torch.from_numpy(distinct % events.n_items), torch.from_numpy(features.astype(np.float32)))


@dataclass(frozen=True)
class ItemState:
    """State of every item at one time: popularity features, mean sequence score, whether it has no training events.

    Values that do not depend on the user are computed once.
    """

    popularity: Tensor
    mean_score: Tensor
    is_cold: Tensor

    @cached_property
    def shares(self) -> Tensor:
        """[shares, items]."""
        return self.popularity[:, :N_SHARES].T.contiguous()

    @cached_property
    def terms(self) -> tuple[tuple[str, ...], Tensor]:
        """Names of the terms that depend on the item only, and their values [terms, items]."""
        named = item_terms(self.popularity, self.mean_score, self.is_cold)
        return tuple(named), torch.stack(list(named.values()))

    @cached_property
    def log_share(self) -> Tensor:
        """[items] log of the mean popularity."""
        return self.popularity[:, :N_SHARES].mean(1).clamp_min(1e-9).log()

    def most_popular(self, n: int) -> list[Tensor]:
        """Rows of the n most popular items by each popularity, without the shortest half-life and the uniform share."""
        if n not in self._most_popular:
            self._most_popular[n] = [self.popularity[:, k].topk(n).indices for k in range(1, N_SHARES - 1)]
        return self._most_popular[n]

    @cached_property
    def _most_popular(self) -> dict[int, list[Tensor]]:
        return {}

    @cached_property
    def cold(self) -> Tensor:
        """Rows of the items without training events."""
        return torch.nonzero(self.is_cold > 0).flatten()


def item_terms(popularity: Tensor, mean_score: Tensor, is_cold: Tensor) -> dict[str, Tensor]:
    """Terms that depend on the item only, by the name of their gate; popularity is [.., features], the others are [..]."""
    return {
        "cold": is_cold,
        "item_mean": (1 - is_cold) * mean_score,
        "age": popularity[..., N_SHARES],
        "unseen": popularity[..., N_SHARES + 1],
        "young": torch.exp(-torch.expm1(popularity[..., N_SHARES]) / YOUNG_DAYS),
    }


def gates(users: Tensor, gate: Tensor) -> dict[str, Tensor]:
    """Weight of each term for each user, [rows, 1] by name. The weight of the sequence model for cold items is at least zero."""
    weight = dict(zip(GATES, (users @ gate).split(1, dim=1), strict=True))
    return weight | {name: weight[name].clamp_min(0) for name in COLD_GATES.values()}


def combine(blend: Blend, users: Tensor, pairs: Mapping[str, Tensor], items: ItemState, repeats: Repeats | None) -> Tensor:
    """Log P up to a constant, [rows, items], from user features [rows, N_USER_FEATURES].

    pairs: the terms that depend on user and item, [rows, items] by name: `sequence` is U . C.
    `candidate_scorer` gives the same result for a few candidates.
    """
    weight = gates(users, torch.from_numpy(blend.gate))
    names, values = items.terms
    total = ((users @ torch.from_numpy(blend.mixture)).softmax(1) @ items.shares).clamp_min_(1e-12).log_()
    total.mul_(weight["popularity"]).addmm_(torch.cat([weight[name] for name in names], 1), values)
    for name, value in pairs.items():
        total.addcmul_(value, weight[name])
        if name in COLD_GATES and len(items.cold):
            total[:, items.cold] += value[:, items.cold] * (weight[COLD_GATES[name]] - weight[name])
    if repeats is not None:
        pull = (users @ torch.from_numpy(blend.repeat))[repeats.row]
        total[repeats.row, repeats.item] += (repeats.features * pull).sum(1)
    return total


def contributions(blend: Blend, users: Tensor, pairs: Mapping[str, Tensor], items: ItemState, repeats: Repeats | None) -> dict[str, Tensor]:
    """The terms whose sum is the result of `combine` for the same arguments, each times its gate, [rows, items] by name."""
    weight = gates(users, torch.from_numpy(blend.gate))
    names, values = items.terms
    share = ((users @ torch.from_numpy(blend.mixture)).softmax(1) @ items.shares).clamp_min(1e-12)
    parts = {"popularity": share.log() * weight["popularity"]}
    for name, value in pairs.items():
        parts[name] = value * (
            torch.where(items.is_cold > 0, weight[COLD_GATES[name]], weight[name]) if name in COLD_GATES else weight[name]
        )
    parts |= {name: weight[name] * value for name, value in zip(names, values, strict=True)}
    if repeats is not None:
        parts["repeats"] = torch.zeros_like(share)
        parts["repeats"][repeats.row, repeats.item] = (repeats.features * (users @ torch.from_numpy(blend.repeat))[repeats.row]).sum(1)
    return parts
