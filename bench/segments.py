"""NDCG@10 by segment, compared with the best baseline of that segment, on six data sets: python -m bench.segments [--only food ...].

A fixed number of epochs makes the figures independent of how fast the machine is. Rows whose whole interval is below zero are marked.
Columns known and best_known: NDCG@10 with the previous event known, of the model and of the best baseline.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch

from bench.peers.__main__ import DATA, ITEMS
from bench.table import keep, there
from models.config import EncoderConfig, EvaluationConfig, RecommenderConfig, TrainConfig
from models.evaluation.baselines import BASELINES
from models.metrics.segments import SEGMENTS
from tasks.config import IngestConfig
from tasks.ingest.sources import ColumnMapping
from tasks.offline.backtest import BacktestSettings, backtest
from tasks.offline.files import Files

SETS = {**DATA, "food": ("temporal", "interactions.parquet", "items.parquet", ColumnMapping())}
LONG = 600.0
"""A time limit in minutes that no data set reaches."""


def measure(name: str, folder: Path, epochs: int, minutes: float, seed: int) -> list[dict[str, object]]:
    """One row per segment and metric of the temporal protocol."""
    _, events, items, mapping = SETS[name]
    files = Files(str(folder / name / events), str(folder / name / items) if items else None, mapping, ITEMS.get(name, ColumnMapping()))
    recipe = BacktestSettings(
        *(IngestConfig(), EncoderConfig(), RecommenderConfig(), TrainConfig(max_epochs=epochs, minutes=minutes), EvaluationConfig()),
        seed=seed,
        threads=torch.get_num_threads(),
    )
    found = backtest(files, "temporal", ("minutehand", *BASELINES), recipe)
    rows = []
    for segment, one in found["segment_differences"].items():
        model, best = (_of(found["models"][each], segment) for each in ("minutehand", one["best_baseline"]))
        known = {each: _of(found["models"][each], segment)["ndcg_at_10"] for each in ("minutehand", *BASELINES)}
        rows.append(
            {
                "data": name,
                "segment": segment,
                "metric": one["metric"],
                "n_events": one["n_events"],
                "minutehand": round(model[one["metric"]], 4),
                "best": round(best[one["metric"]], 4),
                "baseline": one["best_baseline"],
                "low": round(one["low"], 4),
                "high": round(one["high"], 4),
                "is_below": one["high"] < 0,
                "known": round(known.pop("minutehand"), 4),
                "best_known": round(max(known.values()), 4),
            }
        )
    return rows


def _of(model: dict[str, Any], segment: str) -> dict[str, Any]:
    """The figures of one segment; the first segment is all events."""
    figures: dict[str, Any] = model if segment == SEGMENTS[0] else model["segments"][segment]
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=LONG, help="processor time of the model; with few, --epochs may not be reached")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parent.parent.parent / "shared" / "data")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    time.monotonic = time.process_time  # the clock of the budget: other work on the machine changes little
    rows: list[dict[str, object]] = []
    for name in there(options.only, options.data):
        found = measure(name, options.data, options.epochs, options.minutes, options.seed)
        print(*found, sep="\n", flush=True)
        rows += found
    keep("segments", rows)


if __name__ == "__main__":
    main()
