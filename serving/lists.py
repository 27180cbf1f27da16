"""Routes that answer with lists."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from serving.live import Asked, Live


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


def list_routes(live: Live) -> APIRouter:
    """The routes. live: what ranks."""
    routes = APIRouter()
    ranking = ThreadPoolExecutor(1, thread_name_prefix="ranking")  # one at a time: torch uses the threads itself

    async def listed(asked: Asked) -> Recommended:
        items = await asyncio.get_running_loop().run_in_executor(ranking, live.recommend, asked)
        published = live.published
        rows = [Item(**item) for item in items]
        return Recommended(recommendation_id=str(uuid4()), model_version=published.version, snapshot=published.data_snapshot, items=rows)

    @routes.get("/v1/recommend/{user_id:path}")
    async def recommend_user(user_id: str, k: Annotated[int, Query(ge=1, le=1000)] = 10) -> Recommended:
        """The list of one user; an unknown user gets what is popular now."""
        return await listed(Asked(user_id, k=k))

    @routes.post("/v1/recommend")
    async def recommend(wanted: Wanted) -> Recommended:
        """The list for a user, a text, or both."""
        return await listed(Asked(wanted.user_id, wanted.text, wanted.k, wanted.exclude))

    return routes
