"""minutehand compared with RecTools' SASRec and eSASRec; same split, threads and minutes: python -m bench.peers --peers-python PYTHON.

minutehand runs twice: with all of the minutes, and with a quarter of them.
RecTools needs a separate environment, which `make bench-peers` creates. Data sets that are missing in the folder are left out.
Each of the four models uses its minutes on each of the five data sets; with the default of 20 the run takes hours.

events_per_s: training events per second of training, including the choice of the epoch. RecTools uses only the newest events of a
user, up to its session length; padding is not counted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from bench.table import keep, there
from models.device import pick_device
from models.evaluation.protocols import Task, make_task
from models.events import Ints, ragged_rows
from models.metrics.ranking import Ranking
from settings import load as load_settings
from tasks.ingest.sources import ColumnMapping
from tasks.offline.backtest import BacktestSettings, rank_learner
from tasks.offline.files import Files, load
from tasks.process import peak_memory

RETAIL = ColumnMapping(
    {"user_id": "CustomerID", "item_id": "StockCode", "occurred_at": "InvoiceDate", "value": "Quantity"},
    {"event_type": "purchase"},
    predicate='"Quantity" > 0 and "CustomerID" is not null',
)
DATA = {
    "movietweetings": ("temporal", "interactions.parquet", "items.parquet", ColumnMapping(constants={"event_type": "rating"})),
    "online-retail": ("temporal", "onlineretail.parquet", "onlineretail.parquet", RETAIL),
    "yoochoose-clicks": ("temporal", "interactions.parquet", None, ColumnMapping(constants={"event_type": "click"})),
    "p5-beauty": ("leave-one-out", "interactions.parquet", "items.parquet", ColumnMapping()),
    "movielens-1m": ("leave-one-out", "interactions.parquet", "items.parquet", ColumnMapping()),
}
ITEMS = {"online-retail": ColumnMapping({"item_id": "StockCode", "title": "Description"}, predicate='"Description" is not null')}
LENGTH = {"p5-beauty": 50, "movielens-1m": 200}
"""Length of a history for all models, if the papers agree on one."""

PEERS = ("sasrec", "esasrec")
SCRIPT = Path(__file__).with_name("rectools_model.py")


def export(task: Task, length: int, folder: Path) -> None:
    """Write the split for RecTools: each test event with its history is a separate user.

    RecTools chooses its epoch by one event a user: the first one of the validation period.
    """
    events, test = task.evaluator.events, task.test
    number, row = ragged_rows(*task.evaluator.histories(test))
    _, first = np.unique(events.user[task.validation], return_index=True)
    validation = task.validation[first]
    np.savez(
        folder / "split.npz",
        train_user=task.train.user,
        train_item=task.train.item,
        validation_user=events.user[validation],
        validation_item=events.item[validation],
        history_user=number,
        history_item=events.item[row],
        n_test=len(test),
        hide_seen=task.evaluator.hide_seen,
        length=length,
    )


def rank_in(top: Ints, item: Ints) -> Ranking:
    """Ranks from lists of ten; an item that is not on its list is a miss."""
    hit = top == item[:, None]
    return Ranking(np.where(hit.any(1), hit.argmax(1) + 1, np.iinfo(np.int64).max // 2), top)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-python", required=True, help="Python of the environment with RecTools")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--minutes", type=float, default=20.0, help="For each model and data set")
    arguments = parser.parse_args()
    settings = load_settings().with_minutes(arguments.minutes)
    threads = settings.threads or torch.get_num_threads()
    usual = BacktestSettings(settings.ingest, settings.encoder, settings.model, settings.train, settings.evaluation, settings.seed, threads)
    rows: list[dict[str, object]] = []
    for name in there(arguments.only, arguments.data):
        protocol, events, items, mapping = DATA[name]
        folder = arguments.data / name
        length = LENGTH.get(name, usual.model.max_events)
        recipe = replace(usual, model=usual.model.model_copy(update={"max_events": length}))
        files = Files(str(folder / events), str(folder / items) if items else None, mapping, ITEMS.get(name, ColumnMapping()))
        encoder, device = recipe.encoder if items else None, pick_device(recipe.train.device).type
        loaded = load(files, recipe.ingest, encoder=encoder, device=device, by_position=protocol == "leave-one-out", threads=threads)
        task = make_task(protocol, loaded.dataset.events, recipe.evaluation, recipe.seed)
        for model, ranking, about in compare(task, loaded.dataset.text, loaded.encoding_s, recipe, arguments.peers, arguments.peers_python):
            ndcg, hits = float(ranking.ndcg_at_10.mean()), float(ranking.hr_at_10.mean())
            rows.append({"data": name, "model": model, "ndcg_at_10": round(ndcg, 4), "hr_at_10": round(hits, 4), **about})
            print(json.dumps(rows[-1]), flush=True)
    keep("peers", rows)


def compare(
    task: Task, text: np.ndarray, encoding_s: float, recipe: BacktestSettings, peers: list[str], python: str
) -> Iterator[tuple[str, Ranking, dict[str, object]]]:
    """minutehand and its peers on one split."""
    for name, share in (("minutehand, 1/4", 0.25), ("minutehand", 1.0)):
        with peak_memory() as peak_mib:
            begun = time.monotonic()
            ranking, details = rank_learner(task, text, recipe, begun + share * recipe.train.minutes * 60 - encoding_s)
            seconds = time.monotonic() - begun + encoding_s
            rate = details["epochs"] * len(task.train) / details["phases_s"]["training"]
            yield name, ranking, cost_columns(details["epochs"], rate, seconds, peak_mib())
    item = task.evaluator.events.item[task.test]
    seen = np.minimum(np.diff(task.train.offsets), recipe.model.max_events).sum()
    with tempfile.TemporaryDirectory(prefix="minutehand-peers-") as name:
        folder = Path(name)
        export(task, recipe.model.max_events, folder)
        for peer in peers:
            words = [str(folder), peer, str(recipe.train.minutes), str(recipe.seed), str(recipe.threads)]
            subprocess.run([python, str(SCRIPT), *words], check=True)
            about = json.loads((folder / f"{peer}.json").read_text(encoding="utf-8"))
            top = np.load(folder / f"{peer}.npz", allow_pickle=False)["top"]
            rate = about["epochs"] * seen / about["training_s"]
            yield f"rectools {peer}", rank_in(top, item), cost_columns(about["epochs"], rate, about["seconds"], about["peak_mib"])


def cost_columns(epochs: float, rate: float, seconds: float, peak_mib: float) -> dict[str, object]:
    return {"epochs": round(epochs, 1), "events_per_s": round(rate), "seconds": round(seconds), "peak_mib": round(peak_mib)}


if __name__ == "__main__":
    main()
