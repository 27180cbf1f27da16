"""Time and memory of all measures of whole lists, with bootstrap intervals: python -m bench.metrics [--lists 1000000].

Random top tens over a catalogue with texts of 384 dimensions and 300 interests; 20 earlier events and 3 chosen items a user. accuracy
includes serendipity, novelty freshness, and exposure coverage, Gini and the Lorenz curve. cpu_s: processor time; peak_mib includes the
inputs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from scipy.sparse import csr_matrix

from bench.table import keep
from models.metrics.accuracy import Hits
from models.metrics.calibration import calibrate, item_interests
from models.metrics.diversity import intra_list_distance
from models.metrics.exposure import coverage, exposure, gini, lorenz
from models.metrics.groups import thirds
from models.metrics.intervals import bootstrap_means
from models.metrics.novelty import age_days, novelty, popularity_rank, serendipity
from tasks.process import peak_memory

K, N_HISTORY, N_CHOSEN, N_INTERESTS, N_DIM, YEAR_S = 10, 20, 3, 300, 384, 365 * 24 * 3600


def measure(n_lists: int, n_items: int, n_resamples: int, seed: int) -> list[dict[str, object]]:
    """A row for each part, and one for the whole."""
    rng = np.random.default_rng(seed)
    top = rng.integers(0, n_items, (n_lists, K))
    number, item = np.repeat(np.arange(n_lists), N_CHOSEN), rng.integers(0, n_items, n_lists * N_CHOSEN)
    item[::2] = top[number[::2], 0]
    before = np.minimum(
        rng.geometric(
            20 / n_items,
            n_lists * N_HISTORY,
        )
        - 1,
        n_items - 1,
    ).astype(np.int32)
    history = csr_matrix((np.ones(len(before), np.float32), before, np.arange(n_lists + 1) * N_HISTORY), shape=(n_lists, n_items))
    n_events = np.bincount(before, minlength=n_items)
    vectors = rng.normal(size=(n_items, N_DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    interest = rng.integers(0, N_INTERESTS, (n_items, 4))
    shares = csr_matrix((np.ones(4 * n_items, np.float32), interest.ravel(), np.arange(n_items + 1) * 4), shape=(n_items, N_INTERESTS))
    now, first = rng.integers(YEAR_S, 2 * YEAR_S, n_lists), rng.integers(0, YEAR_S, n_items)
    values, rows = list[np.ndarray](), list[dict[str, object]]()

    with peak_memory() as peak_mib:
        began, cpu_before = time.monotonic(), time.process_time()

        def part(name: str, run: Callable[[], list[np.ndarray]]) -> None:
            since, cpu = time.monotonic(), time.process_time()
            values.extend(run())
            rows.append(_row(name, time.monotonic() - since, time.process_time() - cpu, peak_mib()))

        def accuracy() -> list[np.ndarray]:
            hits = Hits.of(top, number, item, n_items)
            by_rank = [hits.mrr(), hits.average_precision(), hits.ndcg()]
            return [hits.hit_rate(), hits.recall(), hits.precision(), *by_rank, serendipity(hits, top, popularity_rank(n_events))]

        def of_items() -> list[np.ndarray]:
            count = exposure(top, n_items)
            lorenz(count), gini(count), coverage(count)
            return []

        part("accuracy", accuracy)
        part("novelty", lambda: [novelty(top, n_events, n_lists), age_days(top, now, first)])
        part("distance", lambda: [intra_list_distance(top, vectors)])
        part("calibration", lambda: [calibrate(history, top, item_interests(shares)).divergence])
        part("exposure", of_items)
        columns = np.stack(values, 1)
        groups = thirds("activity", ("low", "medium", "high"), now)
        part("groups", lambda: [columns[mask].mean(0) for mask in groups.values()][:0])
        part("intervals", lambda: list(bootstrap_means(columns, n_resamples, seed))[:0])
        rows.append(_row("all", time.monotonic() - began, time.process_time() - cpu_before, peak_mib()))
    return rows


def _row(part: str, seconds: float, cpu_s: float, peak_mib: float) -> dict[str, object]:
    return {"part": part, "seconds": round(seconds, 1), "cpu_s": round(cpu_s, 1), "peak_mib": round(peak_mib)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lists", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows = measure(given.lists, given.items, given.resamples, given.seed)
    keep("metrics", [{"lists": given.lists, **row} for row in rows])


if __name__ == "__main__":
    main()
