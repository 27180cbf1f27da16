"""Inserts of list rows and neighbour rows within a publish transaction."""

from __future__ import annotations

from dataclasses import asdict, replace

import duckdb
import pyarrow as pa

from models.results import RankedLists
from tasks.lake import statement
from tasks.publish.publication import Content
from tasks.publish.reasons import find_reasons
from tasks.publish.rows import LISTS, NEIGHBOURS, list_batches, neighbour_batches

CHANGED_DEPTH = 10


def list_rows(
    con: duckdb.DuckDBPyConnection, item_ids: pa.Array, lists: RankedLists, fallback: RankedLists, snapshot: int
) -> pa.RecordBatchReader:
    """Rows of the user lists and the fallback list with their reasons, by user and rank. The reader can be consumed once.

    The histories must have been written before, in the same transaction.
    """
    reasons = find_reasons(con, item_ids, lists, snapshot)
    numbered = replace(lists, because=reasons.number)
    return pa.RecordBatchReader.from_batches(LISTS, list_batches(item_ids, fallback, numbered, reasons.texts))


def insert_scenario_lists(con: duckdb.DuckDBPyConnection, item_ids: pa.Array, content: Content) -> None:
    """Insert the lists of the scenarios besides `default`, each by user and rank."""
    for each in content.in_places:
        con.register("lists", list_rows(con, item_ids, each.users, each.fallback, content.provenance.data_snapshot))
        con.execute(statement("scenarios/insert_lists"), {"scenario": each.name, **asdict(content.provenance)})


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
