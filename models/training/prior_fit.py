"""The fit of the prior: the popularity mixture under which the training events are most likely."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from models.events import Events, Floats
from models.ranking.prior import N_PARAMETERS, N_SHARES, Slots, log_prior, slot_features
from models.training.optimise import minimise


def fit_prior(events: Events, slots: Slots, max_cells: int = 20_000_000) -> Floats:
    """The parameters under which the given events are most likely, each predicted from the beginning of its slot.

    The fit uses the newest slots that fit into max_cells (slot x item x feature). Without events, the mixture is uniform.
    """
    origin = torch.zeros(N_PARAMETERS)
    origin[N_SHARES] = 1.0
    if not events.weight.any():
        return origin.numpy()
    slot = slots.of(events.time)
    wanted = np.unique(slot)
    wanted = wanted[-max(max_cells // (events.n_items * (N_SHARES + 2)), 1) :]
    features = slot_features(events, slots, wanted)
    used = slot >= wanted[0]
    place = torch.from_numpy(np.searchsorted(wanted, slot[used]))
    item, weight = torch.from_numpy(events.item[used]), torch.from_numpy(events.weight[used])
    mass = torch.zeros(len(wanted)).index_add_(0, place, weight)

    def loss(parameters: Tensor) -> Tensor:
        logits = log_prior(features, parameters)
        observed = (logits[place, item] * weight).sum()
        return (logits.logsumexp(1) @ mass - observed) / mass.sum().clamp_min(1e-12) + 1e-4 * ((parameters - origin) ** 2).sum()

    return minimise(loss, origin).numpy()
