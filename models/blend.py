"""P(i | u, t): the sequence model, the popularity prior and a pull to items of before, weighed on the newest events."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from models.dataset import Events, Floats, Ints, ragged_rows
from models.optimise import minimise
from models.prior import N_PARAMETERS, log_prior

N_REPEAT_FEATURES = 3
REPEAT_HISTORY = 100


@dataclass(frozen=True)
class Blend:
    """Weights of log P = sequence * (U . C) + prior_scale * log_prior(i, t) + repeat . features(i, history) - log Z."""

    sequence: float
    prior: Floats
    repeat: Floats
    prior_scale: float = 1.0

    def scores(self, sequence: Tensor, prior: Tensor, slot: Tensor, repeats: Repeats | None) -> Tensor:
        """[rows, items] from U . C [rows, items], prior features [slots, items, features] and the slot of each row."""
        total = sequence * self.sequence + prior[slot]
        if repeats is not None:
            total[repeats.row, repeats.item] += repeats.features @ torch.from_numpy(self.repeat)
        return total


@dataclass(frozen=True)
class Repeats:
    """Which items of the catalogue a user had before, sparse: one entry per row and distinct item of its history."""

    row: Tensor
    item: Tensor
    features: Tensor


def find_repeats(events: Events, start: Ints, stop: Ints) -> Repeats:
    """The distinct items of histories given as half-open ranges of rows: present, log count, log age in events."""
    start = np.maximum(start, stop - REPEAT_HISTORY)
    number, row = ragged_rows(start, stop)
    key = number * events.n_items + events.item[row]
    distinct, first_from_end = np.unique(key[::-1], return_index=True)
    last = row[::-1][first_from_end]
    count = np.bincount(np.searchsorted(distinct, key), minlength=len(distinct))
    number = distinct // events.n_items
    age = stop[number] - last
    features = np.stack([np.ones(len(distinct)), np.log(count), np.log(age)], 1).astype(np.float32)
    return Repeats(torch.from_numpy(number), torch.from_numpy(distinct % events.n_items), torch.from_numpy(features))


def fit_blend(
    sequence: Tensor, prior: Tensor, slot: Tensor, repeats: Repeats | None, blocked: tuple[Ints, Ints] | None, item: Tensor, weight: Tensor, start: Blend
) -> Blend:
    """The blend under which the items of some rows are most likely, from `start`.

    sequence: U . C [rows, items]; prior: features [slots, items, features]; blocked: (row, item) pairs that are no candidates.
    """
    rows = torch.arange(len(item))
    mask = torch.zeros_like(sequence)
    if blocked is not None:
        mask[torch.from_numpy(blocked[0]), torch.from_numpy(blocked[1])] = -torch.inf
        mask[rows, item] = 0.0
    n_repeat = N_REPEAT_FEATURES if repeats is not None else 0
    origin = torch.cat([torch.tensor([start.sequence]), torch.from_numpy(start.prior), torch.from_numpy(start.repeat[:n_repeat])])

    def loss(w: Tensor) -> Tensor:
        total = sequence * w[0] + log_prior(prior, w[1 : 1 + N_PARAMETERS])[slot] + mask
        if repeats is not None:
            total = total.index_put((repeats.row, repeats.item), repeats.features @ w[1 + N_PARAMETERS :], accumulate=True)
        nll = total.logsumexp(1) - total[rows, item]
        return (nll * weight).sum() / weight.sum() + 1e-3 * ((w - origin) ** 2).sum()

    w = minimise(loss, origin)
    repeat = w[1 + N_PARAMETERS :].numpy() if n_repeat else np.zeros(N_REPEAT_FEATURES, np.float32)
    return Blend(float(w[0]), w[1 : 1 + N_PARAMETERS].numpy(), repeat)


def candidates(blend: Blend) -> list[Blend]:
    """The blend, its parts, and the blend with more or less of the sequence model."""
    alone = replace(blend, prior_scale=0.0)
    scaled = [replace(blend, sequence=blend.sequence * share) for share in (0.5, 0.75, 1.25, 1.5)]
    return [blend, *scaled, replace(blend, sequence=0.0), alone]
