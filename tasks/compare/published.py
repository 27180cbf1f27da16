"""Lists that versions published, the items in them, and the difference between the lists of two versions. Loads no model."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import polars as pl

from tasks.compare.difference import LISTS, PUBLISHED, Difference, difference_of
from tasks.lake import Lake, reading, statement

N_USERS = 20_000
"""Largest number of users whose published lists are compared, if no other is given."""


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


def published_difference(lake: Lake, before: str, after: str, n_users: int, event_weights: Mapping[str, float]) -> Difference | None:
    """The difference between the lists that were live with two versions; None if those of one of them are not known."""
    first, second = (lists_of_version(lake, version, n_users) for version in (before, after))
    if first is None or second is None:
        return None
    return difference_of(before, after, (first, second), items_of(lake, ignored(event_weights)), PUBLISHED)


def ignored(event_weights: Mapping[str, float]) -> list[str]:
    """The types of events that teach nothing."""
    return [name for name, weight in event_weights.items() if not weight > 0]
