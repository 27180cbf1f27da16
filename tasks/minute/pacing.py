"""Refresh of old and stale lists: which users without new events get a new list, and when."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
import polars as pl

from tasks.config import PublishConfig
from tasks.lake import AT_HAND, Readable, reading, statement

LOOKED_AT = 10
SPARE = 1.25


@dataclass(frozen=True)
class Refresh:
    """Limits for refreshing the lists of users without new events.

    Lists made before older_than (UTC) are old; a run refreshes at most n_old of them. is_due: whether any list is old. n_most: limit for
    old lists plus stale lists, those with an item that changed; old lists come first. is_waiting: whether an earlier run left stale
    lists unrefreshed.
    """

    older_than: datetime
    n_old: int
    n_most: int
    is_due: bool
    is_waiting: bool = False


@dataclass(frozen=True)
class UsersToRefresh:
    """Users without new events whose lists this run refreshes. moved: the changed items that made lists stale.

    is_settled: whether no list is left stale, by these items or by items of earlier runs.
    """

    user_ids: list[str]
    moved: tuple[str, ...]
    is_settled: bool


ALL_SETTLED = UsersToRefresh([], (), is_settled=True)
"""No list is stale, as after a publish of all lists."""


def pace(n_users: int, publish: PublishConfig) -> tuple[timedelta, int]:
    """The age at which lists are refreshed, and the number per minute, so that no list gets older than refresh_after_hours.

    The age is as high as refresh_users per minute allows, with 25 % and one minute of slack for skipped runs, but at least half of
    refresh_after_hours. If that is too late for refresh_users per minute, the number per minute rises.
    """
    minutes = publish.refresh_after_hours * 60
    if not publish.refresh_users:
        return timedelta(minutes=minutes), 0
    needed = math.ceil(SPARE * n_users / publish.refresh_users) + 1
    if needed <= minutes / 2:
        return timedelta(minutes=minutes - needed), publish.refresh_users
    return timedelta(minutes=minutes / 2), math.ceil(SPARE * n_users / max(int(minutes / 2), 1))


def due_refresh(con: duckdb.DuckDBPyConnection, publish: PublishConfig, now: datetime, since: datetime | None = None) -> Refresh:
    """The limits of a run at `now` (UTC). since: older lists follow other rules, and so are old."""
    (n_users,) = con.execute(statement("minute/count_histories")).fetchone() or (0,)
    age, n_old = pace(n_users, publish)
    older_than = max(now - age, since or datetime.min)
    (is_waiting,) = con.execute(statement("minute/is_waiting"), {"older_than": older_than}).fetchone() or (False,)
    is_due = n_old > 0 and bool(_old_lists(con, older_than, 1))
    return Refresh(older_than, n_old, publish.refresh_users, is_due, bool(is_waiting))


def _old_lists(con: duckdb.DuckDBPyConnection, older_than: datetime, n_most: int, exclude: Collection[str] = ()) -> list[str]:
    con.register("excluded", pl.DataFrame({"user_id": pl.Series(list(exclude), dtype=pl.String)}))
    found = con.execute(statement("minute/old_lists"), {"older_than": older_than, "n_most": n_most}).fetchall()
    return [str(user) for (user,) in found]


def users_to_refresh(at: Readable, moved_item_ids: Collection[str], refresh: Refresh, exclude: Collection[str] = ()) -> UsersToRefresh:
    """Users without new events whose list this run should refresh.

    Users with old lists come first, oldest list first. Then, up to refresh.n_most in total, users whose list has a moved item in its
    top ten or an unavailable item at any rank. Items that moved in earlier runs count for lists that no run has refreshed since.
    """
    with reading(at) as con:
        con.execute("reset dynamic_or_filter_threshold")  # the query scans all lists: a dynamic filter per id would be slower
        old = _old_lists(con, refresh.older_than, refresh.n_old, exclude) if refresh.is_due else []
        con.register("excluded", pl.DataFrame({"user_id": pl.Series([*exclude, *old], dtype=pl.String)}))
        con.register("moved", pl.DataFrame({"item_id": pl.Series(list(moved_item_ids), dtype=pl.String)}))
        n_left = max(refresh.n_most - len(old), 0)
        room = {"depth": LOOKED_AT, "n_most": n_left, "older_than": refresh.older_than}
        near = con.execute(statement("minute/lists_with_items"), room).fetchall()
        con.execute(f"set dynamic_or_filter_threshold = {AT_HAND:d}")
    is_settled = len(near) < n_left or not refresh.n_most
    return UsersToRefresh([*old, *(str(user) for (user,) in near)], tuple(dict.fromkeys(moved_item_ids)), is_settled)
