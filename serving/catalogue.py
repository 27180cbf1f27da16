"""Routes about items: similar, popular, found by words; and the scenarios in which lists are shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import numpy as np
import torch
from fastapi import APIRouter, Query
from pydantic import BaseModel

from models.errors import UserError
from models.ranking.neighbours import neighbours_of
from models.text.clean import clean_text
from serving.batching import Batcher
from serving.errors import NotFoundError
from serving.ids import Id
from serving.items import Filter
from serving.lists import K, Recommended, recommended
from serving.live import Live
from serving.published import Published
from serving.ranking import Asked

SearchWords = Annotated[str, Query(min_length=1, max_length=100_000, json_schema_extra={"pattern": r"[^\s\u0000-\u001f\u007f-\u009f]"})]


class Found(BaseModel):
    """An item with its similarity, or how well it fits the words."""

    item_id: str
    title: str | None
    score: float


class FoundItems(BaseModel):
    """Items, best first."""

    model_version: str
    snapshot: int
    items: list[Found]


class Place(BaseModel):
    """A scenario. needs_item: whether a request must name an item."""

    name: str
    needs_item: bool


class Places(BaseModel):
    """The scenarios."""

    scenarios: list[Place]


def catalogue_routes(live: Live, batcher: Batcher) -> APIRouter:
    """The routes. live: what knows the items. batcher: what ranks."""
    routes = APIRouter()
    looking = ThreadPoolExecutor(1, thread_name_prefix="looking")

    async def look(find: Callable[[], FoundItems]) -> FoundItems:
        return await asyncio.get_running_loop().run_in_executor(looking, find)

    @routes.get("/v1/similar/{item_id:path}")
    async def similar_items(item_id: Id, k: Annotated[K, Query()] = 10) -> FoundItems:
        """The available items that are most similar to an item; score is the cosine."""
        return await look(lambda: similar(live.published, item_id, k))

    @routes.get("/v1/popular")
    async def popular(
        k: Annotated[K, Query()] = 10, category: Annotated[str | None, Query(min_length=1, max_length=512)] = None
    ) -> Recommended:
        """What is popular now, in all of the catalogue or in one category."""
        asked = Asked(None, k=k, filter=None if category is None else Filter(categories_any=(category,)))
        return recommended(await batcher.ask(asked))

    @routes.get("/v1/search")
    async def search(q: SearchWords, k: Annotated[K, Query()] = 10) -> FoundItems:
        """The available items that fit words best; the same for every user. POST /v1/recommend with text knows the user, too."""
        return await look(lambda: searched(live, q, k))

    @routes.get("/v1/scenarios")
    async def scenarios() -> Places:
        """The scenarios that requests can name."""
        found = live.published.places.values()
        return Places(scenarios=[Place(name=each.scenario.name, needs_item=each.scenario.needs_item) for each in found])

    return routes


def similar(published: Published, item_id: str, k: int) -> FoundItems:
    """The available items nearest to an item. Raises NotFoundError for an item that the live version does not know."""
    row = published.row_of_item.get(item_id)
    if row is None:
        raise NotFoundError(f"item {item_id[:40]!r} is not in the catalogue of the live version; the minute after PUT /v1/items adds it")
    near = neighbours_of(published.scorer.vectors, np.array([row]), published.items.is_available, k)
    return _items(published, near.item[0], near.similarity[0])


def searched(live: Live, text: str, k: int) -> FoundItems:
    """The available items that fit a text best. Raises UserError if the live version cannot read it."""
    published, vector = live.published, live.vector_of(text)
    words = published.checkpoint.words
    if words is None or len(words.items) != len(published.items):
        raise UserError("the publication has just changed; ask again")
    match = words.matches(vector[None], [clean_text(text)])[0].masked_fill(torch.from_numpy(~published.items.is_available), -torch.inf)
    best = match.topk(min(k, len(match)))
    return _items(published, best.indices.numpy(), best.values.numpy())


def _items(published: Published, rows: Sequence[int] | np.ndarray, scores: np.ndarray) -> FoundItems:
    """rows: -1 or a score of -inf where there are fewer."""
    table = published.items
    found = [
        Found(item_id=table.ids[row], title=table.title(row), score=round(score, 5))
        for row, score in zip(np.asarray(rows).tolist(), scores.tolist(), strict=True)
        if row >= 0 and score > -np.inf
    ]
    return FoundItems(model_version=published.version, snapshot=published.data_snapshot, items=found)
