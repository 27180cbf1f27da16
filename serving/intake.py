"""Routes that take something in: events, items, and merges of ids."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeVar

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel

from serving.ids import Id
from serving.item_rules import accept_item
from serving.limits import CHARGE
from serving.live import Live
from serving.rules import Event, RefusedError, accept, id_of
from tasks.config import IngestConfig
from tasks.ingest.aliases import MergeError
from tasks.lake import ANYONE

T = TypeVar("T")
MAX_EVENTS = 1000
ARRAY = {"type": "array", "maxItems": MAX_EVENTS, "items": {}}
EVENTS = {**ARRAY, "example": [{"event_id": "e1", "user_id": "u1", "item_id": "p1", "event_type": "view"}]}
ITEMS = {**ARRAY, "example": [{"item_id": "p1", "title": "A tent for two", "is_available": True}]}
"""The schemas of bodies. Each element is judged by itself, so that anything may be one; the answer says which are refused."""


class Refusal(BaseModel):
    """Why one event of a request was not accepted. index: its place in the array, from 0."""

    index: int
    reason: str


class Taken(BaseModel):
    """What became of the events of one request. All accepted ones are on disk.

    left_out: columns and context keys that the settings do not keep, if any; the accepted events are stored without them.
    """

    accepted: int
    duplicates: int
    rejected: list[Refusal]
    left_out: list[str] = []


class TakenItems(BaseModel):
    """What became of the items of one request. All accepted ones are on disk.

    new: the accepted ones that the catalogue did not know, so that a mistyped id shows; lists hold them after the next minute run.
    """

    accepted: int
    rejected: list[Refusal]
    new: list[str]


class Merged(BaseModel):
    """A merge that is on disk. user_id: the user for whom the merged id now stands, which may itself be the result of a merge."""

    user_id: str
    merged: str


class ErasureBegun(BaseModel):
    """A request to erase a person that is on disk. erasure_id: its row in ops.erasures, which says what is done."""

    erasure_id: str


def intake_routes(live: Live, config: IngestConfig) -> APIRouter:
    """The routes. live: what accepts the events, items and merges."""
    routes = APIRouter()
    writing = ThreadPoolExecutor(32, thread_name_prefix="writing")

    async def stored(write: Callable[..., T], *given: Any, what: str) -> T:
        """The result of a call that writes to the disk."""
        try:
            return await asyncio.get_running_loop().run_in_executor(writing, write, *given)
        except OSError as error:
            raise _unstored(what, error) from error

    async def applied(events: list[Event]) -> None:
        """Return when the events are on disk and applied. Searches are encoded in another thread, as this one answers all requests."""
        if any(event.event_type == "search" for event in events):
            await stored(lambda: live.accept(events).result(), what="events")
            return
        try:
            await asyncio.wrap_future(live.accept(events))
        except OSError as error:
            raise _unstored("events", error) from error

    @routes.post("/v1/events", status_code=202, openapi_extra=_body(EVENTS), response_model_exclude_defaults=True)
    async def events(request: Request) -> Taken:
        """Accept an array of events; when it answers, they are on disk and in the next list of their users."""
        now, accepted, rejected, duplicates = datetime.now(UTC), {}, [], 0
        for index, each in enumerate(await _array(request, "events")):
            try:
                event = accept(each, now, config, live.border)
            except RefusedError as error:
                rejected.append(Refusal(index=index, reason=str(error)))
                continue
            if live.refuses(event):
                rejected.append(Refusal(index=index, reason="the person is erased"))
            elif event.event_id in accepted or live.is_known(event.event_id):
                duplicates += 1
            else:
                accepted[event.event_id] = event
        await applied(list(accepted.values()))
        left_out = dict.fromkeys(name for event in accepted.values() for name in event.left_out)
        return Taken(accepted=len(accepted), duplicates=duplicates, rejected=rejected, left_out=list(left_out))

    @routes.put("/v1/items", openapi_extra=_body(ITEMS))
    async def items(request: Request) -> TakenItems:
        """Add or change items: a field that is missing stays. When it answers, they are on disk, and a withdrawn item is in no list."""
        accepted, rejected = [], []
        for index, each in enumerate(await _array(request, "items")):
            try:
                accepted.append(accept_item(each, config))
            except RefusedError as error:
                rejected.append(Refusal(index=index, reason=str(error)))
        new = dict.fromkeys(item.item_id for item in accepted if not live.has_item(item.item_id))
        await stored(live.put_items, accepted, what="items")
        return TakenItems(accepted=len(accepted), rejected=rejected, new=list(new))

    @routes.put("/v1/users/{user_id:path}/merge/{session_id:path}")
    async def merge(user_id: Id, session_id: Id) -> Merged:
        """Let everything that a session or an old id did count for a user, from now on and for all time."""
        given, named = {"user_id": user_id, "session_id": session_id}, {"null_words_as_ids": config.null_words_as_ids}
        try:
            user, session = (id_of(given, name, **named) for name in given)
        except RefusedError as error:
            raise HTTPException(404, str(error)) from error
        if user is None or session is None:
            raise HTTPException(404, "an id stands for a missing value; name a user and a session as in /v1/users/USER/merge/SESSION")
        if ANYONE in (user, session):
            raise HTTPException(404, f"an id is {ANYONE}, which stands for unknown users in the tables")
        try:
            merged_into = await stored(live.merge, session, user, datetime.now(UTC), what="the merge")
        except MergeError as error:
            raise HTTPException(409, str(error)) from error
        return Merged(user_id=user if merged_into == live.border.id_of(user) else merged_into, merged=session)

    @routes.delete("/v1/users/{user_id:path}", status_code=202)
    async def erase(user_id: Id) -> ErasureBegun:
        """Erase a person: answers are those for a stranger at once, tables follow within a minute, files and models within the hour."""
        try:
            user = id_of({"user_id": user_id}, "user_id", null_words_as_ids=config.null_words_as_ids)
        except RefusedError as error:
            raise HTTPException(404, str(error)) from error
        if user in (None, ANYONE):
            raise HTTPException(404, "this id stands for nobody; name a user as in /v1/users/USER")
        return ErasureBegun(erasure_id=await stored(live.erase, user, what="the request"))

    return routes


def _unstored(what: str, error: OSError) -> HTTPException:
    return HTTPException(503, f"{what} cannot be stored: {error.strerror or 'the disk refuses'}; send again later")


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    """What a route that reads its body itself adds to the schema of the API."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


async def _array(request: Request, what: str) -> list[Any]:
    """The array of a body. The size of the body was limited before (serving/admission.py)."""
    try:
        given = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "the body is not JSON") from error
    if not isinstance(given, list):
        raise HTTPException(400, f"the body is not an array of {what}; send [{{...}}, ...]")
    if len(given) > MAX_EVENTS:
        raise HTTPException(413, f"{len(given)} {what} in one request; send at most {MAX_EVENTS}")
    if wait_s := request.scope.get(CHARGE, lambda _: 0)(len(given)):
        raise HTTPException(429, f"too many {what}; try again in {wait_s} s", {"retry-after": str(wait_s)})
    return given
