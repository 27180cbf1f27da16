"""Inserts of list rows and neighbour rows within a publish transaction."""

from __future__ import annotations

from dataclasses import replace

import duckdb
import numpy as np
import pyarrow as pa

from models.results import RankedLists
from tasks.lake import statement
from tasks.publish.publication import Content
from tasks.publish.rows import LISTS, NEIGHBOURS, list_batches, neighbour_batches

POPULAR = "popular right now"
CHANGED_DEPTH = 10


def list_rows(con: duckdb.DuckDBPyConnection, item_ids: pa.Array, content: Content) -> pa.RecordBatchReader:
    """Rows of the user lists and the fallback list with their reasons, by user and rank. The reader can be consumed once."""
    lists, reasons = _with_reasons(con, item_ids, content.lists, content.provenance.data_snapshot)
    return pa.RecordBatchReader.from_batches(LISTS, list_batches(item_ids, content.fallback, lists, reasons))


def insert_searches(con: duckdb.DuckDBPyConnection, content: Content) -> None:
    """Insert the last searches of content, by user."""
    if content.searches is not None and content.searches.rows.height:
        con.register("searched", content.searches.rows)
        moment = {"encoder": content.searches.encoder, "updated_at": content.provenance.generated_at}
        con.execute(statement("publish/insert_searches"), moment)


def insert_neighbours(con: duckdb.DuckDBPyConnection, item_ids: pa.Array, content: Content) -> None:
    """Insert the neighbours of content.neighbour_rows, by item and rank."""
    batches = neighbour_batches(item_ids, content.neighbour_rows, content.neighbours)
    con.register("neighbours", pa.RecordBatchReader.from_batches(NEIGHBOURS, batches))
    names = ("model_version", "data_snapshot", "generated_at")
    con.execute(statement("publish/insert_similar_items"), {name: getattr(content.provenance, name) for name in names})


def _with_reasons(con: duckdb.DuckDBPyConnection, item_ids: pa.Array, lists: RankedLists, snapshot: int) -> tuple[RankedLists, pa.Array]:
    """The reason texts, POPULAR last, and the lists with `because` numbering these texts instead of items."""
    reason_items = np.unique(lists.because[lists.because >= 0])
    con.register("catalog", pa.table({"position": np.arange(len(reason_items)), "item_id": item_ids.take(pa.array(reason_items))}))
    phrases = con.execute(statement("publish/select_reasons"), {"snapshot": snapshot}).to_arrow_table()["reason"]
    number = np.where(lists.because < 0, len(reason_items), np.searchsorted(reason_items, lists.because))
    return replace(lists, because=number), pa.concat_arrays([phrases.combine_chunks().cast(pa.string()), pa.array([POPULAR])])
