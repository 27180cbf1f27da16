"""Opting out: a person's events are kept, and their lists are those for everybody."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

import duckdb

from models.errors import UserError
from tasks.lake import ANYONE, Lake, statement, writing
from tasks.privacy.border import stored_ids

STEPS = (
    "opt_out/delete_opt_outs",
    "opt_out/insert_opt_outs",
    "opt_out/note_ended_lists",
    "opt_out/delete_recommendations",
    "opt_out/delete_scenario_recommendations",
    "opt_out/delete_user_interests",
    "opt_out/delete_edges",
    "opt_out/delete_nodes",
    "opt_out/forget_served",
)
"""Statements that take people out of everything that is made of their events, in order."""


def opt_out(lake: Lake, user_ids: Collection[str]) -> int:
    """Take away the lists, interests and graph nodes of people, who get the lists for everybody from now on.

    Returns the number of people who had not opted out before. Ids that were merged into a person count for the person. Their events and
    histories stay, so that opt_in brings everything back. Raises UserError for an id that stands for nobody.
    """
    with writing(lake) as con:
        people = _register(con, lake, user_ids)
        known = opted_out(con)
        now = {"now": datetime.now(UTC).replace(tzinfo=None)}
        for name in STEPS:
            con.execute(statement(f"privacy/{name}"), now if name.endswith(("insert_opt_outs", "note_ended_lists")) else None)
    return len(people - known)


def opt_in(lake: Lake, user_ids: Collection[str]) -> int:
    """Let people have lists of their own again: the next minute makes them, interests follow with their next event or the next night.

    Returns the number of people who had opted out. Raises UserError for an id that stands for nobody.
    """
    with writing(lake) as con:
        people = _register(con, lake, user_ids)
        known = opted_out(con)
        con.execute(statement("privacy/opt_in"), {"now": datetime.now(UTC).replace(tzinfo=None)})
    return len(people & known)


def opted_out(con: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """Who has opted out, as the lake names them."""
    try:
        return frozenset(user_id for (user_id,) in con.execute(statement("privacy/opted_out")).fetchall())
    except duckdb.CatalogException:  # a lake of an earlier version
        return frozenset()


def _register(con: duckdb.DuckDBPyConnection, lake: Lake, user_ids: Collection[str]) -> frozenset[str]:
    """Register the table asked of the given people, and create the table leaving of all their ids; returns the people."""
    for user_id in user_ids:
        if not user_id.strip() or user_id == ANYONE:
            raise UserError(f"{user_id!r} stands for nobody; name the id of a person, as in raw.events")
    given = stored_ids(lake, list(user_ids), con)
    import pyarrow as pa  # takes a third of a second, which commands that only ask who has opted out need not wait

    con.register("asked", pa.table({"user_id": pa.array(given, pa.string())}))
    con.execute(statement("privacy/create_leaving"))
    return frozenset(user_id for (user_id,) in con.execute(statement("privacy/leaving")).fetchall())
