"""The chunked cross-entropy against torch's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.training.loss import catalog_cross_entropy

N, ITEMS, DIM, SLOTS = 150, 11, 6, 3


def problem(seed: int = 0) -> dict[str, Tensor]:
    """Queries, items, targets, weights and a prior with some items taken out, never a target."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(0, ITEMS, (N,), generator=generator)
    slot = torch.randint(0, SLOTS, (N,), generator=generator)
    prior = torch.randn(SLOTS, ITEMS, generator=generator)
    out = torch.rand(SLOTS, ITEMS, generator=generator) < 0.3
    out[slot, target] = False
    return {
        "queries": (3 * torch.randn(N, DIM, generator=generator)).requires_grad_(),
        "items": torch.randn(ITEMS, DIM, generator=generator).requires_grad_(),
        "target": target,
        "weight": torch.rand(N, generator=generator),
        "prior": prior.masked_fill(out, -torch.inf),
        "slot": slot,
    }


def plain(queries: Tensor, items: Tensor, target: Tensor, weight: Tensor, prior: Tensor, slot: Tensor) -> Tensor:
    """The loss by torch's plain functions."""
    losses = F.cross_entropy(queries @ items.T + prior[slot], target, reduction="none")
    return (losses * weight).sum() / weight.sum()


def ours_of(given: dict[str, Tensor], chunk_cells: int = 2_500_000) -> Tensor:
    return catalog_cross_entropy(**given, chunk_cells=chunk_cells)  # type: ignore[arg-type]


@pytest.mark.parametrize("chunk_cells", [1, 130 * ITEMS, 2_500_000])
def test_value_and_gradients_equal_those_of_torch_for_any_chunk(chunk_cells: int) -> None:
    ours, theirs = problem(), problem()
    loss, expected = ours_of(ours, chunk_cells=chunk_cells), plain(**theirs)
    (3 * loss).backward()
    (3 * expected).backward()
    torch.testing.assert_close(loss, expected)
    for name in ("queries", "items"):
        torch.testing.assert_close(ours[name].grad, theirs[name].grad, atol=1e-6, rtol=1e-4)


def test_an_item_that_did_not_exist_yet_gets_no_gradient() -> None:
    one = problem()
    one["prior"][:, 4] = -torch.inf
    one["target"][one["target"] == 4] = 5
    one["prior"][:, 5] = 0.0
    ours_of(one).backward()
    assert one["items"].grad is not None
    assert one["items"].grad[4].eq(0).all()
    assert one["items"].grad.isfinite().all()


def test_an_event_of_weight_zero_has_no_gradient() -> None:
    one = problem()
    one["weight"][::2] = 0
    ours_of(one).backward()
    assert one["queries"].grad is not None
    assert one["queries"].grad[::2].eq(0).all()
    assert one["queries"].grad[1::2].abs().sum(1).gt(0).all()


def test_only_zero_weights_give_a_loss_of_zero_and_no_nan() -> None:
    one = problem()
    one["weight"].zero_()
    loss = ours_of(one)
    loss.backward()
    assert loss.item() == 0
    assert one["items"].grad is not None
    assert one["items"].grad.eq(0).all()


def test_logits_far_from_zero_do_not_overflow() -> None:
    one = problem()
    one["queries"] = (one["queries"].detach() * 300).requires_grad_()
    loss = ours_of(one)
    loss.backward()
    assert np.isfinite(loss.item())
    assert one["items"].grad is not None
    assert one["items"].grad.isfinite().all()


@pytest.mark.parametrize("shift", [-800.0, -90.0, 90.0, 800.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_prior_far_from_zero_changes_neither_value_nor_gradient(shift: float, dtype: torch.dtype) -> None:
    near, far = problem(), problem()
    far["prior"] = far["prior"] + shift
    for one in (near, far):
        for name in ("queries", "items"):
            one[name] = one[name].detach().to(dtype).requires_grad_()
        one["prior"] = one["prior"].to(dtype)
    rtol, atol = (1e-3, 1e-3) if dtype == torch.float32 else (0.1, 4.1)  # bf16 keeps 800 to the next 4
    expected, loss = ours_of(near), ours_of(far)
    loss.backward()
    torch.testing.assert_close(loss, expected, rtol=rtol, atol=atol)
    for name in ("queries", "items"):
        gradient = far[name].grad
        assert gradient is not None
        assert gradient.isfinite().all()


def test_a_prior_that_leaves_one_item_possible_gives_a_finite_loss() -> None:
    one = problem()
    one["prior"] = torch.full_like(one["prior"], -900.0)
    one["prior"][:, 0] = 0.0
    loss = ours_of(one)
    loss.backward()
    assert 100 < loss.item() < 1000
    assert one["items"].grad is not None
    assert one["items"].grad.isfinite().all()


def test_bf16_agrees_with_fp32_roughly() -> None:
    exact, rough = problem(), problem()
    low = {name: rough[name].detach().bfloat16() for name in ("queries", "items", "prior")}
    for name in ("queries", "items"):
        low[name].requires_grad_()
    expected, loss = ours_of(exact), ours_of(rough | low)
    expected.backward()
    loss.backward()
    torch.testing.assert_close(loss, expected, rtol=0.02, atol=0.02)
    ours, theirs = low["items"].grad, exact["items"].grad
    assert ours is not None
    assert theirs is not None
    assert F.cosine_similarity(ours.float().flatten(), theirs.flatten(), dim=0) > 0.999
