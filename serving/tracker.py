"""The script that a shop's pages load to send events."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

TRACKER = Path(__file__).with_name("static") / "tracker.js"
HEADERS = {"cache-control": "public, max-age=3600", "cross-origin-resource-policy": "cross-origin"}


def tracker_routes() -> APIRouter:
    """The routes."""
    routes = APIRouter()

    @routes.get("/tracker.js", include_in_schema=False)
    async def tracker() -> FileResponse:
        return FileResponse(TRACKER, media_type="text/javascript", headers=HEADERS)

    return routes
