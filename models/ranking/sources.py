"""Which part of the blend lifted each row of a list most."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from models.events import Ints
from models.ranking.blend import COLD_GATES, Blend, ItemState, Repeats, gates

SOURCES = ("sequence", "popularity", "repeats", "new", "search")
"""The user's sequence of events, what is popular now, what the user had before, what is new, and the user's last search."""
NEW = ("cold", "age", "unseen", "young")
N_SAMPLED = 256
"""Items that stand for the catalogue."""
BLOCK_USERS = 256


def sample_of(is_available: np.ndarray) -> Tensor:
    """Rows of available items, evenly over the catalogue; of all items if none is available."""
    rows = np.flatnonzero(is_available) if is_available.any() else np.arange(len(is_available))
    return torch.from_numpy(rows[np.linspace(0, len(rows) - 1, min(N_SAMPLED, len(rows))).astype(np.int64)])


def sources_of(
    blend: Blend,
    users: Tensor,
    sequence: Tensor,
    searched: Tensor | None,
    items: ItemState,
    repeats: Repeats | None,
    listed: Tensor,
    sample: Tensor,
) -> Ints:
    """[users, ranks] index into SOURCES: the source whose terms are highest above their mean over the sampled items.

    users: features [users, N_USER_FEATURES]; sequence, searched: terms of all items [users, items]; listed: rows of items [users, ranks].
    """
    out = np.empty(tuple(listed.shape), np.int64)
    for first in range(0, len(listed), BLOCK_USERS):
        part = slice(first, first + BLOCK_USERS)
        rows = torch.cat([listed[part], sample.expand(len(listed[part]), -1)], 1)
        values = _values(blend, users[part], sequence[part], None if searched is None else searched[part], items, rows)
        if repeats is not None:
            here = (repeats.row >= first) & (repeats.row < first + len(rows))
            row, pull = repeats.row[here] - first, (users[part] @ torch.from_numpy(blend.repeat))[repeats.row[here] - first]
            dense = torch.zeros(len(rows), sequence.shape[1])
            dense[row, repeats.item[here]] = (repeats.features[here] * pull).sum(1)
            values["repeats"] = dense.gather(1, rows)
        n = listed.shape[1]
        nothing = torch.zeros(len(rows), n)
        lift = [values[name][:, :n] - values[name][:, n:].mean(1, keepdim=True) if name in values else nothing for name in SOURCES]
        out[part] = torch.stack(lift).argmax(0).numpy()
    return out


def _values(blend: Blend, users: Tensor, sequence: Tensor, searched: Tensor | None, items: ItemState, rows: Tensor) -> dict[str, Tensor]:
    """The terms of the given items by source, [users, items of rows]."""
    weight = gates(users, torch.from_numpy(blend.gate))
    share = torch.einsum("us,uns->un", (users @ torch.from_numpy(blend.mixture)).softmax(1), items.shares.T[rows]).clamp_min(1e-12)
    by_item = torch.where(items.is_cold[rows] > 0, weight[COLD_GATES["sequence"]], weight["sequence"])
    alone = {name: weight[name] * value[rows] for name, value in zip(*items.terms, strict=True)}
    values = {
        "sequence": sequence.gather(1, rows) * by_item + alone["item_mean"],
        "popularity": share.log() * weight["popularity"],
        "new": torch.stack([alone[name] for name in NEW]).sum(0),
    }
    return values if searched is None else values | {"search": searched.gather(1, rows)}
