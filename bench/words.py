"""Precision@10 of requests in words on movietweetings, compared with the towers alone and the plain cosine: python -m bench.words.

bench/words.json holds the requests with the genre, and the decade if they name one, that a film must have. No training request names a
pair of genre and decade of the list `requests`; no template resembles the paraphrases.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import torch

from bench.table import keep, there
from models.config import EncoderConfig
from models.evaluation.words_choice import USUAL_LEXICAL, with_weights
from models.text.encoder import load_encoder
from models.text.lexical import Lexicon
from models.text.requests import Requests, clean_label, decade_of, make_requests
from models.text.towers import Words
from models.training.towers_fit import fit_towers

LISTS = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))


def without_pairs(requests: Requests, pairs: list[tuple[np.ndarray, np.ndarray]]) -> Requests:
    """The requests that name none of some pairs of facts, each given as a mask of items."""
    facts = requests.facts.toarray()
    row = [tuple(int((facts == fact).all(1).nonzero()[0][0]) for fact in pair) for pair in pairs]
    kept = [n for n, needs in enumerate(requests.needs) if not any(one in needs and other in needs for one, other in row)]
    n_labels = sum(n < requests.n_labels for n in kept)
    return replace(
        requests,
        texts=tuple(requests.texts[n] for n in kept),
        needs=requests.needs[kept],
        item=requests.item[kept],
        n_labels=n_labels,
    )


def measure(folder: Path, seed: int) -> list[dict[str, object]]:
    """A row for each list of requests."""
    items = pl.read_parquet(folder / "items.parquet")
    titles, labels = items["title"].to_list(), [text.split("|") if text else [] for text in items["genres"]]
    encoder = load_encoder(EncoderConfig(), torch.device("cpu"))
    text = encoder.encode([f"{title.rstrip('.')}. {', '.join(each)}" for title, each in zip(titles, labels, strict=True)], progress=True)
    genre = {name: np.array([name in map(clean_label, each) for each in labels]) for name in {r["genre"] for r in LISTS["requests"]}}
    genre |= {r["genre"]: np.array([r["genre"] in map(clean_label, each) for each in labels]) for each in LISTS.values() for r in each}
    decades = np.array([decade_of(title) or 0 for title in titles])
    requests = make_requests(titles, labels, seed)
    requests = without_pairs(requests, [(genre[r["genre"]], decades == r["decade"]) for r in LISTS["requests"]])
    started = time.perf_counter()
    towers = Words.of(*fit_towers(requests, encoder.encode(list(requests.texts)), text, seed), text, 1.0)
    words = with_weights(replace(towers, lexicon=Lexicon.of(list(zip(titles, labels, strict=True)))), 1.0, USUAL_LEXICAL)
    seconds = time.perf_counter() - started
    rows: list[dict[str, object]] = []
    for name, asked in LISTS.items():
        said = [r["text"] for r in asked]
        queries = encoder.encode(said)
        ways = {"words": words.scores(queries, said), "towers": towers.scores(queries), "cosine": torch.from_numpy(queries @ text.T)}
        for way, scores in ways.items():
            top = scores.topk(10, 1).indices.numpy()
            by_genre = np.stack([genre[r["genre"]][best] for r, best in zip(asked, top, strict=True)])
            exact = by_genre & np.stack([decades[best] == r.get("decade", decades[best]) for r, best in zip(asked, top, strict=True)])
            figures = {"genre": round(float(by_genre.mean()), 3), "genre and decade": round(float(exact.mean()), 3)}
            rows.append({"requests": name, "n": len(asked), "way": way, **figures, "seconds": round(seconds, 1)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parent.parent.parent / "shared" / "data")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name in there(["movietweetings"], options.data):
        keep("words", measure(options.data / name, options.seed))


if __name__ == "__main__":
    main()
