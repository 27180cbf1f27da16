"""Impressions without outcome, between the lake and training."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import polars as pl

from models.config import TrainConfig
from models.events import Ints
from models.training.passed import Shown
from tasks.lake import Lake, reading, statement
from tasks.night.dataset import Dataset

log = logging.getLogger("minutehand.night")


def read_shown(lake: Lake, dataset: Dataset, train: TrainConfig, window_hours: float) -> Shown | None:
    """The impressions without outcome of the snapshot of a dataset, with its users and items; None where they have no weight."""
    if not train.shown_weight:
        return None
    with reading(lake, dataset.snapshot) as con:
        found = con.execute(statement("training/shown")).pl()
    rows = found.with_columns(
        _rows(found["user_id"], dataset.user_ids).alias("user"), _rows(found["item_id"], dataset.catalog.item_ids).alias("item")
    ).drop_nulls(["user", "item"])
    log.info("%d impressions without outcome are weak negatives", len(rows))
    user, item, time = (_ints(rows[name]) for name in ("user", "item", "time_s"))
    return Shown(user, item, time, round(window_hours * 3600), train.shown_weight)


def read_tried(lake: Lake, snapshot: int) -> dict[str, tuple[float, float]]:
    """By item, how often it should have been chosen in the slots for new items where it was shown, and how often it was.

    It should have been chosen as often as new items in slots usually are; a click in 20 is assumed for the first impressions.
    """
    with reading(lake, snapshot) as con:
        found = con.execute(statement("training/tried")).fetchall()
    usual = (sum(chosen for _, _, chosen in found) + 1) / (sum(n for _, n, _ in found) + 20)
    return {item_id: (n_shown * usual, float(n_chosen)) for item_id, n_shown, n_chosen in found}


def _rows(names: pl.Series, known: Sequence[str]) -> pl.Series:
    """The row of each name among the known ones; null for others."""
    number = pl.DataFrame({"name": pl.Series(list(known), dtype=pl.String)}).with_row_index("row")
    return names.to_frame("name").join(number, on="name", how="left", maintain_order="left")["row"]


def _ints(column: pl.Series) -> Ints:
    return column.cast(pl.Int64).to_numpy()
