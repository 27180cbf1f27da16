"""Softmax cross-entropy over the whole catalogue without ever holding the logits of a batch."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor


class _CatalogCrossEntropy(torch.autograd.Function):
    """Computes the gradients chunk by chunk on the way forward: three matrix products a chunk, memory for one chunk."""

    @staticmethod
    def forward(
        ctx: Any, queries: Tensor, items: Tensor, target: Tensor, weight: Tensor, prior: Tensor, slot: Tensor, chunk: int
    ) -> Tensor:
        grad_queries = torch.empty_like(queries)
        grad_items = torch.zeros(items.shape, dtype=torch.float32, device=items.device)
        total = torch.zeros((), dtype=torch.float32, device=items.device)
        scale = 1.0 / weight.sum().clamp_min(1e-12)
        for start in range(0, len(queries), chunk):
            part = slice(start, start + chunk)
            rows = torch.arange(len(queries[part]), device=queries.device)
            logits = torch.addmm(prior.index_select(0, slot[part]), queries[part], items.T).float()
            highest = logits.amax(1, keepdim=True)
            of_target = logits[rows, target[part]] - highest[:, 0]
            likelihood = logits.sub_(highest).exp_()
            mass = likelihood.sum(1)
            part_weight = weight[part] * scale
            total += ((mass.log() - of_target) * part_weight).sum()
            residual = likelihood.mul_((part_weight / mass)[:, None])
            residual[rows, target[part]] -= part_weight
            residual = residual.to(queries.dtype)
            grad_queries[part] = residual @ items
            grad_items += residual.T @ queries[part]
        ctx.save_for_backward(grad_queries, grad_items.to(items.dtype))
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad_queries, grad_items = ctx.saved_tensors
        return grads[0] * grad_queries, grads[0] * grad_items, None, None, None, None, None


def catalog_cross_entropy(
    queries: Float[Tensor, "batch dim"],
    items: Float[Tensor, "items dim"],
    target: Int[Tensor, " batch"],
    weight: Float[Tensor, " batch"],
    prior: Float[Tensor, "slots items"],
    slot: Int[Tensor, " batch"],
    chunk_cells: int = 2_500_000,
) -> Float[Tensor, ""]:
    """Weighted mean of -log softmax(queries . items + prior[slot])[target].

    The prior is an offset in log space, in the type of the queries, and receives no gradient; -inf takes an item out of
    the softmax. chunk_cells bounds the logits held at a time; the default stays in the cache of a common processor.
    """
    chunk = max(chunk_cells // len(items), 16)
    loss = _CatalogCrossEntropy.apply(queries, items, target, weight, prior, slot, chunk)  # type: ignore[no-untyped-call]
    assert isinstance(loss, Tensor)
    return loss
