"""The steps that every publish shares: check the lists, then change all tables in one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace

import duckdb
import pyarrow as pa

from tasks.interests.rows import write_interests
from tasks.lake import Lake, writing
from tasks.minute.pacing import UsersToRefresh
from tasks.publish.graph import write_graph
from tasks.publish.notes import move_watermarks, note_experiment, note_freshness, note_moved, note_prequential, note_publication
from tasks.publish.pointer import next_moment
from tasks.publish.publication import Content, Publication, Stamp, log_publication, publication_id_of
from tasks.publish.rows import check_lists
from tasks.scenarios.changes import note_rules

Write = Callable[[duckdb.DuckDBPyConnection, pa.Array, Stamp], tuple[int, int]]
"""Writes lists, neighbours and histories, given a connection, the catalog ids, and id and time of the publication.

Returns the number of users with a list, and of those whose list changed.
"""


def check_content(content: Content) -> None:
    """Raises ValueError for invalid lists (see check_lists)."""
    for lists in (content.lists, content.fallback, *(part for each in content.in_places for part in (each.users, each.fallback))):
        check_lists(lists, len(content.item_ids))


def publish(
    lake: Lake, content: Content, cadence: str, to_refresh: UsersToRefresh, event_weights: Mapping[str, float], write: Write
) -> Publication:
    """Write the tables of a nightly or minute run, and record the publication. If the process is killed, the old tables stay intact.

    Raises ValueError for invalid lists (see check_lists).
    """
    started = time.perf_counter()
    for some in (content, content.of_arm):
        if some is not None:
            check_content(some)
    item_ids, made = pa.array(content.item_ids, pa.string()), content.provenance
    publication_id = publication_id_of(made, cadence)
    with writing(lake) as con:
        stamp = Stamp(publication_id, next_moment(con))
        if content.interests is not None:  # first, as reasons cite them
            write_interests(con, item_ids, content.interests, asdict(made))
        n_users, n_users_changed = write(con, item_ids, stamp)
        done = Publication(publication_id, n_users, n_users_changed, len(item_ids), seconds=0.0)
        write_graph(con, content, event_weights, lake.threads, is_all=cadence != "minute")
        note_publication(con, done, content, cadence, stamp.published_at)
        note_prequential(con, content.prequential, content.versions, made)
        note_freshness(con, content.news, publication_id, made)
        note_moved(con, to_refresh, made)
        note_rules(con, content.rules)
        move_watermarks(con, content.watermarks_after, made)
        note_experiment(con, content.arm, stamp)
    return log_publication(replace(done, seconds=round(time.perf_counter() - started, 2)))
