"""A minute's publish: the lists, histories and figures that change, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import duckdb
import pyarrow as pa

from models.errors import UserError
from tasks.lake import Lake, statement
from tasks.minute.pacing import Beside
from tasks.publish.inserts import CHANGED_DEPTH, insert_neighbours, list_rows
from tasks.publish.notes import fresh_events
from tasks.publish.publication import Content, Publication
from tasks.publish.rows import ANYONE
from tasks.publish.transaction import publish
from tasks.watermarks import Watermarks, watermarks_of


class StaleError(UserError):
    """Another run has published since the news were read."""


def publish_minute(lake: Lake, content: Content, before: Watermarks, beside: Beside) -> Publication:
    """Replace the lists of some users and the list for anyone, add the new events to the histories, and note the publication.

    before: the watermarks since which the news were read. beside: the users without news among those of the lists, and what moved; what
    is not settled is remembered for the next minute. Raises StaleError, and changes nothing, where the watermarks have moved on: another
    run has published, or this one has already.
    """

    def write(con: duckdb.DuckDBPyConnection, item_ids: pa.Array, _: str) -> tuple[int, int]:
        _check_watermarks(con, before)
        _make_room(con, content.lists.user_ids)
        con.execute("set threads = 1")  # an insert by several threads does not keep the order of the rows
        counts = _insert_some_lists(con, item_ids, content)
        _replace_some_neighbours(con, item_ids, content)
        _extend_histories(con, content)
        return counts

    return publish(lake, content, "minute", beside, write)


def _make_room(con: duckdb.DuckDBPyConnection, user_ids: Sequence[str]) -> None:
    """Delete the lists of some users and the one for anyone, and remember their tops: the scans that grow with the number of users."""
    con.register("at_hand", pa.table({"user_id": pa.array([*user_ids, ANYONE], pa.string())}))
    con.execute(statement("minute/remember_lists"), {"depth": CHANGED_DEPTH})
    con.execute(statement("minute/delete_recommendations"))


def _insert_some_lists(con: duckdb.DuckDBPyConnection, item_ids: pa.Array, content: Content) -> tuple[int, int]:
    """How many users got a list, and how many of them a changed one."""
    con.register("lists", list_rows(con, item_ids, content).read_all())
    con.execute(statement("publish/insert_recommendations"), asdict(content.provenance))
    return con.execute(statement("minute/count_users"), {"depth": CHANGED_DEPTH}).fetchone() or (0, 0)


def _replace_some_neighbours(con: duckdb.DuckDBPyConnection, item_ids: pa.Array, content: Content) -> None:
    if not len(content.neighbour_rows):
        return
    con.register("new_items", pa.table({"item_id": item_ids.take(pa.array(content.neighbour_rows))}))
    con.execute(statement("minute/delete_similar_items"))
    insert_neighbours(con, item_ids, content)


def _extend_histories(con: duckdb.DuckDBPyConnection, content: Content) -> None:
    if content.news is None:
        return
    con.register("fresh", fresh_events(content.news))
    con.register("histories", content.news.histories)
    con.execute(statement("minute/delete_histories"))
    con.execute(statement("minute/insert_histories"), {"max_events": content.max_events, "updated_at": content.provenance.generated_at})


def _check_watermarks(con: duckdb.DuckDBPyConnection, before: Watermarks) -> None:
    now = watermarks_of(con)
    if now != before:
        raise StaleError(
            f"another run has published since the news were read: the watermarks are {now} and no longer {before}; "
            "nothing was written, and the next minute goes on from there"
        )
