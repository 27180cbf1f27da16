"""The history of the lists within a publish transaction: one row for each list that the publish changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import duckdb
import pyarrow as pa

from tasks.lake import ANYONE, statement
from tasks.publish.publication import Content, Provenance, Stamp
from tasks.publish.rows import ListRows


def note_changed_lists(con: duckdb.DuckDBPyConnection, scenario: str, lists: ListRows, made: Provenance, stamp: Stamp) -> None:
    """Record the lists of one scenario that differ from those in the temporary table lists_before."""
    con.register("whole_lists", lists.whole())
    con.execute(statement("publish/insert_list_history"), {"scenario": scenario, **asdict(stamp), **asdict(made)})


def note_ended_lists(con: duckdb.DuckDBPyConnection, content: Content, stamp: Stamp) -> None:
    """Record that users or scenarios in the temporary table lists_before have no list any more."""
    listed = content.listed()
    con.register("listed", pa.table({"user_id": pa.chunked_array([*listed.chunks, pa.array([ANYONE])], pa.string())}))
    con.register("in_tables", in_tables(content))
    con.execute(statement("publish/insert_ended_lists"), {**asdict(stamp), **asdict(content.provenance)})


def in_tables(content: Content) -> pa.Table:
    """The scenarios besides `default` whose lists are in a table."""
    names: Sequence[str] = [each.name for each in content.in_places]
    return pa.table({"scenario": pa.array(names, pa.string())})
