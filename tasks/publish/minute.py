"""Publish of a minute run: the changed lists, histories and metrics, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import duckdb
import polars as pl
import pyarrow as pa

from models.errors import UserError
from tasks.event_types import EVENT_WEIGHTS
from tasks.lake import ANYONE, Lake, statement
from tasks.minute.feed import MERGED
from tasks.minute.pacing import UsersToRefresh
from tasks.publish.inserts import insert_arm, insert_lists, insert_neighbours, insert_scenario_lists, insert_searches
from tasks.publish.list_history import in_tables, note_ended_lists
from tasks.publish.notes import fresh_events
from tasks.publish.publication import CHANGED_DEPTH, Content, Publication, Stamp
from tasks.publish.transaction import publish
from tasks.watermarks import Watermarks, watermarks_of


class StaleError(UserError):
    """Another run has published since this run read the news."""


def publish_minute(
    lake: Lake, content: Content, before: Watermarks, to_refresh: UsersToRefresh, event_weights: Mapping[str, float] = EVENT_WEIGHTS
) -> Publication:
    """Replace the lists of some users and the fallback list, add the new events to the histories and the graph, record the publication.

    before: the watermarks from which the news was read. to_refresh: the listed users without new events, and the moved items; the
    items are stored for the next run if lists stay stale. Raises StaleError, and changes nothing, if the watermarks have changed: another
    run has published, or this run already has.
    """

    def write(con: duckdb.DuckDBPyConnection, item_ids: pa.Array, stamp: Stamp) -> tuple[int, int]:
        _check_watermarks(con, before)
        merged = pl.DataFrame(schema=MERGED) if content.news is None else content.news.merged
        con.register("merged", merged)
        _make_room(con, content, merged["alias"])
        con.execute("set threads = 1")  # an insert by several threads does not keep the order of the rows
        _remove_barred_items(con, item_ids, content, stamp)
        _extend_histories(con, content)  # before the lists, as reasons read histories and searches
        _merge_searches(con, merged)
        _replace_some_searches(con, content)
        counts = _insert_some_lists(con, item_ids, content, stamp)
        insert_scenario_lists(con, item_ids, content, stamp)
        counts = _with_arm(con, counts, content, stamp)
        note_ended_lists(con, content, stamp)
        _replace_some_neighbours(con, item_ids, content)
        return counts

    return publish(lake, content, "minute", to_refresh, event_weights, write)


def _make_room(con: duckdb.DuckDBPyConnection, content: Content, merged: pl.Series) -> None:
    """Delete the old lists of the listed users and of merged ids, and the fallback lists, after storing fingerprints of their top ranks.

    The statements scan all lists, so their time grows with the number of users. Also deletes the lists of scenarios that are gone.
    """
    con.register("at_hand", pa.table({"user_id": pa.array([*content.user_ids, *merged, ANYONE], pa.string())}))
    con.execute(statement("minute/remember_lists"), {"depth": CHANGED_DEPTH})
    con.execute(statement("minute/delete_recommendations"))
    if content.in_places or content.rules.is_changed:
        con.register("in_tables", in_tables(content))
        con.execute(statement("scenarios/remember_lists"))
        con.execute(statement("scenarios/delete_lists"))


def _remove_barred_items(con: duckdb.DuckDBPyConnection, item_ids: pa.Array, content: Content, stamp: Stamp) -> None:
    """Remove items that are unavailable or that a scenario no longer allows from all lists that this run does not make again.

    Does nothing unless an item of the news is unavailable, or other items are allowed than at the last publication.
    """
    is_withdrawn = content.news is not None and not content.news.items.filter(~pl.col("is_available")).is_empty()
    if not (content.barred and (is_withdrawn or content.rules.is_changed)):
        return
    barred = [pa.table({"item_id": item_ids.filter(pa.array(is_barred))}) for is_barred in content.barred.values()]
    names = [pa.array([name] * len(table), pa.string()) for name, table in zip(content.barred, barred, strict=True)]
    tables = [table.append_column("scenario", name) for table, name in zip(barred, names, strict=True)]
    con.register("barred", pa.concat_tables(tables))
    for place in ("default", "scenarios") if content.in_places else ("default",):
        con.execute(statement(f"scenarios/keep_{place}"))
        con.execute(statement(f"scenarios/note_barred_{place}"), asdict(stamp))
        for name in ("delete_barred", "insert_kept"):
            con.execute(statement(f"scenarios/{name}_{place}"))


def _insert_some_lists(con: duckdb.DuckDBPyConnection, item_ids: pa.Array, content: Content, stamp: Stamp) -> tuple[int, int]:
    """The number of users who got a list, and of those whose list changed."""
    insert_lists(con, item_ids, content.lists, content.fallback, content.provenance, stamp)
    return con.execute(statement("minute/count_users"), {"depth": CHANGED_DEPTH}).fetchone() or (0, 0)


def _with_arm(con: duckdb.DuckDBPyConnection, counts: tuple[int, int], content: Content, stamp: Stamp) -> tuple[int, int]:
    """Insert the lists of an experiment's challenger; returns the counts of both arms together."""
    if not insert_arm(con, content, stamp):
        return counts
    n_users, n_changed = con.execute(statement("minute/count_users"), {"depth": CHANGED_DEPTH}).fetchone() or (0, 0)
    return counts[0] + n_users, counts[1] + n_changed


def _replace_some_neighbours(con: duckdb.DuckDBPyConnection, item_ids: pa.Array, content: Content) -> None:
    if not len(content.neighbour_rows):
        return
    con.register("new_items", pa.table({"item_id": item_ids.take(pa.array(content.neighbour_rows))}))
    con.execute(statement("minute/delete_similar_items"))
    insert_neighbours(con, item_ids, content)


def _extend_histories(con: duckdb.DuckDBPyConnection, content: Content) -> None:
    if content.news is None:
        return
    fresh = fresh_events(content.news)
    con.register("fresh", fresh)
    con.register("renewed", pl.concat([fresh["user_id"], content.news.merged["user_id"]]).unique().to_frame())
    con.register("histories", content.news.histories)
    con.execute(statement("minute/delete_histories"))
    con.execute(statement("minute/insert_histories"), {"max_events": content.max_events, "updated_at": content.provenance.generated_at})


def _merge_searches(con: duckdb.DuckDBPyConnection, merged: pl.DataFrame) -> None:
    """Give the last search of merged ids to their users, and delete the interests that were published for these ids."""
    if merged.is_empty():
        return
    for name in ("create_merged_searches", "delete_merged_searches", "insert_merged_searches"):
        con.execute(statement(f"minute/{name}"))
    con.register("renewed", merged.select(user_id="alias"))
    con.execute(statement("interests/delete_user_interests"), {"is_all": False})


def _replace_some_searches(con: duckdb.DuckDBPyConnection, content: Content) -> None:
    if content.searches is not None and content.searches.rows.height:
        con.register("searched", content.searches.rows)
        con.execute(statement("minute/delete_searches"))
        insert_searches(con, content)


def _check_watermarks(con: duckdb.DuckDBPyConnection, before: Watermarks) -> None:
    now = watermarks_of(con)
    if now != before:
        raise StaleError(
            f"another run has published since the news was read: the watermarks were {before} and are now {now}; "
            "nothing was written, and the next minute run continues from there"
        )
