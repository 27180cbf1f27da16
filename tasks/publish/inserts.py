"""Inserts of list rows and neighbour rows within a publish transaction."""

from __future__ import annotations

from dataclasses import asdict, replace

import duckdb
import pyarrow as pa

from models.results import RankedLists
from tasks.lake import statement
from tasks.publish.list_history import note_changed_lists
from tasks.publish.publication import Content, Provenance, Stamp
from tasks.publish.reasons import find_reasons
from tasks.publish.rows import NEIGHBOURS, ListRows, neighbour_batches
from tasks.scenarios import DEFAULT


def insert_lists(
    con: duckdb.DuckDBPyConnection, item_ids: pa.Array, lists: RankedLists, fallback: RankedLists, made: Provenance, stamp: Stamp
) -> None:
    """Insert the lists of the scenario `default` by user and rank, and record those that differ from the lists before.

    The histories must have been written before, in the same transaction. Leaves the lists registered as `lists`, to be read once.
    """
    in_rows = rows_of(con, item_ids, lists, fallback, made.data_snapshot)
    con.register("lists", in_rows.flat())
    con.execute(statement("publish/insert_recommendations"), asdict(made))
    note_changed_lists(con, DEFAULT, in_rows, made, stamp)
    con.register("lists", in_rows.flat())


def insert_arm(con: duckdb.DuckDBPyConnection, content: Content, stamp: Stamp) -> bool:
    """Insert the lists of the users of an experiment's challenger, in all scenarios; whether there are any.

    Leaves those of the scenario `default` registered as `lists`, to be read once.
    """
    arm = content.of_arm
    if arm is None or arm.shards is not None:  # those are inserted with the shards of the control
        return False
    item_ids = pa.array(arm.item_ids, pa.string())
    insert_scenario_lists(con, item_ids, arm, stamp)
    insert_lists(con, item_ids, arm.lists, arm.fallback, arm.provenance, stamp)
    return True


def insert_scenario_lists(con: duckdb.DuckDBPyConnection, item_ids: pa.Array, content: Content, stamp: Stamp) -> None:
    """Insert the lists of the scenarios besides `default`, each by user and rank, and record those that differ from the lists before."""
    made = content.provenance
    for each in content.in_places:
        in_rows = rows_of(con, item_ids, each.users, each.fallback, made.data_snapshot)
        con.register("lists", in_rows.flat())
        con.execute(statement("scenarios/insert_lists"), {"scenario": each.name, **asdict(made)})
        note_changed_lists(con, each.name, in_rows, made, stamp)


def rows_of(con: duckdb.DuckDBPyConnection, item_ids: pa.Array, lists: RankedLists, fallback: RankedLists, snapshot: int) -> ListRows:
    """The user lists and the fallback list with their reasons. The histories must have been written before."""
    reasons = find_reasons(con, item_ids, lists, snapshot)
    return ListRows(item_ids, fallback, replace(lists, because=reasons.number), reasons.texts)


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
