"""Routes about people: their interests, and why they are shown an item."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from models.errors import UserError
from models.interests.capture import HORIZONS
from models.interests.vocabulary import TOPIC
from serving.errors import NotFoundError
from serving.histories import gather
from serving.ids import Id
from serving.live import Live
from tasks.interests.found import find, spoken_of
from tasks.why import Why, explain

EVERYBODY = 1
"""The number of the user who stands for everybody, after the one who is asked about."""


class Interest(BaseModel):
    """One interest of a user. evidence: ids of their items that speak most for it; evidence_titles: of the same items."""

    horizon: str
    interest_id: str
    kind: str
    dimension: str
    name: str
    probability: float
    evidence: list[str]
    evidence_titles: list[str]


class Interests(BaseModel):
    """The interests of a user, short horizon first. is_own: false if nothing is known about the user, so they are those of everybody."""

    user_id: str
    is_own: bool
    model_version: str
    snapshot: int
    interests: list[Interest]


def people_routes(live: Live) -> APIRouter:
    """The routes. live: what knows the users."""
    routes = APIRouter()
    looking = ThreadPoolExecutor(1, thread_name_prefix="people")

    @routes.get("/v1/users/{user_id:path}/interests")
    async def interests(user_id: Id) -> Interests:
        """The interests of a user, with what they did and searched for a moment ago."""
        return await asyncio.get_running_loop().run_in_executor(looking, interests_of, live, user_id)

    @routes.get("/v1/why")
    async def why(user_id: Annotated[Id, Query()], item_id: Annotated[Id, Query()]) -> Why:
        """Why a user is shown an item, or not, by the published lists and histories: the score in terms, and the events behind it."""
        return await asyncio.get_running_loop().run_in_executor(looking, why_of, live, user_id, item_id)

    return routes


def interests_of(live: Live, user_id: str) -> Interests:
    """The interests of a user. Raises NotFoundError if the live version knows no interests."""
    published, person = live.person((user_id,))
    version = published.checkpoint
    if version.interests is None or version.capture is None:
        raise NotFoundError(
            f"model version {published.version} knows no interests: its items have neither labels nor texts, or it is old; "
            "give items categories and run minutehand nightly"
        )
    gathered = gather(published, [person], [version.as_of])
    now, events = int(gathered.now[0]), gathered.events
    spoken = spoken_of(version.interests, version.words, gathered.searches, events, 1, now)
    found = find(version.interests, version.capture, [user_id], events, now, live.max_events, None, spoken).found
    is_own = len(events) > 0 or spoken is not None
    table, named, rows = published.items, version.interests, []
    for n in range(len(found)):
        if (found.user[n] == EVERYBODY) == is_own:
            continue
        code, evidence = int(found.interest[n]), [row for row in found.evidence[n].tolist() if row >= 0]
        rows.append(
            Interest(
                horizon=HORIZONS[found.horizon[n]],
                interest_id=named.interest_ids[code],
                kind=named.kinds[code],
                dimension=named.groups[code],
                name=named.names[code],
                probability=round(float(found.probability[n]), 6),
                evidence=[table.ids[row] for row in evidence],
                evidence_titles=[table.name(row) for row in evidence],
            )
        )
    rows.sort(key=lambda row: (HORIZONS.index(row.horizon), row.dimension != TOPIC, row.dimension, -row.probability, row.interest_id))
    return Interests(user_id=user_id, is_own=is_own, model_version=published.version, snapshot=published.data_snapshot, interests=rows)


def why_of(live: Live, user_id: str, item_id: str) -> Why:
    """The evidence about a user and an item. Raises NotFoundError if one of them is unknown."""
    published, user_id = live.published, live.border.id_of(user_id)
    if live.is_erased(user_id):
        raise NotFoundError("this person is erased, so there is nothing to explain; ask about another one")
    with live.lock:
        user_id, is_waiting = live.aliases.resolve(user_id), bool(live.pending.get(live.aliases.resolve(user_id)))
    try:
        return explain(live.lake, live.open_registry, live.event_weights, user_id, item_id, (published.version, published.checkpoint))
    except UserError as error:
        if is_waiting:
            raise NotFoundError(
                f"what {user_id!r} did is newer than the publication, which this answer reads; ask again after the next minute run"
            ) from error
        raise NotFoundError(str(error)) from error
