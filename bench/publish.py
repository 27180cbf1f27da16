"""Duration of a publish, and of reading a user's list after it: python -m bench.publish [--users 16554 --items 10506].

The run takes some seconds.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bench.table import keep
from models.results import Neighbours, RankedLists
from tasks.event_types import EVENT_WEIGHTS
from tasks.lake import Lake, LakeConfig, current_snapshot, locate, migrate, reading
from tasks.publish.night import publish_night
from tasks.publish.publication import Content, Provenance

N_RANKS, N_NEAR, N_QUERIES = 100, 50, 200
QUERY = "select * from recs.recommendations where user_id = ? order by rank"


def random_lists(generator: np.random.Generator, user_ids: Sequence[str], n_items: int) -> RankedLists:
    """Lists of random items, in the shape of the lists of a night."""
    shape = len(user_ids), N_RANKS
    score = -np.sort(generator.random(shape, dtype=np.float32), axis=1)
    return RankedLists(tuple(user_ids), generator.integers(0, n_items, shape), score, np.exp(score), generator.integers(-1, n_items, shape))


def measure_publish(lake: Lake, n_users: int, n_items: int, version: int) -> float:
    """Seconds of one publish, the transaction's commit included."""
    generator = np.random.default_rng(version)
    near = Neighbours(generator.integers(0, n_items, (n_items, N_NEAR)), generator.random((n_items, N_NEAR), dtype=np.float32))
    with reading(lake) as con:
        snapshot = current_snapshot(con)
    origin = Provenance(str(version), "0" * 32, f"flow-{version}", snapshot, datetime.now(UTC).replace(tzinfo=None))
    lists = random_lists(generator, [str(user) for user in range(n_users)], n_items)
    items = [f"{item:07d}" for item in range(n_items)]
    content = Content(items, lists, random_lists(generator, ["*"], n_items), near, max_events=100, provenance=origin)
    return publish_night(lake, content, EVENT_WEIGHTS).seconds


def measure_queries(lake: Lake, n_users: int) -> list[float]:
    """Milliseconds of point queries on a warm read-only connection."""
    taken = []
    with reading(lake) as con:
        for user in np.random.default_rng(0).integers(0, n_users, N_QUERIES + 5):
            started = time.perf_counter()
            found = con.execute(QUERY, [str(user)]).fetchall()
            taken.append(1000 * (time.perf_counter() - started))
            assert len(found) == N_RANKS
    return taken[5:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=16_554)
    parser.add_argument("--items", type=int, default=10_506)
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        lake = locate(LakeConfig(), Path(folder))
        migrate(lake)
        for version, name in enumerate(("first", "replaced"), start=1):
            seconds = measure_publish(lake, given.users, given.items, version)
            p50, p95 = np.percentile(measure_queries(lake, given.users), [50, 95])
            written = sum(path.stat().st_size for path in Path(lake.data_path).rglob("*.parquet"))
            rows.append(
                {
                    "run": name,
                    "rows": given.users * N_RANKS,
                    "seconds": seconds,
                    "query_p50_ms": round(float(p50), 1),
                    "query_p95_ms": round(float(p95), 1),
                    "parquet_mib": round(written / 2**20, 1),
                    "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)),
                }
            )
    keep("publish", rows)


if __name__ == "__main__":
    main()
