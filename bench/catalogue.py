"""Training steps on all items or on a sample, by catalogue size: python -m bench.catalogue [--items 5 41 100] [--minutes 4].

Each catalogue consists of the most reviewed recipes of food; larger catalogues are several copies of food with distinct users and items.
A row gives the automatic choice, and the NDCG@10 of the choice and of each alternative in the same minutes. Minutes are processor
time, so that other work on the machine has little effect.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import polars as pl
import torch

from bench.table import keep, there
from models.config import EncoderConfig, EvaluationConfig, RecommenderConfig, TrainConfig
from models.evaluation.protocols import make_task
from models.training import training
from tasks.config import IngestConfig
from tasks.ingest.sources import ColumnMapping
from tasks.offline.backtest import BacktestSettings, rank_learner
from tasks.offline.files import Files, load

WAYS = {"all items": 0.0, "a sample": float("inf")}
"""Values of training.ENOUGH_EPOCHS that force either alternative, whatever the time limit."""


def cut(folder: Path, n_items: int, to: Path) -> None:
    """Write the events and descriptions of n_items items."""
    events, items = pl.read_parquet(folder / "interactions.parquet"), pl.read_parquet(folder / "items.parquet")
    n_copies = -(-n_items // events["item_id"].n_unique())

    def copied(rows: pl.DataFrame, *ids: str) -> pl.DataFrame:
        parts = (rows.with_columns(pl.concat_str(pl.lit(f"{n}-"), pl.col(name)).alias(name) for name in ids) for n in range(n_copies))
        return pl.concat(parts)

    events = copied(events, "user_id", "item_id")
    most = events.group_by("item_id").len().sort("len", "item_id", descending=[True, False]).head(n_items)
    events.join(most.select("item_id"), on="item_id", how="semi").write_parquet(to / "interactions.parquet")
    copied(items, "item_id").join(most.select("item_id"), on="item_id", how="semi").write_parquet(to / "items.parquet")


def measure(folder: Path, n_items: int, minutes: float, threads: int, seed: int) -> dict[str, object]:
    """Result row of one catalogue."""
    train, evaluation = TrainConfig(minutes=minutes), EvaluationConfig(max_events=20_000)
    recipe = BacktestSettings(IngestConfig(), EncoderConfig(), RecommenderConfig(), train, evaluation, seed=seed, threads=threads)
    with tempfile.TemporaryDirectory(prefix="minutehand-bench-") as name:
        cut(folder, n_items, Path(name))
        files = Files(f"{name}/interactions.parquet", f"{name}/items.parquet", ColumnMapping(), ColumnMapping())
        data = load(files, recipe.ingest, encoder=recipe.encoder, threads=threads).dataset
    task = make_task("temporal", data.events, evaluation, seed)
    row: dict[str, object] = {"items": data.events.n_items, "events": len(data.events)}
    ours = training.ENOUGH_EPOCHS
    for way, enough in {"choice": ours, **WAYS}.items():
        training.ENOUGH_EPOCHS = enough
        ranking, details = rank_learner(task, data.text, recipe, time.monotonic() + minutes * 60)
        row |= {way: round(float(ranking.ndcg_at_10.mean()), 4), f"epochs, {way}"[:15]: details["epochs"]}
    training.ENOUGH_EPOCHS = ours
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", nargs="*", type=float, default=[5, 10, 20, 41, 100], help="thousands")
    parser.add_argument("--minutes", type=float, default=4.0, help="of each model, scoring included, the encoding of texts not")
    parser.add_argument("--threads", type=int, default=1, help="the processor time of several threads adds up")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parent.parent.parent / "shared" / "data")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    time.monotonic = time.process_time  # the clock of every budget in this process
    rows = []
    for name in there(["food"], options.data):
        for thousands in options.items:
            rows.append(measure(options.data / name, int(thousands * 1000), options.minutes, options.threads, options.seed))
            print(rows[-1], flush=True)
    keep("catalogue", rows)


if __name__ == "__main__":
    main()
