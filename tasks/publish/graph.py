"""The interest graph within a publish transaction, after the histories and interests that it follows from."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from tasks.graph import Origin, build_graph, update_graph
from tasks.publish.notes import fresh_events
from tasks.publish.publication import Content


def write_graph(
    con: duckdb.DuckDBPyConnection, content: Content, event_weights: Mapping[str, float], n_threads: int, *, is_all: bool
) -> None:
    """Replace the graph, or with is_all false the nodes that the news and the published interests touch.

    A minute whose interests are those of another version, which it writes for all items, replaces all of the graph.
    n_threads: for the whole graph; 0 for all processors.
    """
    made, found = content.provenance, content.interests
    origin = Origin(made.model_version, made.data_snapshot, made.generated_at)
    if is_all or (found is not None and (found.items is None or len(found.items) >= len(content.item_ids))):
        build_graph(con, event_weights, origin, n_threads)
    elif content.news is not None:
        fresh = fresh_events(content.news)
        merged = content.news.merged
        users = {*fresh["user_id"], *(found.user_ids if found is not None else ()), *merged["user_id"], *merged["alias"]}
        items = {*fresh["item_id"].drop_nulls(), *content.news.items["item_id"]}
        update_graph(con, sorted(users), sorted(items), event_weights, origin)
