"""A first night on real data, through the commands a user would type: python -m bench.nightly [DATASET ...].

Data sets are read from ../shared/data (or --data); each gets a separate home folder, which is deleted afterwards.
A night trains for at most twice the training budget of six minutes, and also encodes and publishes; it takes three minutes on
movietweetings.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.table import there

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).parent / "results" / "nightly.json"
INGEST = {
    "movietweetings": ["events {data}/interactions.parquet --event-type rating", "items {data}/items.parquet --split |"],
    "online-retail": [
        "events {data}/onlineretail.parquet --map user_id=CustomerID --map item_id=StockCode --map occurred_at=InvoiceDate "
        "--map value=Quantity --event-type purchase",
        "items {data}/onlineretail.parquet --map item_id=StockCode --map title=Description --map price=UnitPrice",
    ],
    "yoochoose-clicks": ["events {data}/interactions.parquet --event-type click"],
    "movielens-1m": ["events {data}/interactions.parquet --event-type rating", "items {data}/items.parquet --split |"],
}


def minutehand(home: Path, *arguments: str) -> str:
    """Run one command in a home folder; its standard output."""
    command = [str(Path(sys.executable).parent / "minutehand"), *arguments]
    done = subprocess.run(command, env={**os.environ, "MINUTEHAND_HOME": str(home)}, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def measure(name: str, data: Path) -> list[dict[str, object]]:
    """The hold-out table of a first night on one data set, with its cost on the rows of `minutehand`."""
    with tempfile.TemporaryDirectory(prefix="minutehand-bench-") as folder:
        home = Path(folder)
        for line in INGEST[name]:
            minutehand(home, "ingest", *(word.format(data=data / name) for word in line.split()))
        started = time.monotonic()
        minutehand(home, "nightly")
        seconds = round(time.monotonic() - started)
        query = "select model, segment, metric, value, low, high, n_events from eval.offline order by all"
        rows = json.loads(minutehand(home, "sql", query, "--json"))
    peak_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    return [{"data": name, **row, "nightly_seconds": seconds, "peak_mib_so_far": peak_mib} for row in rows]


def show(rows: list[dict[str, object]]) -> None:
    """NDCG@10 by model and segment, of lists as served and with the previous event known, and the differences to the best baseline."""
    segments = list(dict.fromkeys(str(row["segment"]) for row in rows))
    for metric in ("ndcg_at_10_served", "ndcg_at_10"):
        print(f"| {metric} | " + " | ".join(segments) + " |\n" + "| --- " * (len(segments) + 1) + "|")
        for model in dict.fromkeys(row["model"] for row in rows):
            value = {row["segment"]: row["value"] for row in rows if row["model"] == model and row["metric"] == metric}
            print(f"| {model} | " + " | ".join("" if value.get(name) is None else f"{value[name]:.4f}" for name in segments) + " |")
        for row in rows:
            if row["metric"] == f"{metric}_lift":
                print(f"difference to the best baseline {row['value']:+.4f}, 95 % interval {row['low']:+.4f} to {row['high']:+.4f}\n")
    print(f"nightly took {rows[0]['nightly_seconds']} s; peak memory so far {rows[0]['peak_mib_so_far']} MiB\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", nargs="*", default=list(INGEST), metavar="DATASET", help=", ".join(INGEST))
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    options = parser.parse_args()
    measured: list[dict[str, object]] = []
    for name in there(options.datasets, options.data):
        print(f"== {name}", flush=True)
        rows = measure(name, options.data)
        show(rows)
        measured += rows
    if not measured:
        print("nothing was measured")
        return
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(measured, indent=2), encoding="utf-8")
    print(f"written to {RESULTS}")


if __name__ == "__main__":
    main()
