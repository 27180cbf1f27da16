"""NDCG@10 of lists that follow searches, minus that of the same lists without: python -m bench.searches.

On a simulated shop whose people search before they click. The test events are the night's own: the last tenth of time.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from bench.table import keep
from models.config import EncoderConfig, EvaluationConfig, RecommenderConfig, TrainConfig
from models.evaluation.comparison import rank_recommender
from models.metrics.intervals import mean_difference
from models.simulation.shop import Shop, ShopConfig, simulate
from tasks.config import IngestConfig
from tasks.encoding import encode_changed_items
from tasks.ingest.ingestion import ingest
from tasks.ingest.sources import ColumnMapping
from tasks.lake import Lake, LakeConfig, locate, migrate, newest_snapshot
from tasks.night.dataset import Dataset, load_dataset
from tasks.night.learning import learn
from tasks.night.words import learn_words
from tasks.searches import SearchLog, read_search_log


def read_shop(shop: Shop, encoder: EncoderConfig, folder: Path) -> tuple[Lake, Dataset, SearchLog | None]:
    """A lake in a folder with the events and items of a shop, and what a night reads from it."""
    lake = locate(LakeConfig(), folder)
    migrate(lake)
    items, events = (folder / f"{kind}.parquet" for kind in ("items", "events"))
    shop.items.write_parquet(items)
    shop.events.write_parquet(events)
    ingest(lake, "items", [str(items)], ColumnMapping(), IngestConfig())
    ingest(lake, "events", [str(events)], ColumnMapping(), IngestConfig())
    key = encode_changed_items(lake, encoder, progress=False).encoder
    data = load_dataset(lake, newest_snapshot(lake), IngestConfig().event_weights, key)
    return lake, data, read_search_log(lake, data.snapshot, encoder, key)


def measure(shop: ShopConfig, epochs: int, seed: int) -> list[dict[str, object]]:
    """A row for all test events, and one for those that follow a search within a day; with the previous event known, and as served."""
    encoder, evaluation = EncoderConfig(), EvaluationConfig()
    with tempfile.TemporaryDirectory() as folder:
        lake, data, searches = read_shop(simulate(shop, seed), encoder, Path(folder))
        train = TrainConfig(max_epochs=epochs, minutes=600.0)
        learnt = learn(data, RecommenderConfig(), train, evaluation, seed, searches=searches)
        words = learn_words(lake, data, learnt, encoder, seed)
    assert words is not None, "the items of the shop have texts"
    words = words.before_hold_out(data.text)
    task, fit = learnt.task, learnt.fit
    ours = task.rank(lambda evaluator, rows: rank_recommender(evaluator, fit.weights, fit.blend, rows, words))
    plain = task.rank(lambda evaluator, rows: rank_recommender(evaluator.without_searches(), fit.weights, fit.blend, rows))
    asked = task.evaluator.asked(task.test)
    assert asked is not None, "the people of the shop search"
    user, rows = task.evaluator.events.user[task.test], []
    for which, where in (("all", slice(None)), ("after a search", asked.vectors.any(1))):
        for metric in ("ndcg_at_10", "ndcg_at_10_served"):
            one, other = getattr(ours, metric)[where], getattr(plain, metric)[where]
            gain = mean_difference(one, other, user[where], evaluation.n_bootstrap, seed)
            figures = {"without": other.mean(), "with": one.mean(), "gain": gain.difference, "low": gain.low, "high": gain.high}
            rows.append(
                {"events": which, "n": len(one), "metric": metric} | {key: round(float(value), 4) for key, value in figures.items()}
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--items", type=int, default=1200)
    parser.add_argument("--epochs", type=int, default=12)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep("searches", measure(ShopConfig(n_users=options.users, n_items=options.items), options.epochs, options.seed))


if __name__ == "__main__":
    main()
