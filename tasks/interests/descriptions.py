"""What the catalogue says about items, for their interests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from models.interests.vocabulary import Descriptions
from tasks.lake import Lake, reading, statement


def descriptions(lake: Lake, item_ids: Sequence[str], snapshot: int | None = None) -> Descriptions:
    """The descriptions of the given items, in their order; items without one have no label and an empty title."""
    wanted = pl.DataFrame({"item_id": pl.Series(list(item_ids), dtype=pl.String)})
    with reading(lake, snapshot) as con:
        con.register("wanted", wanted)
        found = con.execute(statement("interests/descriptions")).pl()
    placed = wanted.join(found, on="item_id", how="left", maintain_order="left")
    labels = {name: [[text for text in each or [] if text] for each in placed[name].to_list()] for name in ("categories", "tags")}
    prices = placed["price"].cast(pl.Float32).fill_null(float("nan")).to_numpy().astype(np.float32)
    return Descriptions(placed["title"].fill_null("").to_list(), labels["categories"], labels["tags"], prices)
