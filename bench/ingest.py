"""Time and memory of the ingest of a large CSV: python -m bench.ingest [--rows 1000000].

A million rows take a quarter of a minute: they are written, ingested, and ingested again.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from bench.table import keep
from tasks.config import IngestConfig
from tasks.ingest.ingestion import Summary, ingest
from tasks.ingest.sources import ColumnMapping
from tasks.lake import LakeConfig, locate, migrate, quote, statement

MAPPING = ColumnMapping(columns={"user_id": "userId", "item_id": "movieId"}, constants={"event_type": "rating"})


def write_csv(path: Path, n_rows: int) -> None:
    """A CSV in the shape of MovieLens: userId, movieId, rating, timestamp."""
    with duckdb.connect() as con:
        con.execute("set variable n_rows = $n", {"n": n_rows})
        con.execute(statement("bench/ratings"))
        con.execute(f"copy ratings to {quote(str(path))} (header)")


def measure(home: Path, file: Path) -> list[tuple[str, Summary]]:
    """The first ingest of a file, and the second, which is a no-op."""
    lake = locate(LakeConfig(), home)
    migrate(lake)
    return [(name, ingest(lake, "events", [str(file)], MAPPING, IngestConfig())) for name in ("first", "again")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    n_rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ratings.csv"
        write_csv(file, n_rows)
        megabytes = file.stat().st_size / 2**20
        started = time.monotonic()
        runs = measure(Path(folder) / "home", file)
        seconds = time.monotonic() - started
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    rows = [
        {
            "run": name,
            "rows": summary.read,
            "new": summary.new,
            "csv_mb": round(megabytes, 1),
            "seconds": summary.seconds,
            "rows_per_second": round(summary.read / summary.seconds),
            "peak_mb": round(peak_mb),
        }
        for name, summary in runs
    ]
    keep("ingest", rows)
    print(f"{seconds:.1f} s in all")


if __name__ == "__main__":
    main()
