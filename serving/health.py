"""Routes about the process itself."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from serving.live import Live


def health_routes(live: Live) -> APIRouter:
    """The routes. live: what is asked about."""
    routes = APIRouter()

    @routes.get("/health/live")
    async def health_live() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    @routes.get("/health/ready")
    async def health_ready() -> dict[str, Any]:
        """Which publication is in memory."""
        published = live.published
        return {
            "status": "ok",
            "model_version": published.version,
            "snapshot": published.data_snapshot,
            "published_at": published.published_at.isoformat() + "Z",
            "pending_events": len(live.known),
        }

    return routes
