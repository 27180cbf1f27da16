"""Text vectors of items, cached in the lake: only items with a new or changed text are encoded."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import torch

from models.config import EncoderConfig
from models.text.encoder import find_encoder, load_encoder
from models.text.language import language_warning
from tasks.lake import Lake, reading, statement, writing

logger = logging.getLogger("minutehand.encoding")

CHUNK_ITEMS, QUICK_CHUNK_ITEMS = 20_000, 1_000
"""Items that are encoded and committed together; the smaller chunk is for runs with a time limit, checked after each chunk."""
N_JUDGED = 500
"""Number of texts that are checked for languages that the encoder does not know."""


@dataclass(frozen=True)
class EncodingSummary:
    """Item counts of one call: encoded, already cached, without text, and left out because time ran out."""

    n_items: int
    n_encoded: int
    n_left_out: int
    n_cached: int
    n_without_text: int
    encoder: str
    seconds: float


def encode_changed_items(
    lake: Lake,
    config: EncoderConfig,
    device_name: str = "cpu",
    *,
    progress: bool = True,
    chunk_items: int = CHUNK_ITEMS,
    within_s: float | None = None,
) -> EncodingSummary:
    """Encode the items whose text this encoder has not seen; the weights are loaded only if there are such items.

    Each chunk is its own commit: a killed run keeps its finished chunks, and the next run continues after them.
    within_s: time limit in seconds; no chunk starts after it, and the items of later chunks stay without a vector.
    """
    started = time.perf_counter()
    key = find_encoder(config).key
    with reading(lake) as con:
        con.execute(statement("encoding/define_item_text"))
        n_items, n_without_text, n_stale = con.execute(statement("encoding/count_items"), {"encoder": key}).fetchone() or (0, 0, 0)
        changed = con.execute(statement("encoding/select_changed_texts"), {"encoder": key}).pl()
    if n_stale:
        _forget_stale(lake, key)
    n_encoded = 0
    unknown = language_warning(config.name, changed["text"].head(N_JUDGED).str.head(200).to_list())
    if unknown:
        logger.warning(unknown)
    if changed.height:
        encoder = load_encoder(config, torch.device(device_name))
        for chunk in changed.iter_slices(chunk_items if within_s is None else min(chunk_items, QUICK_CHUNK_ITEMS)):
            if within_s is not None and n_encoded and time.perf_counter() - started > within_s:
                break
            _keep(lake, key, chunk, encoder.encode(chunk["text"].to_list(), progress=progress))
            n_encoded += chunk.height
    summary = EncodingSummary(
        n_items=n_items,
        n_encoded=n_encoded,
        n_left_out=changed.height - n_encoded,
        n_cached=n_items - n_without_text - changed.height,
        n_without_text=n_without_text,
        encoder=key,
        seconds=round(time.perf_counter() - started, 2),
    )
    logger.info(
        "%d of %d items encoded by %s in %.1f s; %d unchanged, %d without text, %d left out",
        summary.n_encoded,
        n_items,
        key,
        summary.seconds,
        summary.n_cached,
        n_without_text,
        summary.n_left_out,
    )
    return summary


def is_encoder_of(checkpoint_folder: Path, config: EncoderConfig) -> bool:
    """Whether a model was trained with the encoder that is set. If not, a warning says that new texts wait for the next night."""
    described = json.loads((checkpoint_folder / "checkpoint.json").read_text(encoding="utf-8"))
    key = find_encoder(config).key
    if described["encoder"] != key:
        logger.warning(
            "the live model was trained with the encoder %s, and %s is set: new items stay without text until minutehand nightly has run",
            described["encoder"],
            key,
        )
    return described["encoder"] == key


def text_vectors(con: duckdb.DuckDBPyConnection, encoder_key: str) -> tuple[pl.Series, np.ndarray]:
    """Item ids (strings, sorted) and their text vectors from one encoder, float32 [n, dim]; [0, 0] if there are none."""
    found = con.execute(statement("encoding/select_vectors"), {"encoder": encoder_key}).pl()
    if found.is_empty():
        return found["item_id"], np.empty((0, 0), dtype=np.float32)
    vectors = found["vector"].list.to_array(len(found["vector"][0])).to_numpy()
    return found["item_id"], np.ascontiguousarray(vectors, dtype=np.float32)


def _keep(lake: Lake, key: str, chunk: pl.DataFrame, vectors: np.ndarray) -> None:
    fresh = chunk.select("item_id", "text_hash", pl.Series("vector", vectors)).to_arrow()
    with writing(lake) as con:
        con.register("fresh", fresh)
        con.execute(statement("encoding/delete_superseded"), {"encoder": key})
        con.execute(statement("encoding/insert_embeddings"), {"encoder": key, "encoded_at": datetime.now(UTC).replace(tzinfo=None)})


def _forget_stale(lake: Lake, key: str) -> None:
    with writing(lake) as con:
        con.execute(statement("encoding/define_item_text"))
        con.execute(statement("encoding/delete_stale"), {"encoder": key})
