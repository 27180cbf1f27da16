"""How well a title that is half remembered finds its item: python -m bench.known_items [--only food ...].

500 items each; a request is half of the words of a title in any order, or the whole title without a year. The plain cosine of the encoder,
the towers alone, and both with the words as typed.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import replace
from pathlib import Path

import polars as pl
import torch

from bench.table import keep, there
from models.config import EncoderConfig
from models.evaluation.words_choice import USUAL_LEXICAL, with_weights
from models.text.encoder import Encoder, load_encoder
from models.text.requests import ItemWords, part_of, without_year
from models.text.towers import Head, Words
from tasks.night.words import fit_words, make_lessons

SETS = ("movietweetings", "p5-beauty", "food")
N_ITEMS = 500
SAMPLE_SEED = 5


def measure(name: str, folder: Path, reader: Encoder, seed: int) -> list[dict[str, object]]:
    """A row for each kind of request and each way to answer."""
    rows = pl.read_parquet(folder / name / "items.parquet").to_dicts()
    items: list[ItemWords] = [(row["title"] or "", (row.get("genres") or "").split("|")) for row in rows]
    text = reader.encode([f"{title.rstrip('.')}. {', '.join(labels)}".removesuffix(". ") for title, labels in items], progress=True)
    text[[not title for title, _ in items]] = 0
    fitted, head = fit_words(text, items, reader, seed, make_lessons(text, items, reader, seed)), Head(text.shape[1]).eval()
    ways = {
        "cosine": Words.of(head, head, text, 1.0),
        "towers": replace(fitted, lexicon=None),
        "towers and words": with_weights(fitted, 1.0, USUAL_LEXICAL),
    }
    rng = random.Random(SAMPLE_SEED)
    meant = rng.sample([row for row, (title, _) in enumerate(items) if without_year(title)], N_ITEMS)
    asked = {
        "half a title": [part_of(items[row][0], rng) for row in meant],
        "a whole title": [without_year(items[row][0]) for row in meant],
    }
    out: list[dict[str, object]] = []
    for kind, texts in asked.items():
        queries = reader.encode(texts)
        for way, words in ways.items():
            scores = words.scores(queries, texts)
            rank = (scores >= scores.gather(1, torch.tensor(meant)[:, None])).sum(1).float()
            figures = {"mrr": (1 / rank).mean(), "first": (rank <= 1).float().mean(), "among 2": (rank <= 2).float().mean()}
            out.append({"data": name, "request": kind, "way": way, **{key: round(float(value), 3) for key, value in figures.items()}})
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parent.parent.parent / "shared" / "data")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    reader = load_encoder(EncoderConfig(), torch.device("cpu"))
    keep("known_items", [row for name in there(options.only, options.data) for row in measure(name, options.data, reader, options.seed)])


if __name__ == "__main__":
    main()
