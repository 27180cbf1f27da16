"""Which users without news get a new list, and when."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
import polars as pl

from tasks.config import PublishConfig
from tasks.lake import Lake, reading, statement

LOOKED_AT = 10
SPARE = 1.25


@dataclass(frozen=True)
class Refresh:
    """Whose lists are to be made anew though nothing happened: those made before older_than (UTC), at most n_old a minute.

    is_due: whether there is any. n_most: where there are fewer, so many lists are made anew in all, for what else may have changed them.
    is_waiting: whether a minute before this one had no room for all of the latter.
    """

    older_than: datetime
    n_old: int
    n_most: int
    is_due: bool
    is_waiting: bool = False


@dataclass(frozen=True)
class Beside:
    """Users without news whose lists a minute makes anew. moved: the items that made some of them stale.

    is_settled: whether no more lists wait for these items, or those of before.
    """

    user_ids: list[str]
    moved: tuple[str, ...]
    is_settled: bool


ALL_SETTLED = Beside([], (), is_settled=True)
"""No list waits, such as after a publish of all lists."""


def pace(n_users: int, publish: PublishConfig) -> tuple[timedelta, int]:
    """From which age on, and how many a minute, lists are made anew so that all are before they are refresh_after_hours old.

    As late as refresh_users a minute allow, with a quarter of the time and a minute to spare for minutes that are missed, but when they are
    half as old at the earliest: where that is too late, a minute makes more.
    """
    minutes = publish.refresh_after_hours * 60
    if not publish.refresh_users:
        return timedelta(minutes=minutes), 0
    needed = math.ceil(SPARE * n_users / publish.refresh_users) + 1
    if needed <= minutes / 2:
        return timedelta(minutes=minutes - needed), publish.refresh_users
    return timedelta(minutes=minutes / 2), math.ceil(SPARE * n_users / max(int(minutes / 2), 1))


def due_refresh(con: duckdb.DuckDBPyConnection, publish: PublishConfig, now: datetime) -> Refresh:
    (n_users,) = con.execute(statement("minute/count_histories")).fetchone() or (0,)
    age, n_old = pace(n_users, publish)
    (is_waiting,) = con.execute(statement("minute/is_waiting"), {"older_than": now - age}).fetchone() or (False,)
    is_due = n_old > 0 and bool(_old_lists(con, now - age, 1))
    return Refresh(now - age, n_old, publish.refresh_users, is_due, bool(is_waiting))


def _old_lists(con: duckdb.DuckDBPyConnection, older_than: datetime, n_most: int, exclude: Collection[str] = ()) -> list[str]:
    con.register("excluded", pl.DataFrame({"user_id": pl.Series(list(exclude), dtype=pl.String)}))
    found = con.execute(statement("minute/old_lists"), {"older_than": older_than, "n_most": n_most}).fetchall()
    return [str(user) for (user,) in found]


def users_to_refresh(lake: Lake, moved_item_ids: Collection[str], refresh: Refresh, exclude: Collection[str] = ()) -> Beside:
    """Users whose list should be made anew although they did nothing.

    First those whose list has grown old, oldest first; then, up to refresh.n_most in all, those with a moved item among their first
    ten, or anywhere one that is gone. What moved in an earlier minute counts for the lists that no minute has had room for since.
    """
    with reading(lake) as con:
        con.execute("reset dynamic_or_filter_threshold")  # the lists of all are searched: to look for each id within the scan takes longer
        old = _old_lists(con, refresh.older_than, refresh.n_old, exclude) if refresh.is_due else []
        con.register("excluded", pl.DataFrame({"user_id": pl.Series([*exclude, *old], dtype=pl.String)}))
        con.register("moved", pl.DataFrame({"item_id": pl.Series(list(moved_item_ids), dtype=pl.String)}))
        n_left = max(refresh.n_most - len(old), 0)
        room = {"depth": LOOKED_AT, "n_most": n_left, "older_than": refresh.older_than}
        near = con.execute(statement("minute/lists_with_items"), room).fetchall()
    is_settled = len(near) < n_left or not refresh.n_most
    return Beside([*old, *(str(user) for (user,) in near)], tuple(dict.fromkeys(moved_item_ids)), is_settled)
