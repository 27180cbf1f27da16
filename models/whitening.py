"""Text vectors made round: the few directions that all texts share would otherwise drown the rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.dataset import Floats


def whiten(text: Floats, dim: int, fit_on: NDArray[np.bool_], shrinkage: float = 0.1) -> Floats:
    """Project text [items, text_dim] onto its `dim` strongest directions, each scaled by its shrunk deviation; unit rows.

    The directions are found on the rows of `fit_on` that have text (all rows with text where those are fewer than
    two). Rows without text stay zero; missing directions are zero columns.
    """
    out = np.zeros((len(text), dim), np.float32)
    has_text = np.abs(text).sum(1) > 0
    known = has_text & fit_on if (has_text & fit_on).sum() > 1 else has_text
    if known.sum() < 2:
        return out
    mean = text[known].mean(0)
    centred = (text - mean)[has_text].astype(np.float64)
    variance, directions = np.linalg.eigh(np.cov(text[known].astype(np.float64), rowvar=False))
    keep = np.argsort(variance)[::-1][: min(dim, text.shape[1])]
    scale = 1 / np.sqrt(np.maximum(variance[keep], 0) + shrinkage * variance[keep].mean() + 1e-12)
    projected = (centred @ directions[:, keep]) * scale
    projected /= np.linalg.norm(projected, axis=1, keepdims=True).clip(1e-6)
    out[np.flatnonzero(has_text)[:, None], np.arange(len(keep))] = projected
    return out
