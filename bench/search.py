"""Exact and approximate search of neighbours, by catalogue size: python -m bench.search [--sizes 10000 30000 100000].

Torch in blocks, faiss IndexFlatIP (used up to MINUTEHAND_PUBLISH__APPROXIMATE_ABOVE items) and faiss HNSW (used above),
for the 50 nearest of 10,000 items; the time of HNSW includes building the index. The vectors are clustered, like those of items.
The run takes about a minute.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import faiss
import numpy as np
import torch

from bench.table import keep
from models.events import Floats

N_QUERIES, N_NEIGHBOURS, DIM = 10_000, 50, 128
BLOCK_CELLS = 10_000_000


def vectors(n_items: int) -> Floats:
    """Unit vectors around one centre for every fifty items."""
    rng = np.random.default_rng(7)
    centres = rng.normal(size=(max(n_items // 50, 1), DIM))
    drawn = centres[rng.integers(0, len(centres), n_items)] + 0.7 * rng.normal(size=(n_items, DIM))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def by_torch(items: Floats) -> np.ndarray:
    table = torch.from_numpy(items)
    block = max(BLOCK_CELLS // len(items), 1)
    parts = [(table[at : min(at + block, N_QUERIES)] @ table.T).topk(N_NEIGHBOURS, 1).indices for at in range(0, N_QUERIES, block)]
    return torch.cat(parts).numpy()


def by_flat(items: Floats) -> np.ndarray:
    index = faiss.IndexFlatIP(DIM)
    index.add(items)
    return index.search(items[:N_QUERIES], N_NEIGHBOURS)[1]


def by_hnsw(items: Floats) -> np.ndarray:
    index = faiss.IndexHNSWFlat(DIM, 32, faiss.METRIC_INNER_PRODUCT)
    index.add(items)
    index.hnsw.efSearch = 2 * N_NEIGHBOURS
    return index.search(items[:N_QUERIES], N_NEIGHBOURS)[1]


def timed(search: Callable[[Floats], np.ndarray], items: Floats) -> tuple[np.ndarray, float]:
    started = time.perf_counter()
    return search(items), time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 30_000, 100_000])
    rows = []
    for n_items in parser.parse_args().sizes:
        items = vectors(n_items)
        exact, torch_s = timed(by_torch, items)
        _, flat_s = timed(by_flat, items)
        found, hnsw_s = timed(by_hnsw, items)
        recall = float(np.mean([len(np.intersect1d(a, b)) / N_NEIGHBOURS for a, b in zip(exact[:1000], found[:1000], strict=True)]))
        seconds = {"torch_s": round(torch_s, 2), "flat_s": round(flat_s, 2), "hnsw_s": round(hnsw_s, 2)}
        rows.append({"items": n_items, **seconds, "hnsw_recall": round(recall, 3)})
    keep("search", rows)


if __name__ == "__main__":
    main()
