"""A trained sequence model with the data that ranking needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from models.sequence.recommender import Recommender

LIST_DELAY_S = 60
"""Usual age in seconds of a list when a user looks at it: the duration of a minute run."""
BLOCK_ITEMS = 16_384
"""The vectors of so many items are computed at once: the intermediate values take several times as much memory as the vectors."""


@dataclass(frozen=True)
class Weights:
    """A trained sequence model, its mean user vector, and a mask of the items without training events."""

    model: Recommender
    mean_vector: Tensor
    is_cold: Tensor

    def item_vectors(self) -> Tensor:
        """C, float32 [items, dim] on the CPU; computed once, as weights do not change."""
        return self._item_vectors

    @cached_property
    @torch.inference_mode()
    def _item_vectors(self) -> Tensor:
        self.model.eval()
        text = self.model.items.text
        blocks = torch.arange(len(text), device=text.device).split(BLOCK_ITEMS)
        return self.model.items().float().cpu() if len(blocks) < 2 else torch.cat([self.model.items(rows).float().cpu() for rows in blocks])
