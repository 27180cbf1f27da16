"""Refuses a model version with numbers that are not finite, before it is written."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import torch

from models.errors import UserError
from models.ranking.blend import Blend

if TYPE_CHECKING:
    from models.version.checkpoint import Checkpoint


class NotFiniteError(UserError):
    """The model contains NaN or infinity; it must not go live."""


def demand_finite(checkpoint: Checkpoint) -> None:
    """Raises NotFiniteError if a weight or another number that affects scores is NaN or infinite."""
    blend = {f"blend.{field.name}": torch.from_numpy(getattr(checkpoint.blend, field.name)) for field in fields(Blend)}
    arrays = {**blend, "popularity": torch.from_numpy(checkpoint.popularity), "prior": torch.from_numpy(checkpoint.prior)}
    for name, weights in (("live", checkpoint.live), ("past", checkpoint.past)):
        if weights is not None:
            tensors = {**weights.model.state_dict(), "mean_vector": weights.mean_vector}
            arrays |= {f"{name}.{key}": value for key, value in tensors.items()}
    if checkpoint.layer is not None:
        arrays |= {f"new_items.{key}": torch.from_numpy(value) for key, value in checkpoint.layer.arrays().items()}
    if checkpoint.words is not None:
        arrays |= {f"words.{key}": value for key, value in checkpoint.words.tensors().items()}
    if checkpoint.interests is not None:
        arrays |= {f"interests.{key}": value for key, value in checkpoint.interests.tensors().items()}
    if checkpoint.capture is not None:
        arrays |= {f"capture.{key}": value for key, value in checkpoint.capture.tensors().items()}
    broken = [name for name, value in arrays.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        found = f"{', '.join(broken[:3])}{', ...' if len(broken) > 3 else ''}"
        raise NotFiniteError(
            f"the model has numbers that are not finite ({found}), so it is neither kept nor published; lower "
            "MINUTEHAND_TRAIN__LEARNING_RATE, or look for events with odd weights or times, and run it again"
        )
