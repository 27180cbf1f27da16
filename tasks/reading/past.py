"""Lists as they were at a time, for people."""

from __future__ import annotations

from datetime import datetime

from models.errors import UserError
from tasks.lake import ANYONE, Lake
from tasks.reading.asking import ask, asking, demand_text
from tasks.reading.lists import UserList

DEFAULT = "default"


def list_at(lake: Lake, user_id: str, moment: datetime, k: int, scenario: str = DEFAULT) -> UserList:
    """The best k items of the list that a user had at a time (UTC), with the model, runs and snapshot behind it.

    A user who had no list of their own then gets the list for anyone, with a note. Raises UserError if no list of that time is known.
    """
    demand_text(user_id, scenario)
    place: dict[str, str | int] = {"scenario": scenario}
    with asking(lake) as con:
        at: dict[str, str | int] = {**place, "moment": moment.isoformat(), "k": k}
        own = ask(con, "list_at", {**at, "user_id": user_id})
        if own and own[0]["rank"]:
            return UserList(user_id, [{"user_id": user_id, **row} for row in own], None)
        first = ask(con, "first_list", {**place, "user_id": user_id})[0]["published_at"]
        anyone = [row for row in ask(con, "list_at", {**at, "user_id": ANYONE}) if row["rank"]]
        if not anyone:
            begin = ask(con, "first_list", {**place, "user_id": ANYONE})[0]["published_at"]
            since = "is empty" if begin is None else f"begins at {begin:%Y-%m-%d %H:%M:%S} UTC"
            raise UserError(f"no list of scenario {scenario!r} at {moment:%Y-%m-%d %H:%M:%S} UTC is known: the history of lists {since}")
    known = "" if first is None or own else f"; the first that is known of them is of {first:%Y-%m-%d %H:%M:%S} UTC"
    why = f"user {user_id} had no list of their own then{known}"
    return UserList(user_id, [{"user_id": user_id, **row} for row in anyone], f"{why}; this was the list for anyone")
