"""NDCG@10 of history and words together on movietweetings: python -m bench.words_history [--write].

bench/words_history.json holds 1,500 events of the last tenth of time, each with a request that names one or two genres of its film;
--write makes it again. All weights are chosen on the validation period.
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import torch

from bench.peers.__main__ import DATA
from bench.table import keep, there
from models.config import EncoderConfig, EvaluationConfig, RecommenderConfig, TrainConfig
from models.evaluation.words_choice import choose_weights, scores_of_history
from models.events import Floats, Ints
from models.metrics.intervals import mean_difference
from models.metrics.ranking import rank_events
from models.text.encoder import load_encoder
from models.text.requests import request_for
from models.text.towers import Head, Words
from tasks.config import IngestConfig
from tasks.ingest.sources import ColumnMapping
from tasks.night.dataset import Dataset
from tasks.night.learning import FittedNight, learn
from tasks.night.words import encoded, fit_words, judged_requests, make_lessons
from tasks.offline.files import Files, load

NAME = "movietweetings"
ASKED = Path(__file__).with_suffix(".json")
N_EVENTS = 1500
SAMPLE_SEED = 7
N_RESAMPLES = 2000


def write(folder: Path) -> None:
    """Draw the events and their requests, one event a line: user, item, time, request."""
    rng = random.Random(SAMPLE_SEED)
    events = pl.read_parquet(folder / "interactions.parquet")
    genres = {row["item_id"]: (row["genres"] or "").split("|") for row in pl.read_parquet(folder / "items.parquet").to_dicts()}
    since = int(np.quantile(events["timestamp"].to_numpy(), 0.9, method="higher"))
    late = events.filter(pl.col("timestamp") >= since).sort("timestamp", "user_id", "item_id")
    pairs = [(row["user_id"], row["item_id"], row["timestamp"], request_for(genres[row["item_id"]], rng)) for row in late.to_dicts()]
    drawn = sorted(rng.sample([pair for pair in pairs if pair[3] is not None], N_EVENTS), key=lambda pair: (pair[2], pair[0], pair[1]))
    ASKED.write_text("[\n" + ",\n".join(json.dumps(pair) for pair in drawn) + "\n]\n", encoding="utf-8")


def asked_events(dataset: Dataset) -> tuple[Ints, list[str]]:
    """Sorted rows of the events of the file, and their requests."""
    events = dataset.events
    row = {
        (dataset.user_ids[user], dataset.catalog.item_ids[item], time): n
        for n, (user, item, time) in enumerate(zip(events.user.tolist(), events.item.tolist(), events.time.tolist(), strict=True))
    }
    found = sorted((row[str(user), str(item), time], text) for user, item, time, text in json.loads(ASKED.read_text(encoding="utf-8")))
    return np.array([number for number, _ in found], np.int64), [text for _, text in found]


def ndcg(learnt: FittedNight, rows: Ints, words: Words | None, queries: Floats, texts: list[str], *, history: bool = True) -> Floats:
    """NDCG@10 of each event. words: None for the list without words; history: False for the words alone."""
    out = np.zeros(len(rows), np.float32)
    for members, place, known in scores_of_history(learnt.evaluator, learnt.fit.weights, learnt.fit.blend, rows):
        scores = known if history else torch.zeros_like(known)
        if words is not None:
            scores = scores + words.scores(queries[place.numpy()], [texts[n] for n in place])
        ranking = rank_events(scores, learnt.evaluator.events.item[members], learnt.evaluator.seen(members))
        out[place.numpy()] = ranking.ndcg_at_10
    return out


def measure(folder: Path, epochs: int, seed: int) -> list[dict[str, object]]:
    """A row for each way to answer, compared with the list without words and with the plain cosine."""
    _, events, items, mapping = DATA[NAME]
    assert items is not None
    files = Files(str(folder / events), str(folder / items), mapping, ColumnMapping(separator="|"))
    dataset = load(files, IngestConfig(), encoder=EncoderConfig(), threads=torch.get_num_threads(), progress=True).dataset
    learnt = learn(dataset, RecommenderConfig(), TrainConfig(max_epochs=epochs, minutes=600), EvaluationConfig(), seed)
    table = {str(row["item_id"]): row for row in pl.read_parquet(folder / items).to_dicts()}
    described = [(table[each]["title"], (table[each]["genres"] or "").split("|")) for each in dataset.catalog.item_ids]
    reader = load_encoder(EncoderConfig(), torch.device("cpu"))
    lessons = make_lessons(dataset.text, described, reader, seed)
    towers = fit_words(dataset.text, described, reader, seed, lessons)
    head = Head(dataset.text.shape[1]).eval()
    plain = Words.of(head, head, dataset.text, 1.0)
    rows, texts = judged_requests(learnt, described, seed)
    queries = encoded(reader, texts)
    ways = {"cosine": plain, "towers": replace(towers, lexicon=None), "towers and lexical": towers}
    chosen = {
        name: choose_weights(learnt.evaluator, learnt.fit.weights, learnt.fit.blend, words, rows, queries, texts)
        for name, words in ways.items()
    }
    rows, texts = asked_events(dataset)
    queries, user = encoded(reader, texts), learnt.evaluator.events.user[rows]
    found = {"history": ndcg(learnt, rows, None, queries, texts)}
    found["words"] = ndcg(learnt, rows, chosen["towers and lexical"], queries, texts, history=False)
    found |= {f"history and {name}": ndcg(learnt, rows, words, queries, texts) for name, words in chosen.items()}
    figures: list[dict[str, object]] = []
    for name, values in found.items():
        gain = mean_difference(values, found["history and cosine"], user, N_RESAMPLES, seed)
        figures.append(
            {
                "way": name,
                "n": len(rows),
                "ndcg_at_10": round(float(values.mean()), 4),
                "times_history": round(float(values.mean() / found["history"].mean()), 3),
                "over_cosine": round(gain.difference, 4),
                "low": round(gain.low, 4),
                "high": round(gain.high, 4),
            }
        )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="draw the events and requests again")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parent.parent.parent / "shared" / "data")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name in there([NAME], options.data):
        if options.write:
            write(options.data / name)
        else:
            keep("words_history", measure(options.data / name, options.epochs, options.seed))


if __name__ == "__main__":
    main()
