"""Which items no list of a scenario may show, without a model."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import polars as pl

from tasks.scenarios.conditions import meets, read_items
from tasks.scenarios.file import Scenario


def barred_items(con: duckdb.DuckDBPyConnection, scenario: Scenario, item_ids: Sequence[str]) -> pl.DataFrame:
    """Those of the items that are withdrawn, or that the scenario does not allow: scenario, item_id.

    An item without a description is available, and has nulls in all other columns. Raises UserError for a wrong `where`.
    """
    known = pl.DataFrame({"item_id": pl.Series(list(item_ids), dtype=pl.String)})
    described = pl.DataFrame(read_items(con, scenario.where))
    items = known.join(described, on="item_id", how="left", maintain_order="left").with_columns(
        pl.col("is_available").fill_null(value=True)
    )
    if scenario.where:
        items = items.with_columns(pl.col("is_available") & pl.Series(meets(items.to_arrow(), scenario.where)))
    return items.filter(~pl.col("is_available")).select(scenario=pl.lit(scenario.name), item_id="item_id")
