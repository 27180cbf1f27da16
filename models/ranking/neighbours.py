"""The nearest items of an item, by cosine."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from models.device import BLOCK_CELLS
from models.events import Ints
from models.results import Neighbours


def neighbours(items: Tensor, is_available: NDArray[np.bool_], k: int, approximate_above: int) -> Neighbours:
    """The k available items nearest to each item by cosine; by HNSW if more than approximate_above are available, else exact.

    Malkov and Yashunin 2018, hierarchical navigable small world graphs. bench/search.py compares the two.
    """
    import faiss  # imported here, because the registered model does not need it

    vectors = F.normalize(items, dim=1).numpy()
    rows = np.flatnonzero(is_available)
    k = min(k, len(vectors) - 1)
    if not len(rows) or k < 1:
        return Neighbours(np.full((len(vectors), max(k, 0)), -1), np.zeros((len(vectors), max(k, 0)), np.float32))
    index: faiss.Index = faiss.IndexFlatIP(vectors.shape[1])
    if len(rows) > approximate_above:
        index = graph = faiss.IndexHNSWFlat(vectors.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efSearch = max(2 * k, 64)
    index.add(vectors[rows])
    similarity, place = index.search(vectors, k + 1)
    item = np.where(place >= 0, rows[np.maximum(place, 0)], -1)
    is_out = (item < 0) | (item == np.arange(len(vectors))[:, None])
    order = np.argsort(is_out, axis=1, kind="stable")[:, :k]
    item, similarity, is_out = (np.take_along_axis(table, order, 1) for table in (item, similarity, is_out))
    return Neighbours(np.where(is_out, -1, item), np.where(is_out, 0, similarity).astype(np.float32))


def neighbours_of(items: Tensor, rows: Ints, is_available: NDArray[np.bool_], k: int) -> Neighbours:
    """The k available items nearest to the given item rows by cosine; exact search in blocks, for few new items."""
    unit = F.normalize(items, dim=1)
    block, k = max(BLOCK_CELLS // max(len(unit), 1), 1), min(k, len(unit))
    item, similarity = np.full((len(rows), k), -1), np.zeros((len(rows), k), np.float32)
    for first in range(0, len(rows), block):
        part = torch.from_numpy(rows[first : first + block])
        alike = unit[part] @ unit.T
        alike[:, torch.from_numpy(~is_available)] = -torch.inf
        alike[torch.arange(len(part)), part] = -torch.inf
        best = alike.topk(k, 1)
        is_out = best.values.isinf()
        item[first : first + block] = torch.where(is_out, -1, best.indices).numpy()
        similarity[first : first + block] = best.values.masked_fill(is_out, 0.0).numpy()
    return Neighbours(item, similarity)
