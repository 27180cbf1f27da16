"""Whitening of text vectors: the few directions that all texts share would otherwise dominate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.events import Floats


@dataclass(frozen=True)
class Whitening:
    """A centre [text_dim] and a projection [text_dim, dim]; fitted once, applied to every later text."""

    centre: Floats
    projection: Floats

    @staticmethod
    def fit(text: Floats, dim: int, fit_on: NDArray[np.bool_], shrinkage: float = 0.1) -> Whitening:
        """The `dim` strongest directions of the rows of `fit_on` that have text, each scaled by its shrunk deviation.

        If there are fewer than two such rows, the fit uses all rows with text.
        """
        has_text = np.abs(text).sum(1) > 0
        known = has_text & fit_on if (has_text & fit_on).sum() > 1 else has_text
        projection = np.zeros((text.shape[1], dim), np.float32)
        if known.sum() < 2:
            return Whitening(np.zeros(text.shape[1], np.float32), projection)
        variance, directions = np.linalg.eigh(np.cov(text[known].astype(np.float64), rowvar=False))
        keep = np.argsort(variance)[::-1][: min(dim, text.shape[1])]
        scale = 1 / np.sqrt(np.maximum(variance[keep], 0) + shrinkage * max(variance[keep].mean(), 0) + 1e-12)
        projection[:, : len(keep)] = directions[:, keep] * scale
        return Whitening(text[known].mean(0), projection)

    def apply(self, text: Floats) -> Floats:
        """Unit rows [items, dim]; rows without text are zero."""
        has_text = np.abs(text).sum(1, keepdims=True) > 0
        projected = np.where(has_text, (text - self.centre) @ self.projection, 0.0)
        return (projected / np.linalg.norm(projected, axis=1, keepdims=True).clip(1e-6)).astype(np.float32)
