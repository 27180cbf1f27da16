"""The interest graph: users, items, categories, tags and interests as nodes, connected by what people did and by what items are.

A night builds all of it, and a minute builds the nodes again that its news touches, with the same statements. The edges of a node depend
only on features.user_histories, raw.items and the tables of interests. Weights are relative to a fixed date, so they do not depend on when
they were computed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa

from tasks.lake import AT_HAND, Readable, reading, statement

HALF_LIFE_DAYS = 30.0
"""After this many days, an event counts half in the weights of edges."""
N_EDGES = 100
"""Maximum number of edges with the same source and relation."""
N_AUDIENCE, N_WINDOW = 50, 20
"""Maximum number of users that count for the items seen together with an item, and of items that count for each of these users."""
PART_ROWS = 1_000_000
"""Rows of the audience whose pairs of items are counted at a time: up to N_WINDOW times as many pairs, in about 1 GiB."""
N_LABEL_ITEMS = 10_000
"""Categories and tags with more items, and interests of more users, are built by nights only."""
TEMPORARY = (
    ("create_acts", ("half_life_days", "event_types", "weights", "n_edges")),
    ("create_touched_items", ()),
    ("create_item_acts", ()),
    ("create_audience", ("n_users",)),
    ("create_windows", ("n_items",)),
    ("create_together", ()),
    ("insert_together", ("part", "n_parts", "n_edges")),
    ("create_interests", ("n_edges",)),
    ("create_labels", ("snapshot",)),
    ("create_touched_labels", ("n_label_items",)),
    ("create_label_items", ()),
    ("create_people", ()),
)
"""Statements that collect the new edges in temporary tables, in order, with their parameters."""


@dataclass(frozen=True)
class Origin:
    """What the rows of the graph say about their origin; generated_at is UTC without a zone."""

    model_version: str
    data_snapshot: int
    generated_at: datetime


@dataclass(frozen=True)
class Step:
    """One edge of a path, with the names of its ends. share: the edge's share among the edges of its source with the same relation."""

    source: str
    relation: str
    target: str
    source_name: str
    target_name: str
    share: float


def shortest_path(at: Readable, source: str, target: str, max_length: int = 4) -> list[Step]:
    """The shortest path between two nodes, such as user:42 and item:8123; empty if there is none of at most max_length edges.

    Of several shortest paths, the most likely one of a random walk: the largest product of shares. Users are only ends of a path, so that
    nobody learns what another person did.
    """
    with reading(at) as con:
        found = con.execute(statement("graph/shortest_path"), {"source": source, "target": target, "max_length": max_length}).fetchall()
    return [Step(*row) for row in found]


def candidates(at: Readable, user_ids: Collection[str], k: int) -> pa.Table:
    """Items that were seen together with items of each user: user_id, item_id, score, via (the item that leads there), best first.

    At most k rows per user, none that the user had or that is unavailable. Users without edges have no rows.
    """
    with reading(at) as con:
        con.register("at_hand", pa.table({"user_id": pa.array(list(user_ids), pa.string())}))
        return con.execute(statement("graph/candidates"), {"k": k}).to_arrow_table()


def build_graph(con: duckdb.DuckDBPyConnection, event_weights: Mapping[str, float], origin: Origin, n_threads: int = 1) -> None:
    """Replace the whole graph, from the histories as the transaction sees them and the items of the snapshot.

    n_threads: for the temporary tables, whose rows need no order; 0 for all processors. The connection keeps its own number.
    """
    for name in ("delete_all_edges", "delete_all_nodes", "all_users"):
        con.execute(statement(f"graph/{name}"))
    con.execute(statement("graph/all_items"), {"snapshot": origin.data_snapshot})
    _rebuild(con, event_weights, origin, n_threads)


def update_graph(
    con: duckdb.DuckDBPyConnection,
    user_ids: Collection[str],
    item_ids: Collection[str],
    event_weights: Mapping[str, float],
    origin: Origin,
) -> None:
    """Replace the edges of the users with new events, of the items of these events, and of the items that are new or changed.

    An item that a user's history no longer has is touched too, and so are the categories and tags of all touched items.
    A lake without a graph, such as one of an earlier version, gets all of it.
    """
    if con.execute(statement("graph/is_empty")).fetchone() == (True,):
        build_graph(con, event_weights, origin)
        return
    con.register("touched_users", pa.table({"user_id": pa.array(list(user_ids), pa.string())}))
    con.register("changed_items", pa.table({"item_id": pa.array(list(item_ids), pa.string())}))
    _rebuild(con, event_weights, origin, n_threads=1)


def _rebuild(con: duckdb.DuckDBPyConnection, event_weights: Mapping[str, float], origin: Origin, n_threads: int) -> None:
    made = {"model_version": origin.model_version, "data_snapshot": origin.data_snapshot, "generated_at": origin.generated_at}
    values = {
        "half_life_days": HALF_LIFE_DAYS,
        "event_types": list(event_weights),
        "weights": list(event_weights.values()),
        "n_edges": N_EDGES,
        "n_users": N_AUDIENCE,
        "n_items": N_WINDOW,
        "n_label_items": N_LABEL_ITEMS,
        "snapshot": origin.data_snapshot,
    }
    con.execute("reset dynamic_or_filter_threshold")  # the statements look for many nodes, and read all edges for it
    (threads_before,) = con.execute("select current_setting('threads')").fetchone() or (1,)
    con.execute(f"set threads = {n_threads:d}" if n_threads else "reset threads")
    for name, parameters in TEMPORARY:
        n_parts = _n_parts(con) if "part" in parameters else 1
        for part in range(n_parts):
            known = values | {"part": part, "n_parts": n_parts}
            con.execute(statement(f"graph/{name}"), {parameter: known[parameter] for parameter in parameters})
    con.execute(f"set threads = {threads_before:d}")
    con.execute(statement("graph/delete_edges"))
    con.execute(statement("graph/delete_nodes"))
    con.execute(statement("graph/insert_edges"), {"half_life_days": HALF_LIFE_DAYS, "n_edges": N_EDGES, **made})
    con.execute(statement("graph/insert_nodes"), {"snapshot": origin.data_snapshot, **made})
    con.execute(f"set dynamic_or_filter_threshold = {AT_HAND:d}")


def _n_parts(con: duckdb.DuckDBPyConnection) -> int:
    """In how many parts the pairs of items are counted."""
    (n_rows,) = con.execute("select count(*) from audience").fetchone() or (0,)
    return -(-int(n_rows) // PART_ROWS) or 1
