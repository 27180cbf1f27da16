"""Candidates: the same in blocks of rows as all at once, and those of a dense table."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from models.ranking.blend import N_REPEAT_FEATURES, N_USER_FEATURES, ItemState, Repeats
from models.ranking.candidates import Candidates, pick_candidates
from models.ranking.prior import N_SHARES

ROWS, ITEMS, N_EACH = 12, 500, 20


def pick(rows: Tensor, *, hides_seen: bool) -> Candidates:
    """Candidates of some of the rows."""
    generator = torch.Generator().manual_seed(0)
    items = ItemState(torch.rand(ITEMS, N_SHARES + 2, generator=generator), torch.rand(ITEMS, generator=generator), torch.zeros(ITEMS))
    sequence, users = torch.randn(ROWS, ITEMS, generator=generator), torch.rand(ROWS, N_USER_FEATURES, generator=generator)
    had = torch.rand(ROWS, ITEMS, generator=generator) < 0.1
    target = torch.randint(ITEMS, (ROWS,), generator=generator)
    values = torch.rand(ROWS, ITEMS, N_REPEAT_FEATURES, generator=generator)
    values[..., 0] = 1
    row, item = torch.nonzero(had[rows]).T
    repeats = None if hides_seen else Repeats(row, item, values[rows][row, item])
    seen = (row.numpy(), item.numpy()) if hides_seen else None
    return pick_candidates(users[rows], sequence[rows], items, repeats, seen, target[rows], N_EACH)


@pytest.mark.parametrize("hides_seen", [False, True])
def test_candidates_in_blocks_of_rows_equal_those_of_all_rows_bit_for_bit(hides_seen: bool) -> None:
    whole = pick(torch.arange(ROWS), hides_seen=hides_seen)
    blocks = Candidates.join([pick(part, hides_seen=hides_seen) for part in torch.arange(ROWS).split(5)])
    for name, value in vars(whole).items():
        assert torch.equal(value, getattr(blocks, name)), name


def test_every_item_of_the_history_is_a_candidate_with_its_features() -> None:
    sequence, history = torch.zeros(2, ITEMS), torch.tensor([[7, 3], [400, 7]])
    items = ItemState(torch.rand(ITEMS, N_SHARES + 2), torch.zeros(ITEMS), torch.zeros(ITEMS))
    row = torch.tensor([1, 0, 0, 1])
    item = torch.tensor([400, 7, 3, 7])
    features = 1 + torch.arange(16.0).view(4, N_REPEAT_FEATURES) / 100
    picked = pick_candidates(torch.zeros(2, N_USER_FEATURES), sequence, items, Repeats(row, item, features), None, history[:, 0], N_EACH)
    dense = torch.zeros(2, ITEMS, N_REPEAT_FEATURES)
    dense[row, item] = features
    shown = picked.repeats[~picked.is_out]
    assert np.count_nonzero(shown[:, 0]) == 4
    assert torch.equal(shown.sum(0), dense.sum((0, 1)))
    assert picked.is_target.sum(1).tolist() == [1, 1]
