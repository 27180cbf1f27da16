"""Routes that answer with lists for people."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.errors import UserError
from serving.batching import Batcher
from serving.ids import Id
from serving.items import Filter
from serving.live import Live
from serving.ranking import DEFAULT, Asked, Listed

MOST = 1000
"""Longest list."""
MOST_LISTS = 100
K = Annotated[int, Field(ge=1, le=MOST)]
Variety = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Item(BaseModel):
    """One row of a list. reason, source: null if the request asks for no explanation.

    slot: ranked, or exploration for a new item that was drawn with this propensity.
    """

    item_id: str
    title: str | None
    score: float
    probability: float
    reason: str | None
    source: str | None
    slot: str
    propensity: float


class Recommended(BaseModel):
    """One list, best item first."""

    recommendation_id: str
    model_version: str
    snapshot: int
    scenario: str
    items: list[Item]


class Wanted(BaseModel):
    """What a list is for: a user, a session, items in front of them, a text, several of these, or none (what is popular now)."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)
    user_id: Id | None = None
    session_id: Id | None = Field(None, description="A visitor who is not logged in; with user_id, the history of both counts")
    text: str | None = Field(None, max_length=100_000, description="A request in words; only the first 2,000 characters count")
    items: list[Id] = Field(default_factory=list, max_length=20, description="Items in front of the person, such as that of a product page")
    k: K = 10
    scenario: str = Field(DEFAULT, min_length=1, max_length=100)
    filter: Filter | None = None
    exclude: list[Id] = Field(default_factory=list, max_length=10_000, description="Items that the list must not hold")
    after: str | None = Field(None, min_length=1, max_length=100, description="recommendation_id of the page before this one")
    explain: bool = Field(True, description="False leaves out reason and source, which takes less time")
    variety: Variety | None = Field(None, description="Instead of the variety of the scenario; 0: accuracy only")

    def asked(self) -> Asked:
        """The request for the live state."""
        return Asked(
            self.user_id,
            self.text,
            self.k,
            tuple(self.exclude),
            session_id=self.session_id,
            items=tuple(self.items),
            scenario=self.scenario,
            filter=self.filter,
            after=self.after,
            explain=self.explain,
            variety=self.variety,
        )


class WantedLists(BaseModel):
    """Many requests at once."""

    model_config = ConfigDict(extra="forbid")
    requests: list[Wanted] = Field(min_length=1, max_length=MOST_LISTS)

    @model_validator(mode="after")
    def _is_bounded(self) -> WantedLists:
        if (n := sum(wanted.k for wanted in self.requests)) > MOST * 10:
            raise ValueError(f"the requests ask for {n:,} items together; ask for at most {MOST * 10:,}")
        return self


class RecommendedLists(BaseModel):
    """The lists, in the order of the requests."""

    lists: list[Recommended]


def list_routes(live: Live, batcher: Batcher) -> APIRouter:
    """The routes. live: what knows the people. batcher: what ranks."""
    routes = APIRouter()

    async def listed(asked: Asked) -> Recommended:
        live.check(asked)
        return recommended(await batcher.ask(asked))

    @routes.get("/v1/recommend/{user_id:path}")
    async def recommend_user(
        user_id: Id,
        k: Annotated[K, Query()] = 10,
        scenario: Annotated[str, Query(min_length=1, max_length=100)] = DEFAULT,
        item: Annotated[list[Id] | None, Query(description="An item in front of the user; may be given several times")] = None,
        explain: bool = True,
        variety: Annotated[Variety | None, Query()] = None,
    ) -> Recommended:
        """The list of one user; an unknown user gets what is popular now."""
        return await listed(Asked(user_id, k=k, scenario=scenario, items=tuple(item or ()), explain=explain, variety=variety))

    @routes.post("/v1/recommend")
    async def recommend(wanted: Wanted) -> Recommended:
        """The list for a user, a session, items, a text, or several of these."""
        return await listed(wanted.asked())

    @routes.post("/v1/recommend/batch")
    async def recommend_many(wanted: WantedLists) -> RecommendedLists:
        """Many lists at once. If one request cannot be answered, none is."""
        for number, each in enumerate(wanted.requests):
            try:
                live.check(each.asked())
            except UserError as error:
                raise type(error)(f"requests.{number}: {error}") from error
        return RecommendedLists(lists=list(await asyncio.gather(*(listed(each.asked()) for each in wanted.requests))))

    return routes


def recommended(listed: Listed) -> Recommended:
    """A list as an answer."""
    return Recommended(
        recommendation_id=listed.recommendation_id,
        model_version=listed.model_version,
        snapshot=listed.snapshot,
        scenario=listed.scenario,
        items=[Item(**row) for row in listed.items],
    )
