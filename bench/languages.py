"""Precision@10 of Chinese requests on the English catalogue of movietweetings, with the encoder of the extra: python -m bench.languages.

bench/languages.json holds a hundred requests such as "七十年代的恐怖片". The towers learn from the generated English requests
alone, without those that name a pair of genre and decade of the list. --cache keeps vectors between calls: to encode the catalogue takes
minutes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import torch

from bench.table import keep, there
from bench.words import LISTS, without_pairs
from models.config import EncoderConfig
from models.text.encoder import MULTILINGUAL, Encoder, EncoderError, load_encoder
from models.text.requests import clean_label, decade_of, make_requests
from models.text.towers import Words
from models.training.towers_fit import fit_towers

CHINESE = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))["chinese"]


def encode(encoder: Encoder, texts: Sequence[str], cache: Path | None) -> np.ndarray:
    """Vectors of the texts, from the cache if they are in it."""
    if cache is None:
        return encoder.encode(texts, progress=True)
    cache.mkdir(parents=True, exist_ok=True)
    file = cache / f"{hashlib.sha256(json.dumps([encoder.key, *texts]).encode()).hexdigest()[:16]}.npy"
    if not file.exists():
        np.save(file, encoder.encode(texts, progress=True))
    return np.asarray(np.load(file))


def measure(folder: Path, encoder: Encoder, cache: Path | None, seed: int) -> list[dict[str, object]]:
    """A row for the Chinese requests, and for the English ones of the same pairs; each with the towers and with the plain cosine."""
    items = pl.read_parquet(folder / "items.parquet")
    titles, labels = items["title"].to_list(), [text.split("|") if text else [] for text in items["genres"]]
    started = time.perf_counter()
    text = encode(encoder, [f"{title.rstrip('.')}. {', '.join(each)}" for title, each in zip(titles, labels, strict=True)], cache)
    items_s = time.perf_counter() - started
    genre = {name: np.array([name in map(clean_label, each) for each in labels]) for name in {r["genre"] for r in CHINESE}}
    decades = np.array([decade_of(title) or 0 for title in titles])
    requests = without_pairs(make_requests(titles, labels, seed), [(genre[r["genre"]], decades == r["decade"]) for r in CHINESE])
    started = time.perf_counter()
    words = Words.of(*fit_towers(requests, encode(encoder, requests.texts, cache), text, seed), text, 1.0)
    towers_s = time.perf_counter() - started
    rows: list[dict[str, object]] = []
    for name, asked in {"chinese": CHINESE, "english": LISTS["requests"]}.items():
        started = time.perf_counter()
        queries = encoder.encode([r["text"] for r in asked])
        query_ms = 1000 * (time.perf_counter() - started) / len(asked)
        for way, scores in {"towers": words.scores(queries), "cosine": torch.from_numpy(queries @ text.T)}.items():
            top = scores.topk(10, 1).indices.numpy()
            by_genre = np.stack([genre[r["genre"]][best] for r, best in zip(asked, top, strict=True)])
            exact = by_genre & np.stack([decades[best] == r["decade"] for r, best in zip(asked, top, strict=True)])
            figures = {"genre": round(float(by_genre.mean()), 3), "with decade": round(float(exact.mean()), 3)}
            times = {"items s": round(items_s, 1), "towers s": round(towers_s, 1), "query ms": round(query_ms, 1)}
            rows.append({"requests": name, "n": len(asked), "way": way, **figures, **times})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parent.parent.parent / "shared" / "data")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    try:
        encoder = load_encoder(EncoderConfig(name=MULTILINGUAL), torch.device("cpu"))
    except EncoderError as error:
        print(f"nothing was measured: {error}")
        return
    for name in there(["movietweetings"], options.data):
        keep("languages", measure(options.data / name, encoder, options.cache, options.seed))


if __name__ == "__main__":
    main()
