"""RecTools' metrics of given lists; runs in an environment with RecTools and without minutehand.

    python bench/peers/rectools_metrics.py FOLDER

FOLDER/lists.npz contains top [lists, k], -1 at the end of a shorter list; pairs of lists and chosen items; earlier events; item vectors.
The results are in FOLDER/rectools.npz: each metric by list, and coverage as one number.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from rectools import Columns  # type: ignore[import-not-found]
from rectools.metrics import (  # type: ignore[import-not-found]
    MAP,
    MRR,
    NDCG,
    CatalogCoverage,
    HitRate,
    IntraListDiversity,
    MeanInvUserFreq,
    PairwiseDistanceCalculator,
    Precision,
    Recall,
    Serendipity,
)


class CosineDistance(PairwiseDistanceCalculator):  # type: ignore[misc]
    """Cosine distance of unit vectors [items, dim]."""

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = vectors

    def _get_distances_for_item_pairs(self, items_0: np.ndarray, items_1: np.ndarray) -> np.ndarray:
        return 1 - (self.vectors[np.asarray(items_0, int)] * self.vectors[np.asarray(items_1, int)]).sum(1)


def main() -> None:
    folder = Path(sys.argv[1])
    given = np.load(folder / "lists.npz", allow_pickle=False)
    top, n_items = given["top"], len(given["vectors"])
    (user, place), k = np.nonzero(top >= 0), top.shape[1]
    lists = pd.DataFrame({Columns.User: user, Columns.Item: top[user, place], Columns.Rank: place + 1})
    chosen = pd.DataFrame({Columns.User: given["number"], Columns.Item: given["item"]})
    before = pd.DataFrame({Columns.User: given["past_user"], Columns.Item: given["past_item"]})
    catalog = np.arange(n_items)
    found = {
        "hit_rate": HitRate(k).calc_per_user(lists, chosen),
        "recall": Recall(k).calc_per_user(lists, chosen),
        "precision": Precision(k).calc_per_user(lists, chosen),
        "ndcg": NDCG(k, divide_by_achievable=True).calc_per_user(lists, chosen),
        "mrr": MRR(k).calc_per_user(lists, chosen),
        "map": MAP(k).calc_per_user(lists, chosen),
        "novelty": MeanInvUserFreq(k).calc_per_user(lists, before),
        "distance": IntraListDiversity(k, CosineDistance(given["vectors"])).calc_per_user(lists),
        "serendipity": Serendipity(k).calc_per_user(lists, chosen, before, catalog),
    }
    by_list = {name: value.reindex(np.arange(len(top))).to_numpy(float) for name, value in found.items()}
    np.savez(folder / "rectools.npz", coverage=CatalogCoverage(k, normalize=True).calc(lists, catalog), **by_list)


if __name__ == "__main__":
    main()
