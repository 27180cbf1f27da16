"""A minute's publish: the lists, histories and figures that change, in one transaction."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import duckdb
import pyarrow as pa

from models.errors import UserError
from models.events import Ints
from models.results import MetricRow, Neighbours, RankedLists
from tasks.lake import ANYONE, Lake, statement, writing
from tasks.minute.feed import News
from tasks.minute.pacing import Beside
from tasks.publish.publication import (
    CHANGED_DEPTH,
    Provenance,
    Publication,
    fresh_events,
    insert_neighbours,
    move_watermarks,
    note_freshness,
    note_moved,
    note_prequential,
    note_publication,
    publication_id_of,
    told,
    with_reasons,
)
from tasks.publish.rows import LISTS, check_lists, list_batches
from tasks.watermarks import Watermarks, watermarks_of


class StaleError(UserError):
    """Somebody else has published since the news were read."""


def publish_minute(
    lake: Lake,
    catalog_item_ids: Sequence[str],
    lists: RankedLists,
    fallback: RankedLists,
    neighbours_of: tuple[Ints, Neighbours],
    news: News,
    beside: Beside,
    max_events: int,
    provenance: Provenance,
    watermarks_before: Watermarks,
    watermarks_after: Watermarks,
    *,
    champion: str | None = None,
    prequential: Sequence[MetricRow] = (),
    versions: Mapping[str, str] | None = None,
    cadence: str = "minute",
) -> Publication:
    """Replace the lists of some users and the list for anyone, add the new events to the histories, and note the publication.

    All of it is one transaction. neighbours_of: some catalog rows, and the neighbours of each. beside: the users without news among those
    of the lists, and what moved; where that is not settled it is remembered for the next minute. champion, prequential, versions: as
    in publish. Raises StaleError, and changes nothing, where the watermarks are no longer those of before: another run has
    published, or this one has already.
    """
    started = time.perf_counter()
    check_lists(lists, len(catalog_item_ids))
    check_lists(fallback, len(catalog_item_ids))
    item_ids = pa.array(catalog_item_ids, pa.string())
    publication_id = publication_id_of(provenance, cadence)
    with writing(lake) as con:
        _check_watermarks(con, watermarks_before)
        _make_room(con, lists.user_ids)
        con.execute("set threads = 1")  # an insert by several threads does not keep the order of the rows
        n_users, n_users_changed = _insert_some_lists(con, item_ids, lists, fallback, provenance)
        _replace_some_neighbours(con, item_ids, *neighbours_of, provenance)
        _extend_histories(con, news, max_events, provenance)
        note_publication(con, Publication(publication_id, n_users, n_users_changed, len(item_ids), 0.0), provenance, cadence, champion)
        note_prequential(con, prequential, versions or {}, provenance)
        note_freshness(con, news, publication_id, provenance)
        note_moved(con, beside, provenance)
        move_watermarks(con, watermarks_after, provenance)
    return told(Publication(publication_id, n_users, n_users_changed, len(item_ids), round(time.perf_counter() - started, 2)))


def _make_room(con: duckdb.DuckDBPyConnection, user_ids: Sequence[str]) -> None:
    """Delete the lists of some users and the one for anyone, and remember their tops: the scans that grow with the number of users."""
    con.register("at_hand", pa.table({"user_id": pa.array([*user_ids, ANYONE], pa.string())}))
    con.execute(statement("minute/remember_lists"), {"depth": CHANGED_DEPTH})
    con.execute(statement("minute/delete_recommendations"))


def _insert_some_lists(
    con: duckdb.DuckDBPyConnection, item_ids: pa.Array, lists: RankedLists, fallback: RankedLists, provenance: Provenance
) -> tuple[int, int]:
    """How many users got a list, and how many of them a changed one."""
    batches = list_batches(item_ids, fallback, *with_reasons(con, item_ids, lists, provenance.data_snapshot))
    con.register("lists", pa.Table.from_batches(batches, LISTS))
    con.execute(statement("publish/insert_recommendations"), asdict(provenance))
    return con.execute(statement("minute/count_users"), {"depth": CHANGED_DEPTH}).fetchone() or (0, 0)


def _replace_some_neighbours(
    con: duckdb.DuckDBPyConnection, item_ids: pa.Array, rows: Ints, neighbours: Neighbours, provenance: Provenance
) -> None:
    if not len(rows):
        return
    con.register("new_items", pa.table({"item_id": item_ids.take(pa.array(rows))}))
    con.execute(statement("minute/delete_similar_items"))
    insert_neighbours(con, item_ids, rows, neighbours, provenance)


def _extend_histories(con: duckdb.DuckDBPyConnection, news: News, max_events: int, provenance: Provenance) -> None:
    con.register("fresh", fresh_events(news))
    con.register("histories", news.histories)
    con.execute(statement("minute/delete_histories"))
    con.execute(statement("minute/insert_histories"), {"max_events": max_events, "updated_at": provenance.generated_at})


def _check_watermarks(con: duckdb.DuckDBPyConnection, before: Watermarks) -> None:
    now = watermarks_of(con)
    if now != before:
        raise StaleError(
            f"another run has published since the news were read: the watermarks are {now} and no longer {before}; "
            "nothing was written, and the next minute goes on from there"
        )
