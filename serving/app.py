"""The HTTP API over the live state."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from serving.live import Asked, Live
from serving.rules import RefusedError, accept
from tasks.config import IngestConfig

log = logging.getLogger("minutehand.serving")
MAX_EVENTS = 1000
MAX_BODY = 4_000_000
SECONDS_BETWEEN_LOOKS = 1.0


class Item(BaseModel):
    """One row of a list."""

    item_id: str
    title: str | None
    score: float
    probability: float


class Recommended(BaseModel):
    """One list, best item first."""

    recommendation_id: str
    model_version: str
    snapshot: int
    items: list[Item]


class Wanted(BaseModel):
    """What a list is for: a user, a text, both or neither (what is popular now)."""

    model_config = ConfigDict(extra="forbid")
    user_id: str | None = Field(None, min_length=1, max_length=512)
    text: str | None = Field(None, max_length=100_000)
    k: int = Field(10, ge=1, le=1000)
    exclude: list[str] = Field(default_factory=list, max_length=10_000)


class Refusal(BaseModel):
    """Why one event of a request was not accepted. index: its place in the array, from 0."""

    index: int
    reason: str


class Taken(BaseModel):
    """What became of the events of one request. All accepted ones are on disk."""

    accepted: int
    duplicates: int
    rejected: list[Refusal]


def create_app(live: Live, config: IngestConfig) -> FastAPI:
    """The application. live: its state, which is refreshed as long as the application runs."""
    ranking = ThreadPoolExecutor(1, thread_name_prefix="ranking")  # one at a time: torch uses the threads itself
    writing = ThreadPoolExecutor(32, thread_name_prefix="writing")

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

    app = FastAPI(title="minutehand", version="1", docs_url=None, redoc_url=None, lifespan=lifespan)

    @app.post("/v1/events", status_code=202)
    async def events(request: Request) -> Taken:
        """Accept an array of events; when it answers, they are on disk and in the next list of their users."""
        given = await _json(request)
        if not isinstance(given, list):
            raise HTTPException(400, "the body is not an array of events; send [{...}, ...]")
        if len(given) > MAX_EVENTS:
            raise HTTPException(413, f"{len(given)} events in one request; send at most {MAX_EVENTS}")
        now, accepted, rejected, duplicates = datetime.now(UTC), {}, [], 0
        for index, each in enumerate(given):
            try:
                event = accept(each, now, config)
            except RefusedError as error:
                rejected.append(Refusal(index=index, reason=str(error)))
                continue
            if event.event_id in accepted or live.is_known(event.event_id):
                duplicates += 1
            else:
                accepted[event.event_id] = event
        try:
            await asyncio.get_running_loop().run_in_executor(writing, live.accept, list(accepted.values()))
        except OSError as error:
            raise HTTPException(503, f"events cannot be stored: {error.strerror or 'the disk refuses'}; send them again later") from error
        return Taken(accepted=len(accepted), duplicates=duplicates, rejected=rejected)

    async def listed(asked: Asked) -> Recommended:
        items = await asyncio.get_running_loop().run_in_executor(ranking, live.recommend, asked)
        published = live.published
        rows = [Item(**item) for item in items]
        return Recommended(recommendation_id=str(uuid4()), model_version=published.version, snapshot=published.data_snapshot, items=rows)

    @app.get("/v1/recommend/{user_id:path}")
    async def recommend_user(user_id: str, k: Annotated[int, Query(ge=1, le=1000)] = 10) -> Recommended:
        """The list of one user; an unknown user gets what is popular now."""
        return await listed(Asked(user_id, k=k))

    @app.post("/v1/recommend")
    async def recommend(wanted: Wanted) -> Recommended:
        """The list for a user, a text, or both."""
        return await listed(Asked(wanted.user_id, wanted.text, wanted.k, wanted.exclude))

    @app.get("/health/live")
    async def health_live() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    @app.get("/health/ready")
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

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> JSONResponse:
        log.exception("a request failed", exc_info=error)
        return JSONResponse({"detail": "internal error; the log of minutehand serve says more"}, 500)

    return app


async def _json(request: Request) -> Any:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413, f"the body is larger than {MAX_BODY:,} bytes; send fewer events at a time")
    import json

    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "the body is not JSON") from error
