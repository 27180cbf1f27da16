"""Log priors by slot for the loss and the gate of an increment."""

from __future__ import annotations

import numpy as np
import torch

from models.device import CPU, matmul_dtype
from models.events import Ints
from models.training.training import Offsets, Sampling
from models.version.memory import Memory


def memory_offsets(memory: Memory, first_seen: Ints, time: Ints, sampling: Sampling | None = None) -> Offsets:
    """The log prior of each event's slot; -inf for items that first occurred after the slot."""
    prior = memory.prior.to(matmul_dtype(CPU))
    least = prior.masked_fill(prior.isinf(), torch.inf).amin(1, keepdim=True)
    table = torch.where(prior.isinf(), least, prior)  # for late events on an item in a slot before the item was in the catalog
    ends = [*memory.slot_time[1:], np.iinfo(np.int64).max]
    for row, end in enumerate(ends):
        table[row, torch.from_numpy(first_seen >= end)] = -torch.inf
    return Offsets(table, memory.slot_of(time), sampling)
