"""Our metrics and RecTools' of the same random lists, list by list: python -m bench.peers.metrics --peers-python PYTHON.

RecTools has neither Gini, calibration nor freshness. `make bench-peers` creates the environment of RecTools. difference: the largest of all
lists; above the tolerance, the run fails.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.table import keep
from models.events import Events
from models.metrics.accuracy import Hits
from models.metrics.diversity import intra_list_distance
from models.metrics.exposure import coverage, exposure
from models.metrics.novelty import novelty, popularity_rank, serendipity, users_of_items

SCRIPT = Path(__file__).with_name("rectools_metrics.py")
TOLERANCE = 1e-5


def random_lists(n_lists: int, n_items: int, k: int, seed: int) -> dict[str, Any]:
    """Lists without repeats, every tenth shorter; chosen items, half of them from the list; earlier events with a few popular items."""
    rng = np.random.default_rng(seed)
    top = np.argsort(rng.random((n_lists, n_items)), 1)[:, :k]
    length = np.where(np.arange(n_lists) % 10 == 0, rng.integers(1, k, n_lists), k)
    top[np.arange(k) >= length[:, None]] = -1
    number, n_chosen = np.repeat(np.arange(n_lists), 4), 4 * n_lists
    item = np.where(rng.random(n_chosen) < 0.5, top[number, rng.integers(0, k, n_chosen)], rng.integers(0, n_items, n_chosen))
    is_there = (item >= 0) & (number % 7 > 0)
    pairs = np.unique(np.stack([number[is_there], item[is_there]], 1), axis=0)
    vectors = rng.normal(size=(n_items, 8)).astype(np.float32)
    return {
        "top": top,
        "number": pairs[:, 0],
        "item": pairs[:, 1],
        "past_user": rng.integers(0, n_lists, 9 * n_lists),
        "past_item": np.minimum(rng.geometric(0.03, 9 * n_lists) - 1, n_items - 1),
        "vectors": vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
    }


def ours(given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Our metrics by list, and coverage."""
    top, n_items, zeros = given["top"], len(given["vectors"]), np.zeros(len(given["past_user"]), np.int64)
    past = Events.build(
        *(given["past_user"], given["past_item"], zeros, zeros, np.ones(len(zeros), np.float32)), n_items=n_items, n_kinds=1
    )
    hits = Hits.of(top, given["number"], given["item"], n_items)
    rank = popularity_rank(np.bincount(past.item, minlength=n_items))
    return {
        "hit_rate": hits.hit_rate(),
        "recall": hits.recall(),
        "precision": hits.precision(),
        "ndcg": hits.ndcg(),
        "mrr": hits.mrr(),
        "map": hits.average_precision(),
        "novelty": novelty(top, *users_of_items(past)),
        "distance": intra_list_distance(top, given["vectors"]),
        "serendipity": serendipity(hits, top, rank),
        "coverage": np.array(coverage(exposure(top, n_items))),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-python", required=True, help="Python of the environment with RecTools")
    parser.add_argument("--lists", type=int, default=1000)
    parser.add_argument("--items", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    given, rows = random_lists(arguments.lists, arguments.items, 10, arguments.seed), list[dict[str, object]]()
    with tempfile.TemporaryDirectory(prefix="minutehand-peers-") as name:
        np.savez(Path(name) / "lists.npz", **given)
        subprocess.run([arguments.peers_python, str(SCRIPT), name], check=True)
        theirs = dict(np.load(Path(name) / "rectools.npz", allow_pickle=False))
    worst = 0.0
    for metric, value in ours(given).items():
        is_known = np.isfinite(value)
        agree = np.array_equal(is_known, np.isfinite(theirs[metric]))
        largest = float(np.abs(value - theirs[metric])[is_known].max()) if agree else np.inf
        worst = max(worst, largest)
        rows.append(
            {
                "metric": metric,
                "minutehand": round(float(np.nanmean(value)), 6),
                "rectools": round(float(np.nanmean(theirs[metric])), 6),
                "difference": f"{largest:.0e}",
            }
        )
    keep("peers_metrics", rows)
    if worst > TOLERANCE:
        sys.exit(f"error: a metric differs by more than {TOLERANCE:g} from RecTools")


if __name__ == "__main__":
    main()
