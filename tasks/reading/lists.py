"""Lists, similar items and interests, for people."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import duckdb

from models.errors import UserError
from tasks.lake import ANYONE, Lake
from tasks.privacy.opt_out import opted_out
from tasks.reading.asking import Row, ask, asking, demand_item, demand_text, nobody, nothing_published

NO_INTERESTS = (
    "the live model knows no interests: it was trained before this was possible, or its items have neither labels nor texts; "
    "run minutehand nightly, or give items categories: minutehand ingest items FILE --map categories=COLUMN"
)
BY_AND_BY = (
    "each minute run makes the lists of those who did something, and of up to 500 others (MINUTEHAND_PUBLISH__REFRESH_USERS); "
    "minutehand nightly makes all"
)


@dataclass(frozen=True)
class UserList:
    """The list of one user; note: why it is the list for anyone; None if the user has their own list."""

    user_id: str
    rows: list[Row]
    note: str | None


@dataclass(frozen=True)
class AllLists:
    """Lists of all users. rows: user_id (`*` for anyone), rank, item_id. published_at: of the newest publication, UTC."""

    rows: list[Row]
    published_at: datetime


def lists_of(lake: Lake, user_ids: Sequence[str], k: int, scenario: str | None = None) -> list[UserList]:
    """The best k items of each user, best first. A user without a list gets the list for anyone, whose source is 'popular'.

    An id that was merged into a user gets the list of this user.

    scenario: one whose lists are in recs.scenario_recommendations; None for recs.recommendations. Raises UserError if nothing has been
    published yet; the message names the command to run next.
    """
    demand_text(*user_ids)
    with asking(lake) as con:
        return [_list_of(con, user_id, k, scenario) for user_id in user_ids]


def all_lists(lake: Lake, k: int) -> AllLists:
    """The best k items of everybody's list. Raises UserError if nothing has been published yet."""
    with asking(lake) as con:
        (newest,) = ask(con, "last_publication") or (None,)
        if newest is None:
            raise nothing_published(con)
        return AllLists(ask(con, "first_places", {"k": k}), newest["published_at"])


def interests_of(lake: Lake, user_id: str) -> UserList:
    """The interests of a user, short horizon first. A user who has none yet gets those of everybody, with a note.

    Raises UserError if nothing has been published yet, or if the live model knows no interests.
    """
    demand_text(user_id)
    with asking(lake) as con:
        person, merged = _person(con, user_id)
        own = ask(con, "user_interests", {"user_id": person})
        rows = [{"user_id": user_id, **row} for row in own or ask(con, "user_interests", {"user_id": ANYONE})]
        if own:
            return UserList(user_id, rows, merged)
        if not ask(con, "last_publication"):
            raise nothing_published(con)
        if not rows:
            raise UserError(NO_INTERESTS)
        has_events = ask(con, "find_user", {"user_id": person})[0]["is_known"]
        why = f"user {user_id} has events, but no interests yet" if has_events else nobody(con, user_id)
        why = f"user {user_id} has opted out" if user_id in opted_out(con) else why
        return UserList(user_id, rows, f"{why}; this is what everybody is interested in")


def similar(lake: Lake, item_id: str, k: int) -> list[Row]:
    """The k items most similar to an item, most similar first.

    Raises UserError for an item without neighbours: nothing is published yet, the published model does not know the item, or the
    id is unknown. For an unknown id, the message proposes similar ids.
    """
    demand_text(item_id)
    with asking(lake) as con:
        found = ask(con, "similar_items", {"item_id": item_id, "k": k})
        if found:
            return found
        if not ask(con, "last_publication"):
            raise nothing_published(con)
        demand_item(con, item_id)
        raise UserError(f"item {item_id!r} has no neighbours: the live model has not seen it; the next `minutehand nightly` learns it")


def demand_known(lake: Lake, user_id: str, item_id: str) -> str:
    """The user that an id stands for: the id itself, or the user into whom it was merged.

    Raises UserError if nothing is published yet, or if the item is unknown, or if the user has neither a history nor a list.
    """
    demand_text(user_id, item_id)
    with asking(lake) as con:
        if not ask(con, "last_publication"):
            raise nothing_published(con)
        demand_item(con, item_id)
        person, _ = _person(con, user_id)
        if not opted_out(con).isdisjoint({user_id, person}):
            raise UserError(f"user {user_id!r} has opted out and gets the lists for everybody; to undo it: minutehand opt-in {user_id!r}")
        if ask(con, "has_history", {"user_id": person})[0]["is_listed"]:
            return person
        if ask(con, "find_user", {"user_id": person})[0]["is_known"]:
            raise UserError(f"user {user_id!r} has events, but no list yet; the next `minutehand minute` makes one")
        raise UserError(f"{nobody(con, user_id)}; the list for anyone follows from popularity alone: minutehand recommend {user_id!r}")


def _list_of(con: duckdb.DuckDBPyConnection, user_id: str, k: int, scenario: str | None) -> UserList:
    name, place = ("recommendations", {}) if scenario is None else ("scenario_recommendations", {"scenario": scenario})
    person, merged = _person(con, user_id)
    own = ask(con, name, {**place, "user_id": person, "k": k})
    if own:
        return UserList(user_id, [{"user_id": user_id, **row} for row in own], merged)
    anyone = ask(con, name, {**place, "user_id": ANYONE, "k": k})
    if not anyone and not ask(con, "last_publication"):
        raise nothing_published(con)
    if not anyone and scenario is not None and not ask(con, "is_in_force", {"scenario": scenario}):
        raise UserError(f"no lists of scenario {scenario!r} are published yet; the next `minutehand minute` makes them")
    if not opted_out(con).isdisjoint({user_id, person}):
        why = f"user {user_id} has opted out"
    elif scenario is not None and ask(con, "has_history", {"user_id": person})[0]["is_listed"]:
        why = f"user {user_id} has no list of scenario {scenario!r} yet: {BY_AND_BY}"
    else:
        has_events = ask(con, "find_user", {"user_id": person})[0]["is_known"]
        why = f"user {user_id} has events, but no list yet" if has_events else nobody(con, user_id)
    return UserList(user_id, [{"user_id": user_id, **row} for row in anyone], f"{why}; this is the list for anyone")


def _person(con: duckdb.DuckDBPyConnection, user_id: str) -> tuple[str, str | None]:
    """The user that an id stands for, and a note if that is another id: it was merged into that user."""
    with suppress(duckdb.CatalogException):  # a lake of before merges, which the next run migrates
        for row in ask(con, "person", {"alias": user_id}):
            return row["user_id"], f"{user_id} was merged into user {row['user_id']}: this is what is known about both"
    return user_id, None
