"""Searches as behaviour, between the lake and the model: the searches of a night, and the last search of each user in a minute."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch

from models.config import EncoderConfig
from models.events import Floats, Ints
from models.ranking.searches import MAX_AGE_S, Searches
from models.text.clean import clean_text
from models.text.encoder import load_encoder
from tasks.lake import Lake, Readable, reading, statement

log = logging.getLogger("minutehand.searches")
MAX_SEARCHES = 200_000
MAX_TEXTS = 10_000
"""Different texts that a night encodes; the searches with older ones count as none."""


@dataclass(frozen=True)
class SearchLog:
    """Searches, oldest first. rows: user_id, query, occurred_at, time_s; text: row of each search in vectors [texts, dim] and texts.

    encoder: its key. A text without words has a zero vector, which stands for no search.
    """

    rows: pl.DataFrame
    text: Ints
    vectors: Floats
    texts: Sequence[str | None]
    encoder: str

    @property
    def newest_s(self) -> int:
        """Time of the newest search, in unix seconds."""
        return int(self.rows["time_s"].max())  # type: ignore[arg-type]

    def of_users(self, user_ids: Sequence[str]) -> Searches:
        """The searches of the given users, numbered in their order."""
        number = pl.DataFrame({"user_id": pl.Series(list(user_ids), dtype=pl.String)}).with_row_index("user")
        user = self.rows.select("user_id").join(number, on="user_id", how="left", maintain_order="left")["user"]
        is_theirs = user.is_not_null().to_numpy()
        rows = user.drop_nulls().cast(pl.Int64).to_numpy()
        return Searches.build(rows, self.rows["time_s"].to_numpy()[is_theirs], self.text[is_theirs], self.vectors, self.texts)

    def last_of_each(self, newest_s: int | None = None) -> pl.DataFrame:
        """The last search of each user with its vector: user_id, query, occurred_at, time_s, vector.

        newest_s: unix seconds; searches of more than MAX_AGE_S before it are left out.
        """
        vectors = pl.Series("vector", self.vectors[self.text], dtype=pl.Array(pl.Float32, self.vectors.shape[1]))
        rows = self.rows.with_columns(vectors.cast(pl.List(pl.Float32)))
        recent = rows if newest_s is None else rows.filter(pl.col("time_s") >= newest_s - MAX_AGE_S)
        return recent.unique("user_id", keep="last", maintain_order=True).sort("user_id")


def read_search_log(lake: Lake, snapshot: int, encoder: EncoderConfig, encoder_key: str) -> SearchLog | None:
    """The newest searches of a snapshot with the vectors of their texts; None if nobody has searched."""
    with reading(lake, snapshot) as con:
        rows = con.execute(statement("training/searches"), {"n_most": MAX_SEARCHES}).pl()
    return None if rows.is_empty() else encoded(rows, encoder, encoder_key)


def encoded(rows: pl.DataFrame, encoder: EncoderConfig, encoder_key: str) -> SearchLog:
    """The searches with the vectors of their texts. rows: as SearchLog.rows."""
    texts = rows["query"].reverse().unique(maintain_order=True)
    if len(texts) > MAX_TEXTS:
        log.warning("%d different searches: the oldest %d of them are left out", len(texts), len(texts) - MAX_TEXTS)
        texts = texts.head(MAX_TEXTS)
    readable = [clean_text(text) for text in texts]
    reader = load_encoder(encoder, torch.device("cpu"))
    vectors = np.zeros((len(texts) + 1, reader.dim), np.float32)  # the last row is for texts that are left out
    known = [row for row, text in enumerate(readable) if text]
    if known:
        vectors[known] = reader.encode([text for text in readable if text])
    number = pl.DataFrame({"query": texts}).with_row_index("text")
    place = rows.select("query").join(number, on="query", how="left", maintain_order="left")["text"]
    return SearchLog(rows, place.cast(pl.Int64).fill_null(len(texts)).to_numpy(), vectors, [*readable, None], encoder_key)


def last_searches(at: Readable, user_ids: Sequence[str], encoder_key: str) -> pl.DataFrame:
    """The last published search of the given users: user_id, query, occurred_at, time_s, vector."""
    with reading(at) as con:
        con.register("at_hand", pl.DataFrame({"user_id": pl.Series(list(user_ids), dtype=pl.String)}))
        return con.execute(statement("minute/searches_of"), {"encoder": encoder_key}).pl()


def newer(known: pl.DataFrame, fresh: pl.DataFrame) -> pl.DataFrame:
    """The later search of each user; at the same time, the fresh one. Both frames: user_id, query, occurred_at, time_s, vector."""
    both = pl.concat([known, fresh.select(known.columns).cast(dict(known.schema))]).sort("time_s", maintain_order=True)  # type: ignore[arg-type]
    return both.unique("user_id", keep="last", maintain_order=True).sort("user_id")


def as_searches(last: pl.DataFrame, user_ids: Sequence[str], dim: int) -> Searches:
    """The searches of a frame with vectors, for users numbered in the given order; those of an other dimension are left out."""
    fitting = last.filter(pl.col("vector").list.len() == dim) if last.height else last
    vectors = np.stack(fitting["vector"].to_list()).astype(np.float32) if fitting.height else np.zeros((0, dim), np.float32)
    texts = [clean_text(text) for text in fitting["query"]]
    return SearchLog(fitting, np.arange(fitting.height), vectors, texts, "").of_users(user_ids)
