"""Routes about the process itself."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import BaseModel

from serving.live import Live


class Alive(BaseModel):
    """The process answers."""

    status: str


class Ready(BaseModel):
    """Which publication is in memory, how old it is, and how many accepted events are newer."""

    status: str
    model_version: str
    snapshot: int
    published_at: str
    seconds_since_publication: float
    pending_events: int


def health_routes(live: Live) -> APIRouter:
    """The routes. live: what is asked about."""
    routes = APIRouter()

    @routes.get("/health/live")
    async def health_live() -> Alive:
        """Whether the process answers."""
        return Alive(status="ok")

    @routes.get("/health/ready")
    async def health_ready() -> Ready:
        """Which publication is in memory, and how fresh it is."""
        published = live.published
        return Ready(
            status="ok",
            model_version=published.version,
            snapshot=published.data_snapshot,
            published_at=published.published_at.isoformat() + "Z",
            seconds_since_publication=round(seconds_since_publication(live), 1),
            pending_events=len(live.known),
        )

    return routes


def seconds_since_publication(live: Live) -> float:
    """The age of the publication in memory."""
    return (datetime.now(UTC).replace(tzinfo=None) - live.published.published_at).total_seconds()
