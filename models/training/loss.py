"""Softmax cross-entropy over the whole catalogue, computed without storing all logits of a batch."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

CACHED_CELLS = 2_500_000
ROWS = 64
"""The number of rows of a chunk is a multiple of this, so that kernels are compiled for few shapes."""
LEAST_MASS, MOST_MASS = 1e-20, 1e20
"""If the sum of exponentials of any row is outside these bounds, each row is shifted by its highest logit."""


class _CatalogCrossEntropy(torch.autograd.Function):
    """The forward pass computes the gradients chunk by chunk: three matrix products per chunk, memory for one chunk.

    The gradient of a row's logits is its softmax minus one at the target. The softmax itself is never computed: its scale is
    multiplied into the query rows, and the target is a gather and a scatter of one vector per row.
    """

    @staticmethod
    def forward(
        ctx: Any, queries: Tensor, items: Tensor, target: Tensor, weight: Tensor, prior: Tensor, slot: Tensor, chunk: int
    ) -> Tensor:
        grad_queries = torch.empty(queries.shape, dtype=torch.float32, device=items.device)
        grad_items = torch.zeros(items.shape, dtype=torch.float32, device=items.device)
        total = torch.zeros((), dtype=torch.float32, device=items.device)
        weight = weight / weight.sum().clamp_min(1e-12)
        exact_queries, of_target = queries.float(), items.index_select(0, target).float()
        scratch = torch.empty(min(chunk, len(queries)), len(items), dtype=prior.dtype, device=prior.device)
        for start in range(0, len(queries), chunk):
            part = slice(start, start + chunk)
            logits = scratch[: len(queries[part])]
            likelihood = torch.index_select(prior, 0, slot[part], out=logits).addmm_(queries[part], items.T).exp_()
            mass = likelihood.sum(1).float()
            log_mass = mass.log()
            if not ((mass > LEAST_MASS) & (mass < MOST_MASS)).all():
                torch.index_select(prior, 0, slot[part], out=logits).addmm_(queries[part], items.T)
                highest = logits.amax(1, keepdim=True)
                likelihood = logits.sub_(highest).exp_()
                mass = likelihood.sum(1).float()
                log_mass = mass.log() + highest[:, 0].float()
            share = (weight[part] / mass)[:, None]
            total += (log_mass * weight[part]).sum()
            grad_queries[part] = (likelihood @ items).float() * share
            grad_items += likelihood.T @ (exact_queries[part] * share).to(queries.dtype)
        total -= (((exact_queries * of_target).sum(1) + prior[slot, target].float()) * weight).sum()
        grad_queries -= of_target * weight[:, None]
        grad_items.index_add_(0, target, exact_queries * -weight[:, None])
        ctx.save_for_backward(grad_queries, grad_items)
        ctx.dtype = queries.dtype
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad_queries, grad_items = (grads[0] * grad for grad in ctx.saved_tensors)
        return grad_queries.to(ctx.dtype), grad_items.to(ctx.dtype), None, None, None, None, None


def logits_per_block(device: torch.device) -> int:
    """Number of logits in memory at a time; up to four copies of at most four bytes each exist."""
    return torch.cuda.mem_get_info(device)[0] // 32 // 16 if device.type == "cuda" else CACHED_CELLS


def catalog_cross_entropy(
    queries: Float[Tensor, "batch dim"],
    items: Float[Tensor, "items dim"],
    target: Int[Tensor, " batch"],
    weight: Float[Tensor, " batch"],
    prior: Float[Tensor, "slots items"],
    slot: Int[Tensor, " batch"],
    chunk_cells: int | None = None,
) -> Float[Tensor, ""]:
    """Weighted mean of -log softmax(queries . items + prior[slot])[target].

    The prior has the type of the queries and receives no gradient; -inf excludes an item from the softmax.
    chunk_cells limits the logits in memory at a time: by default they fit into the cache of a common processor, or into a 32nd of a
    card's free memory.
    """
    chunk = max((chunk_cells or logits_per_block(items.device)) // len(items) // ROWS, 1) * ROWS
    loss = _CatalogCrossEntropy.apply(queries, items, target, weight, prior, slot, chunk)  # type: ignore[no-untyped-call]
    assert isinstance(loss, Tensor)
    return loss
