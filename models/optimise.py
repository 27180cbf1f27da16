"""Smooth problems of a few parameters."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def minimise(loss: Callable[[Tensor], Tensor], start: Tensor, max_iterations: int = 30) -> Tensor:
    """The parameters near `start` that minimise a smooth function, by L-BFGS."""
    parameters = start.clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS([parameters], max_iter=max_iterations, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(parameters)
        value.backward()
        return value

    optimizer.step(closure)
    return parameters.detach()
