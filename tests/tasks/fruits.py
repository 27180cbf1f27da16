"""An untrained recommender of five fruits, for tests of the registry."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.config import RecommenderConfig
from models.events import Catalog
from models.ranking.blend import starting_blend
from models.ranking.prior import N_PARAMETERS, Popularity
from models.results import MetricRow
from models.sequence.recommender import Recommender
from models.sequence.weights import Weights
from models.sequence.whitening import Whitening
from models.version import checkpoint as checkpoints
from models.version.checkpoint import Checkpoint

ITEMS = ("apple", "pear", "plum", "fig", "quince")
EXAMPLE: list[dict[str, Any]] = [
    {"item_ids": ["apple", "pear"], "event_types": ["view", "view"], "occurred_at": [datetime(2026, 1, 1), datetime(2026, 1, 2)]},
    {"item_ids": ["fig"], "event_types": ["view"], "occurred_at": [datetime(2026, 1, 3)]},
]
ROWS = [
    MetricRow("minutehand", "all", "ndcg_at_10", 0.12, 100, 0.10, 0.14),
    MetricRow("minutehand", "all", "hr_at_10", 0.2, 100),
    MetricRow("minutehand", "all", "coverage_at_10", 0.5, 100),
    MetricRow("minutehand", "all", "ndcg_at_10_lift", 0.04, 100, 0.01, 0.07),
    MetricRow("minutehand", "warm user x cold item", "ndcg_at_10", 0.03, 9),
    MetricRow("minutehand", "warm user x cold item", "hr_at_10", 0.05, 9),
    MetricRow("minutehand", "cold user x cold item", "ndcg_at_10", None, 0),
    MetricRow("champion", "all", "ndcg_at_10", 0.11, 100),
    MetricRow("item_knn", "all", "ndcg_at_10", 0.08, 100),
    MetricRow("most_popular", "all", "ndcg_at_10", 0.05, 100),
]


def save_checkpoint(folder: Path, seed: int = 7) -> Path:
    """Save the recommender; a different seed gives a different model."""
    config = RecommenderConfig(dim=8, n_blocks=1, n_heads=2, max_events=4)
    text = np.eye(len(ITEMS), 8, dtype=np.float32)

    def weights() -> Weights:
        model = Recommender(config, torch.from_numpy(text), 1, torch.Generator().manual_seed(seed))
        return Weights(model, torch.zeros(8), torch.zeros(len(ITEMS)))

    checkpoints.save(
        Checkpoint(
            catalog=Catalog(ITEMS, np.ones(len(ITEMS), bool)),
            kinds=("view",),
            encoder="none",
            hide_seen=True,
            as_of=1_767_225_600,
            popularity=Popularity(len(ITEMS)).features(),
            blend=starting_blend(np.array([0, 1], np.float32)),
            prior=np.zeros(N_PARAMETERS, np.float32),
            whitening=Whitening(np.zeros(8, np.float32), np.eye(8, dtype=np.float32)),
            live=weights(),
            past=weights(),
        ),
        folder,
    )
    return folder
