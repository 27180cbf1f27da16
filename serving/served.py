"""The lists that were served, as lines of the log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from serving.segments import line_of


def served_line(
    recommendation_id: str,
    user_id: str | None,
    scenario: str,
    model_version: str,
    items: Sequence[str],
    sources: Sequence[str | None],
    slots: Sequence[str],
    propensities: Sequence[float],
    at: datetime,
    experiment_id: str | None = None,
    arm: str | None = None,
) -> bytes:
    """One served list as a line of the log. items, sources, slots, propensities: best first, of equal length. at: with a zone.

    experiment_id, arm: of the experiment.
    """
    return line_of(
        "served",
        {
            "recommendation_id": recommendation_id,
            "user_id": user_id,
            "scenario": scenario,
            "model_version": model_version,
            "item_ids": list(items),
            "sources": list(sources),
            "slots": list(slots),
            "propensities": list(propensities),
            "experiment_id": experiment_id,
            "arm": arm,
            "served_at": at.astimezone(UTC).isoformat(timespec="microseconds"),
        },
    )
