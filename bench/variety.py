"""What variety costs and brings, by dial and method: python -m bench.variety [--only shop] [--epochs 3].

Test events of the night's own split, from lists a minute old, with the methods of models.ranking.variety.
distance: mean over users of the mean cosine distance of the items of their top tens. coverage: share of the catalogue in any top ten.
novelty: mean -log2 of the share of all earlier events that a listed item has. kept: NDCG@10 relative to that without variety, with its 95 %
interval. us: processor time of the selection, in microseconds per list. chosen: the dial that a night would choose on validation.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.sources import SET, fill
from bench.table import keep, there
from models.config import EncoderConfig, EvaluationConfig, RecommenderConfig, TrainConfig
from models.evaluation.variety_choice import MAX_EVENTS, Pools, choose_dial
from models.events import sample
from models.metrics.intervals import bootstrap_interval
from models.ranking.variety import PRICE, Pick, Places, cosines, pick_dispersed
from tasks.config import IngestConfig
from tasks.encoding import encode_changed_items
from tasks.lake import LakeConfig, locate, migrate, newest_snapshot
from tasks.night.dataset import load_dataset
from tasks.night.learning import FittedNight, learn

DIALS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)
MAX_ROWS = 10_000
N_TOP = 10
LEAST_VARIANCE = 1e-6


def pick_mmr(log_p: Tensor, vectors: Tensor, variety: float, n: int) -> Tensor:
    """Maximal marginal relevance, Carbonell and Goldstein 1998: less the greatest cosine with an item above, times N_TOP."""
    places, probability, closest = Places.of(log_p, n), log_p.exp(), torch.full_like(log_p, -1)
    for step in range(n):
        chosen = places.take(step, (1 - variety) * probability - variety * PRICE * N_TOP * closest)
        closest = torch.maximum(closest, cosines(vectors, chosen))
    return places.order


def pick_dpp(log_p: Tensor, vectors: Tensor, variety: float, n: int, *, by_probability: bool = True) -> Tensor:
    """Determinantal point process, Chen et al. 2018, "Fast Greedy MAP Inference": plus the log of the squared distance from the span of
    those above, times N_TOP; the kernel is (1 + cosine) / 2. by_probability: otherwise by log probability, as is usual.
    """
    places, variance, parts = Places.of(log_p, n), torch.ones_like(log_p), log_p.new_zeros(*log_p.shape, n)
    relevance = log_p.exp() / PRICE / N_TOP if by_probability else log_p
    for step in range(n):
        chosen = places.take(step, (1 - variety) * relevance + variety * variance.log())
        before = parts.gather(1, chosen[:, None, None].expand(-1, 1, n))
        left = variance.gather(1, chosen[:, None])
        parts[:, :, step] = ((1 + cosines(vectors, chosen)) / 2 - (parts @ before.mT)[..., 0]) / left.sqrt()
        variance = (variance - parts[:, :, step].square()).clamp_min(LEAST_VARIANCE)
    return places.order


METHODS: dict[str, Pick] = {
    "dispersion": pick_dispersed,
    "mmr": pick_mmr,
    "dpp": pick_dpp,
    "dpp of logs": partial(pick_dpp, by_probability=False),
}


def night(name: str, folder: Path, minutes: float, epochs: int, seed: int) -> FittedNight:
    """A model of one data set, trained before the hold-out."""
    with tempfile.TemporaryDirectory() as home:
        lake = locate(LakeConfig(), Path(home))
        migrate(lake)
        fill(lake, name, folder, Path(home), seed)
        key = encode_changed_items(lake, EncoderConfig(), progress=False).encoder
        data = load_dataset(lake, newest_snapshot(lake), IngestConfig().event_weights, key)
        return learn(data, RecommenderConfig(), TrainConfig(max_epochs=epochs, minutes=minutes), EvaluationConfig(), seed)


def measure(name: str, learnt: FittedNight, seed: int) -> list[dict[str, object]]:
    """A row for each method and dial."""
    task, fit = learnt.task, learnt.fit
    known = np.bincount(task.train.item, minlength=task.evaluator.events.n_items) + 1
    surprise, vectors = -np.log2(known / known.sum()), fit.weights.item_vectors()
    pools, validation = (
        Pools.of(task.evaluator, fit.weights, fit.blend, sample(rows, n, seed))
        for rows, n in ((task.test, MAX_ROWS), (task.validation, MAX_EVENTS))
    )
    plain, rows = pools.tops(vectors, 0.0), list[dict[str, object]]()
    for method, pick in METHODS.items():
        chosen = choose_dial(validation, vectors, pick)
        for dial in DIALS:
            started = time.process_time()
            tops = pools.tops(vectors, dial, pick)
            spent = time.process_time() - started
            low, high = (1 + each / plain.ndcg.mean() for each in bootstrap_interval(tops.ndcg - plain.ndcg, pools.user, 500, seed))
            rows.append(
                {
                    "data": name,
                    "method": method,
                    "dial": dial,
                    "ndcg_at_10": round(float(tops.ndcg.mean()), 4),
                    "kept": f"{low:.3f} to {high:.3f}",
                    "distance": round(pools.distance(tops), 4),
                    "coverage": round(len(np.unique(tops.item[tops.item >= 0])) / len(known), 3),
                    "novelty": round(float(surprise[tops.item[tops.item >= 0]].mean()), 2),
                    "us": round(spent / len(pools.user) * 1e6),
                    "chosen": chosen,
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", nargs="+", choices=["shop", SET], default=["shop", SET])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--epochs", type=int, default=12, help="3 is a short run")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    names = [name for name in given.only if name == "shop" or there([name], given.data)]
    keep(
        "variety",
        [row for name in names for row in measure(name, night(name, given.data, given.minutes, given.epochs, given.seed), given.seed)],
    )


if __name__ == "__main__":
    main()
