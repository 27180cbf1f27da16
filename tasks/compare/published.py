"""Lists that versions published, and the items in them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import polars as pl

from tasks.compare.difference import LISTS
from tasks.lake import Lake, reading, statement


def lists_of_version(lake: Lake, version: str, n_users: int) -> pl.DataFrame | None:
    """The lists that were live with a version, of at most n_users users, the same ones for every version; None if they are not known."""
    with reading(lake) as con:
        if con.execute(statement("compare/has_lists"), {"version": version}).fetchone() != (True,):
            return None
        return _lists(con.execute(statement("compare/lists_of_version"), {"version": version, "n_users": n_users}).pl())


def live_lists(lake: Lake, user_ids: Sequence[str]) -> pl.DataFrame:
    """The published lists of some users."""
    with reading(lake) as con:
        con.register("sampled", pl.DataFrame({"user_id": pl.Series(list(user_ids), dtype=pl.String)}))
        return _lists(con.execute(statement("compare/live_lists")).pl())


def items_of(lake: Lake, ignored_types: Collection[str]) -> pl.DataFrame:
    """All items: item_id, title, categories, popularity. ignored_types: types of events that do not count for popularity."""
    with reading(lake) as con:
        return con.execute(statement("compare/items"), {"ignored_types": list(ignored_types)}).pl()


def _lists(found: pl.DataFrame) -> pl.DataFrame:
    return found.cast(dict(LISTS))  # type: ignore[arg-type]
