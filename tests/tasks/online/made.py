"""Lists, impressions and outcomes put into a lake as they are."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tasks.lake import Lake, writing
from tasks.online.outcomes import OutcomeSummary, count_outcomes

NOON = datetime(2026, 6, 1, 12)
WEIGHTS = {"impression": 0.0, "search": 0.0, "return": 0.0}
_numbers = iter(range(1_000_000))


def at(minutes: float) -> datetime:
    """Minutes after noon."""
    return NOON + timedelta(minutes=minutes)


def act(lake: Lake, minutes: float, user: str, item: str, event_type: str = "impression", **more: Any) -> str:
    """Add an event; returns its id. more: event_id, value, recommendation_id, position, received (minutes)."""
    row = {
        "event_id": more.get("event_id", f"e{next(_numbers)}"),
        "user_id": user,
        "item_id": item,
        "event_type": event_type,
        "value": more.get("value"),
        "occurred_at": at(minutes),
        "received_at": at(more.get("received", minutes)),
        "recommendation_id": more.get("recommendation_id"),
        "position": more.get("position"),
    }
    with writing(lake) as con:
        con.execute(
            "insert into raw.events by name select $event_id as event_id, $user_id as user_id, $item_id as item_id,"
            " $event_type as event_type, $value::double as value, $occurred_at as occurred_at, $received_at as received_at,"
            " $recommendation_id as recommendation_id, $position::integer as position",
            row,
        )
    return str(row["event_id"])


def serve(
    lake: Lake,
    recommendation_id: str,
    user: str | None,
    items: list[str],
    version: str = "1",
    scenario: str = "default",
    minutes: float = 0,
    propensities: list[float] | None = None,
) -> None:
    """Add a list that the API has answered with. propensities: below 1 for items that were drawn."""
    chances = propensities or [1.0] * len(items)
    with writing(lake) as con:
        con.execute(
            "insert into ops.served by name select $id as recommendation_id, $user as user_id, $scenario as scenario, $version as"
            " model_version, $items as item_ids, $sources as sources, $slots as slots, $propensities as propensities, $at as served_at",
            {
                "id": recommendation_id, "user": user, "scenario": scenario, "version": version, "items": items,
                "sources": ["sequence"] * len(items), "at": at(minutes), "propensities": chances,
                "slots": ["ranked" if chance == 1 else "exploration" for chance in chances],
            },
        )  # fmt: skip


def publish(lake: Lake, minutes: float, user: str, items: list[str], version: str = "1", scenario: str = "default") -> None:
    """Add a published list to the history of lists."""
    with writing(lake) as con:
        con.execute(
            "insert into recs.list_history by name select $user as user_id, $scenario as scenario, $at as published_at, $items as item_ids,"
            " $scores as scores, 0.5 as probability, $sources as sources, $reasons as reasons, $version as model_version, 'm' as"
            " mlflow_run_id, 'f' as flow_run_id, 1 as data_snapshot, $at as generated_at",
            {
                "user": user, "scenario": scenario, "version": version, "items": items, "at": at(minutes),
                "scores": [0.0] * len(items), "sources": ["popularity"] * len(items), "reasons": [""] * len(items),
            },
        )  # fmt: skip


def count(lake: Lake, minutes: float = 1000, **settings: Any) -> OutcomeSummary:
    """Bring the outcomes up to date, at minutes after noon."""
    from tasks.config import OnlineConfig

    return count_outcomes(lake, WEIGHTS, OnlineConfig(**settings), now=at(minutes))
