"""A trained sequence model, with what ranking needs to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from models.sequence.recommender import Recommender

LIST_DELAY_S = 60
"""How old a list usually is when a user looks at it: a minute's work."""


@dataclass(frozen=True)
class Weights:
    """A trained sequence model and what the blend needs to know of it: mean user vector, items it never saw in training."""

    model: Recommender
    mean_vector: Tensor
    is_cold: Tensor

    def item_vectors(self) -> Tensor:
        """C, float32 [items, dim] on the CPU; worked out once, as weights do not change."""
        return self._item_vectors

    @cached_property
    @torch.inference_mode()
    def _item_vectors(self) -> Tensor:
        self.model.eval()
        return self.model.items().float().cpu()
