"""Routes that take something in: events."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel

from serving.live import Live
from serving.rules import RefusedError, accept
from tasks.config import IngestConfig

MAX_EVENTS = 1000
MAX_BODY = 4_000_000
ARRAY = {"type": "array", "maxItems": MAX_EVENTS, "items": {}}
EVENTS = {**ARRAY, "example": [{"event_id": "e1", "user_id": "u1", "item_id": "p1", "event_type": "view"}]}
"""The schema of a body of events. Each element is judged by itself, so that anything may be one; the answer says which are refused."""


class Refusal(BaseModel):
    """Why one event of a request was not accepted. index: its place in the array, from 0."""

    index: int
    reason: str


class Taken(BaseModel):
    """What became of the events of one request. All accepted ones are on disk."""

    accepted: int
    duplicates: int
    rejected: list[Refusal]


def intake_routes(live: Live, config: IngestConfig) -> APIRouter:
    """The routes. live: what accepts the events."""
    routes = APIRouter()
    writing = ThreadPoolExecutor(32, thread_name_prefix="writing")

    @routes.post("/v1/events", status_code=202, openapi_extra=_body(EVENTS))
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

    return routes


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    """What a route that reads its body itself adds to the schema of the API."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


async def _json(request: Request) -> Any:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413, f"the body is larger than {MAX_BODY:,} bytes; send fewer events at a time")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "the body is not JSON") from error
