"""The sequence model: the inputs of a state, and the bounds of item vectors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.config import RecommenderConfig
from models.sequence.recommender import ItemTower, Recommender, Rotation, attend, gap_features, rotate
from tests.models.planted import TINY, random_text, shaken

N_ITEMS, TIME = 12, 6


def stream(batch: int = 3, time: int = TIME, seed: int = 0) -> dict[str, Tensor]:
    """Tokens of some streams that begin at their start."""
    generator = torch.Generator().manual_seed(seed)
    times = torch.randint(1, 100_000, (batch, time + 1), generator=generator).cumsum(1)
    is_start = torch.zeros(batch, time, dtype=torch.bool)
    is_start[:, 0] = True
    return {
        "item": torch.randint(0, N_ITEMS, (batch, time), generator=generator),
        "kind": torch.randint(0, 2, (batch, time), generator=generator),
        "event_time": torch.where(is_start, times[:, 1:], times[:, :-1]),
        "query_time": times[:, 1:],
        "is_start": is_start,
    }


def encode(model: Recommender, tokens: dict[str, Tensor]) -> Tensor:
    with torch.inference_mode():
        return model.encode(model.items(), **tokens, packed=None)


@pytest.mark.parametrize("name", ["item", "kind", "event_time", "query_time"])
def test_changing_a_later_event_leaves_the_states_before_it(name: str) -> None:
    model, tokens = shaken(N_ITEMS), stream()
    before = encode(model, tokens)
    others = {"kind": 1 - tokens[name], "item": (tokens[name] + 5) % N_ITEMS}.get(name, tokens[name] * 3)
    changed = tokens | {name: torch.cat([tokens[name][:, :4], others[:, 4:]], 1)}
    after = encode(model, changed)
    torch.testing.assert_close(after[:, :4], before[:, :4])
    assert not torch.allclose(after[:, 4:], before[:, 4:], atol=1e-3), "or the test would show nothing"


def test_padding_does_not_change_the_states_before_it() -> None:
    model, tokens = shaken(N_ITEMS), stream()
    padded = {name: torch.cat([value, value.flip(1)], 1)[:, :8] for name, value in tokens.items()}
    torch.testing.assert_close(encode(model, padded)[:, :TIME], encode(model, tokens), atol=1e-5, rtol=1e-5)


def test_a_stream_gets_the_same_states_alone_and_among_others() -> None:
    model, tokens = shaken(N_ITEMS), stream(batch=9)
    alone = torch.cat([encode(model, {name: value[row : row + 1] for name, value in tokens.items()}) for row in range(9)])
    torch.testing.assert_close(alone, encode(model, tokens), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("n_blocks", [1, 2])
def test_states_requested_alone_equal_those_among_all_and_so_do_their_gradients(n_blocks: int, dtype: torch.dtype) -> None:
    model, tokens = shaken(N_ITEMS, config=TINY.model_copy(update={"n_blocks": n_blocks, "dropout": 0.0})).train(), stream()
    place = torch.tensor([[0, 5], [3, 3], [2, 4]])
    found = []
    for is_alone in (True, False):
        model.zero_grad()
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            states = model.encode(model.items(), **tokens, place=place if is_alone else None, packed=None)
        states = states if is_alone else states.gather(1, place[..., None].expand(-1, -1, TINY.dim))
        (states * torch.arange(TINY.dim)).sum().backward()
        found.append((states.detach(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}))
    (alone, gradient), (among, expected) = found
    near = 1e-3 if dtype == torch.float32 else 0.1
    torch.testing.assert_close(alone, among, atol=near, rtol=near)
    assert gradient.keys() == expected.keys()
    for name, value in gradient.items():
        scale = expected[name].abs().max().clamp_min(1e-6)
        torch.testing.assert_close(value / scale, expected[name] / scale, atol=near, rtol=near)


def test_the_item_kind_and_time_of_a_start_token_mean_nothing() -> None:
    model, tokens = shaken(N_ITEMS), stream()
    changed = tokens | {"item": tokens["item"].clone(), "kind": tokens["kind"].clone()}
    changed["item"][:, 0], changed["kind"][:, 0] = (changed["item"][:, 0] + 1) % N_ITEMS, 1 - changed["kind"][:, 0]
    torch.testing.assert_close(encode(model, changed), encode(model, tokens))


def test_only_gaps_in_time_matter_not_the_origin_of_the_clock() -> None:
    model, tokens = shaken(N_ITEMS), stream()
    later = tokens | {name: tokens[name] + 1_700_000_000 for name in ("event_time", "query_time")}
    torch.testing.assert_close(encode(model, later), encode(model, tokens))


def test_every_user_vector_has_the_learnt_length() -> None:
    model = shaken(N_ITEMS)
    torch.testing.assert_close(encode(model, stream()).norm(dim=2), model.log_scale.exp().expand(3, TIME))


def test_gaps_are_small_numbers_that_grow_with_the_gap_and_never_negative() -> None:
    gaps = gap_features(torch.tensor([-50, 0, 60, 86_400, 10 * 365 * 86_400]))
    assert gaps.shape == (5, 4)
    assert gaps[:2].eq(0).all()
    assert gaps.diff(dim=0)[1:].gt(0).all()
    assert gaps.max() < 2


def test_the_delta_of_an_item_never_outgrows_its_bound() -> None:
    config = RecommenderConfig(dim=8, n_heads=2, delta_bound=0.5)
    tower = ItemTower(torch.from_numpy(random_text(5, 8)), config, torch.Generator().manual_seed(0))
    with torch.no_grad():
        tower.delta.mul_(torch.tensor([0.0, 0.1, 1.0, 100.0, 1e6])[:, None])
        cosine = (tower() * tower.text).sum(1)
    assert cosine[0].item() == pytest.approx(1.0)
    assert (cosine > np.cos(np.arcsin(0.5)) - 1e-4).all(), "half a text vector turns it by at most 30 degrees"


def test_a_bound_of_zero_leaves_the_text_alone() -> None:
    config = RecommenderConfig(dim=8, n_heads=2, delta_bound=0.0)
    tower = ItemTower(torch.from_numpy(random_text(5, 8)), config, torch.Generator().manual_seed(0))
    with torch.no_grad():
        tower.delta[2] = 0
    torch.testing.assert_close(tower().detach(), tower.text)


def test_an_item_without_text_or_delta_is_the_zero_vector_also_after_training_and_gives_no_nan() -> None:
    text = random_text(N_ITEMS, TINY.dim)
    text[3] = 0
    model = shaken(N_ITEMS, text=text)
    with torch.no_grad():
        model.items.delta[3] = 0
    items = model.items()
    assert items[3].eq(0).all()
    items.pow(2).sum().backward()
    assert model.items.delta.grad is not None
    assert model.items.delta.grad.isfinite().all()
    tokens = stream()
    tokens["item"][:] = 3
    assert encode(model, tokens).isfinite().all()


def test_items_with_text_start_near_it_and_items_without_start_at_random() -> None:
    text = random_text(N_ITEMS, TINY.dim)
    text[::2] = 0
    items = Recommender(TINY, torch.from_numpy(text), 2, torch.Generator().manual_seed(0)).items().detach()
    assert ((items * torch.from_numpy(text)).sum(1)[1::2] > 0.9).all()
    torch.testing.assert_close(items[::2].norm(dim=1), torch.ones(6))
    assert (items[::2] @ items[::2].T - torch.eye(6)).abs().max() < 0.95


def test_a_model_is_the_same_under_a_seed() -> None:
    one, again, other = (Recommender(TINY, torch.zeros(N_ITEMS, TINY.dim), 2, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.items.delta, again.items.delta)
    assert torch.equal(one.kind.weight, again.kind.weight)
    assert not torch.equal(one.items.delta, other.items.delta)


def test_attention_on_a_cpu_is_that_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 2, 4, 5, 8, generator=generator)
    torch.testing.assert_close(attend(q, k, v), F.scaled_dot_product_attention(q, k, v, is_causal=True))


def test_attention_depends_on_distances_in_order_and_time_and_not_on_positions() -> None:
    rotation, x = Rotation(8), torch.randn(2, 1, 1, 6, 8, generator=torch.Generator().manual_seed(1))
    time = torch.tensor([[0, 10, 500, 4000, 90_000, 2_000_000]])

    def logits(shift: int) -> Tensor:
        moments = time + shift
        phases = rotation(moments, torch.zeros(1, 1, dtype=torch.int64), torch.float32)
        return rotate(x[0], *phases) @ rotate(x[1], *phases).transpose(2, 3)

    torch.testing.assert_close(logits(0), logits(1_000_000_000), atol=1e-4, rtol=1e-4)
    later = time.clone()
    later[0, -1] += 5_000_000
    phases = rotation(later, torch.zeros(1, 1, dtype=torch.int64), torch.float32)
    assert not torch.allclose(rotate(x[0], *phases) @ rotate(x[1], *phases).transpose(2, 3), logits(0), atol=1e-2)
