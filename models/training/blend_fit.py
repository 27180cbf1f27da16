"""The fit of the blend: the weights under which held-out events are most likely among their candidates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from models.ranking.blend import Blend
from models.ranking.candidates import Candidates, candidate_scorer
from models.training.optimise import minimise


def fit_blend(
    candidates: Candidates,
    start: Blend,
    weight_decay: float = 1e-3,
    *,
    anchor: Blend | None = None,
    max_iterations: int = 60,
    importance: Tensor | None = None,
) -> Blend:
    """The blend under which the targets are most likely among their candidates, found from `start` and pulled to the anchor (or start).

    Events whose item is no candidate are left out, as every blend would miss them. importance: [events] weights; equal by default.
    """
    hit = candidates.is_target.any(1)
    if not hit.any():
        return start
    c = candidates.at(hit)
    weigh = candidate_scorer(c)
    share = torch.ones(len(hit)) if importance is None else importance
    share = share[hit] / share[hit].sum().clamp_min(1e-12)
    shapes = [start.mixture.shape, start.gate.shape, start.repeat.shape]
    sizes = [int(np.prod(shape)) for shape in shapes]
    origin = _flat(anchor or start)
    pull = torch.cat([torch.full((sizes[0],), 0.3), torch.ones(sizes[1] + sizes[2])])

    def loss(parameters: Tensor) -> Tensor:
        mixture, gate, repeat = (part.view(shape) for part, shape in zip(parameters.split(sizes), shapes, strict=True))
        nll = -(weigh(mixture, gate, repeat).masked_fill(c.is_out, -1e9).log_softmax(1) * c.is_target).sum(1)
        return nll @ share + weight_decay * (pull * (parameters - origin) ** 2).sum()

    found = minimise(loss, _flat(start), max_iterations).split(sizes)
    mixture, gate, repeat = (part.view(shape).numpy() for part, shape in zip(found, shapes, strict=True))
    return replace(start, mixture=mixture, gate=gate, repeat=repeat)


def _flat(blend: Blend) -> Tensor:
    return torch.cat([torch.from_numpy(part).flatten() for part in (blend.mixture, blend.gate, blend.repeat)])
