"""What real searches teach the word towers, next to generated requests: python -m bench.searched_words.

On the simulated shop. In a share of its searches, people use an invented word of their own for a kind of item, which occurs in no text. The
searches before the hold-out teach; those of the last tenth of time are judged by the item that was chosen next.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import torch

from bench.searches import read_shop
from bench.table import keep
from models.config import EncoderConfig, EvaluationConfig, RecommenderConfig, TrainConfig
from models.evaluation.comparison import rank_recommender
from models.evaluation.share_choice import Asked
from models.metrics.intervals import mean_difference
from models.simulation.shop import Shop, ShopConfig, simulate
from models.text.encoder import load_encoder
from models.text.towers import Words
from tasks.night.learning import FittedNight, learn
from tasks.night.words import encoded, fit_words, item_words, judged_requests, learn_from_searches, make_lessons, weighed

BEGINNINGS, VOWELS, SYLLABLES = "bdfgjklmnprstvz", "aeiou", 4


def with_invented_words(shop: Shop, share: float, seed: int) -> tuple[Shop, set[str]]:
    """The shop with the invented word of the leaf in a share of its searches, and these words. A text of several leaves counts for one."""
    rng, leaf_of = random.Random(seed), dict(zip(*shop.truth.items.select("item_id", "leaf"), strict=True))
    leaves = sorted(set(leaf_of.values()))
    words = {leaf: "".join(rng.choice(BEGINNINGS) + rng.choice(VOWELS) for _ in range(SYLLABLES)) for leaf in leaves}
    leaf_of_text: dict[str, str | None] = {}
    queries: list[str | None] = []
    following = shop.events.with_columns(item=pl.col("item_id").backward_fill().over("user_id"))
    for text, item in following.filter(pl.col("query").is_not_null()).select("query", "item").iter_rows():
        leaf_of_text.setdefault(text, leaf_of.get(item))
    for text in shop.events["query"]:
        leaf = leaf_of_text.get(text)
        queries.append(words[leaf] if leaf is not None and rng.random() < share else text)
    return replace(shop, events=shop.events.with_columns(query=pl.Series(queries, dtype=pl.String))), set(words.values())


def judged_searches(learnt: FittedNight) -> Asked:
    """The searches that led to an item in the test period."""
    searches, events, split = learnt.evaluator.searches, learnt.evaluator.events, learnt.task.split
    assert searches is not None
    assert split is not None
    assert searches.texts is not None
    row, event = searches.chosen_next(events)
    is_judged = events.time[event] >= split.test_from
    text = searches.text[row[is_judged]]
    return Asked(searches.vectors[text], [searches.texts[n] for n in text], events.item[event[is_judged]], events.user[event[is_judged]])


def measure(shop: ShopConfig, share: float, epochs: int, seed: int) -> list[dict[str, object]]:
    """A row for each kind of request: how well the towers find its item (reciprocal rank), or NDCG@10 of the lists that follow a search."""
    encoder, evaluation = EncoderConfig(), EvaluationConfig()
    found, invented = with_invented_words(simulate(shop, seed), share, seed)
    with tempfile.TemporaryDirectory() as folder:
        lake, data, searches = read_shop(found, encoder, Path(folder))
        items = item_words(lake, data)
    learnt = learn(data, RecommenderConfig(), TrainConfig(max_epochs=epochs, minutes=600.0), evaluation, seed, searches=searches)
    reader = load_encoder(encoder, torch.device("cpu"))
    lessons = make_lessons(data.text, items, reader, seed)
    assert lessons is not None, "the shop has labels"
    generated = fit_words(data.text, items, reader, seed, lessons)
    rows, texts = judged_requests(learnt, items, seed)
    queries, events, task = encoded(reader, texts), learnt.evaluator.events, learnt.task
    requests = Asked(queries, texts, events.item[rows], events.user[rows])
    taught, _ = learn_from_searches(generated, lessons, learnt, data.text, requests, seed)
    ways = [weighed(words, learnt, rows, queries, texts, seed) for words in (generated, taught)]
    judged, asked = judged_searches(learnt), learnt.evaluator.asked(task.test)
    assert asked is not None
    assert asked.texts is not None

    def lists(words: Words) -> np.ndarray:
        ranking = task.rank(lambda evaluator, rows: rank_recommender(evaluator, learnt.fit.weights, learnt.fit.blend, rows, words))
        return ranking.ndcg_at_10

    def is_invented(texts: list[str | None]) -> np.ndarray:
        return np.array([text in invented for text in texts])

    by_search, by_request, by_list = ([of(words) for words in ways] for of in (judged.reciprocal_ranks, requests.reciprocal_ranks, lists))
    strange, strange_lists = is_invented(list(judged.texts)), is_invented(list(asked.texts))
    user, searched = events.user[task.test], asked.vectors.any(1)
    cases = {
        "searches, invented words": (by_search, strange, judged.user),
        "searches, other words": (by_search, ~strange, judged.user),
        "generated requests": (by_request, np.ones(len(requests.user), bool), requests.user),
        "lists after an invented word": (by_list, strange_lists, user),
        "lists after another search": (by_list, searched & ~strange_lists, user),
        "all lists": (by_list, np.ones(len(user), bool), user),
    }
    out: list[dict[str, object]] = []
    for name, ((before, after), where, who) in cases.items():
        if where.any():
            gain = mean_difference(after[where], before[where], who[where], evaluation.n_bootstrap, seed)
            figures = {
                "without": before[where].mean(),
                "with": after[where].mean(),
                "gain": gain.difference,
                "low": gain.low,
                "high": gain.high,
            }
            out.append({"what": name, "n": int(where.sum())} | {key: round(float(value), 4) for key, value in figures.items()})
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--items", type=int, default=1200)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--invented", type=float, default=0.3, help="share of the searches with an invented word")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    shop = ShopConfig(n_users=options.users, n_items=options.items)
    keep("searched_words", measure(shop, options.invented, options.epochs, options.seed))


if __name__ == "__main__":
    main()
