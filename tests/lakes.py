"""Rows put into a lake as they are, past the checks of ingest: for shops of a few lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import pyarrow as pa

from tasks.lake import Lake, writing

START = datetime(2026, 1, 1)
Event = tuple[str, str | None, float]
"""User, item, hours since START."""


INSERT_EVENTS = """
    insert into raw.events
    select event_id, user_id, item_id, event_type, null, null, occurred_at, occurred_at, null, null, null from events
"""
INSERT_ITEMS = """
    insert into raw.items
    select item_id, title, null, null, null, null, is_available, first_seen_at, first_seen_at from items
"""
TABLES = ("raw.events", "raw.items", "features.item_embeddings")


def put(
    lake: Lake,
    events: Sequence[Event] = (),
    titles: Mapping[str, str | None] | None = None,
    *,
    unavailable: Sequence[str] = (),
    event_type: str = "view",
    clear: bool = False,
) -> None:
    """Add events and items; with clear, delete all others first."""
    with writing(lake) as con:
        for table in TABLES if clear else ():
            con.execute(f"delete from {table}")
        if events:
            con.register("events", _events(events, event_type))
            con.execute(INSERT_EVENTS)
        if titles:
            con.register("items", _items(titles, unavailable))
            con.execute(INSERT_ITEMS)


def _events(events: Sequence[Event], event_type: str) -> pa.Table:
    moments = [START + timedelta(hours=hours) for _, _, hours in events]
    return pa.table(
        {
            "event_id": [f"{event_type}-{moment.isoformat()}-{n}" for n, moment in enumerate(moments)],
            "user_id": pa.array([user for user, _, _ in events], pa.string()),
            "item_id": pa.array([item for _, item, _ in events], pa.string()),
            "event_type": [event_type] * len(events),
            "occurred_at": pa.array(moments, pa.timestamp("us")),
        }
    )


def _items(titles: Mapping[str, str | None], unavailable: Sequence[str]) -> pa.Table:
    return pa.table(
        {
            "item_id": list(titles),
            "title": pa.array(list(titles.values()), pa.string()),
            "is_available": [item not in unavailable for item in titles],
            "first_seen_at": pa.array([START] * len(titles), pa.timestamp("us")),
        }
    )


def habits(n_users: int = 40, n_items: int = 30, n_events: int = 12) -> list[Event]:
    """A shop whose users go from each item to the next but one, each user starting somewhere else, one event an hour."""
    return [
        (f"u{user:02}", f"i{(7 * user + 2 * step) % n_items:02}", 24 * step + user / 60)
        for user in range(n_users)
        for step in range(n_events)
    ]
