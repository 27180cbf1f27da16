"""Minimisation of smooth functions of a few parameters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor


def minimise(loss: Callable[[Tensor], Tensor], start: Tensor, max_iterations: int = 30) -> Tensor:
    """The parameters near `start` that minimise a smooth function, by L-BFGS.

    scipy is used, because creating a torch optimizer imports torch._dynamo, which takes over a second in each minute run.
    """

    def value_and_gradient(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        parameters = torch.from_numpy(flat.copy()).to(start.dtype).requires_grad_(True)
        value = loss(parameters)
        (gradient,) = torch.autograd.grad(value, parameters)
        return float(value.detach()), gradient.double().numpy()

    found = minimize(
        value_and_gradient, start.double().numpy(), jac=True, method="L-BFGS-B", options={"maxiter": max_iterations, "maxcor": 20}
    )
    return torch.from_numpy(found.x).to(start.dtype)
