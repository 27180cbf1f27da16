"""The HTTP API over the live state."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI

from serving.batching import Batcher
from serving.catalogue import catalogue_routes
from serving.errors import ANSWERS, add_errors
from serving.health import health_routes
from serving.intake import intake_routes
from serving.lists import list_routes
from serving.live import Live
from serving.metrics import add_metrics
from serving.pages import page_routes
from serving.people import people_routes
from serving.tracker import tracker_routes
from tasks.config import IngestConfig

log = logging.getLogger("minutehand.serving")
SECONDS_BETWEEN_LOOKS = 1.0


def create_app(live: Live, config: IngestConfig) -> FastAPI:
    """The application. live: its state, which is refreshed as long as the application runs."""

    async def look() -> None:
        while True:
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
            try:
                await asyncio.to_thread(live.refresh)
            except Exception:
                log.exception("the newest publication cannot be loaded; the one in memory stays")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watcher = asyncio.create_task(look())
        yield
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher
        live.segments.close()

    app = FastAPI(title="minutehand", version="1", docs_url=None, redoc_url=None, lifespan=lifespan, responses=ANSWERS)
    app.include_router(intake_routes(live, config))
    batcher = Batcher(live.recommend_all)
    app.include_router(list_routes(live, batcher))
    app.include_router(catalogue_routes(live, batcher))
    app.include_router(people_routes(live))
    app.include_router(health_routes(live))
    app.include_router(tracker_routes())
    app.include_router(page_routes(live))
    add_metrics(app, live)
    add_errors(app)
    return app
