"""Training data: loads the lake at a snapshot into the arrays that models learn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from models.errors import UserError
from models.events import Catalog, Events, Ints
from tasks.encoding import text_vectors
from tasks.lake import Lake, reading, statement
from tasks.privacy.owners import owners_of

UNKNOWN_KIND = "other"
TEXT_DIM_WITHOUT_TEXT = 8


@dataclass(frozen=True)
class Dataset:
    """Training data of a night. User row n is user_ids[n], item row n is catalog.item_ids[n], event kind n is kinds[n].

    owners: of the replay windows of each user (tasks.privacy.owners).
    """

    events: Events
    user_ids: tuple[str, ...]
    catalog: Catalog
    titles: tuple[str, ...]
    kinds: tuple[str, ...]
    encoder: str
    snapshot: int
    owners: Ints | None = None

    @property
    def text(self) -> np.ndarray:
        """Text vectors [items, text_dim]; zeros for items without text."""
        if self.catalog.text is None:
            return np.zeros((len(self.catalog), TEXT_DIM_WITHOUT_TEXT), np.float32)
        return self.catalog.text

    def describe(self) -> dict[str, Any]:
        """Row counts and time range, for the registry."""
        time = self.events.time
        since, until = (datetime.fromtimestamp(int(moment), UTC).isoformat() for moment in (time.min(), time.max()))
        return {"n_events": len(time), "n_users": len(self.user_ids), "n_items": len(self.catalog), "since": since, "until": until}


def load_dataset(lake: Lake, snapshot: int, event_weights: Mapping[str, float], encoder_key: str) -> Dataset:
    """The events, users and items of a snapshot.

    Raises UserError if the snapshot has no event to learn from.
    """
    parameters = {"event_types": list(event_weights), "weights": list(event_weights.values())}
    with reading(lake, snapshot) as con:
        rows = con.execute(statement("training/events"), parameters).pl()
        users = con.execute(statement("training/users"), parameters).pl()
        items = con.execute(statement("training/items"), parameters).pl()
        text_ids, vectors = text_vectors(con, encoder_key)
    if rows.is_empty():
        raise UserError("the lake holds no event on an item to learn from; take some in with: minutehand ingest events FILE")
    kinds = (UNKNOWN_KIND, *sorted(set(rows["kind"]) - {UNKNOWN_KIND}))
    events = Events.build(
        rows["user_row"].to_numpy(),
        rows["item_row"].to_numpy(),
        rows["kind"].replace_strict(kinds, range(len(kinds)), return_dtype=pl.Int64).to_numpy(),
        rows["time_s"].to_numpy(),
        rows["weight"].to_numpy(),
        n_items=len(items),
        n_kinds=len(kinds),
    )
    catalog = Catalog(tuple(items["item_id"]), items["is_available"].to_numpy(), _placed(items["item_id"], text_ids, vectors))
    user_ids = tuple(users["user_id"])
    owners = owners_of(lake.home, user_ids)
    return Dataset(events, user_ids, catalog, tuple(items["title"]), kinds, encoder_key, snapshot, owners)


def _placed(item_ids: pl.Series, text_ids: pl.Series, vectors: np.ndarray) -> np.ndarray | None:
    """Text vectors in catalog order; zeros for items without one."""
    if not len(text_ids):
        return None
    place = (
        pl.DataFrame({"item_id": item_ids})
        .with_row_index("row")
        .join(pl.DataFrame({"item_id": text_ids}).with_row_index("source"), on="item_id")
        .select(pl.col("row").cast(pl.Int64), pl.col("source").cast(pl.Int64))
    )
    out = np.zeros((len(item_ids), vectors.shape[1]), np.float32)
    out[place["row"].to_numpy()] = vectors[place["source"].to_numpy()]
    return out
