"""The pages of the API: one to try the lists, one that documents the requests. They load nothing from other hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import FileResponse
from pydantic import BaseModel

from serving.live import Live

STATIC = Path(__file__).with_name("static")
FILES = frozenset({"page.css", "page.js", "docs.js", "api.js"})
N_USERS = 20


class KnownUsers(BaseModel):
    """Ids of users with a history."""

    users: list[str]


def page_routes(live: Live) -> APIRouter:
    """The routes. live: whose users the page proposes."""
    routes = APIRouter()

    @routes.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html")

    @routes.get("/docs", include_in_schema=False)
    async def docs() -> FileResponse:
        return FileResponse(STATIC / "docs.html")

    @routes.get("/static/{name}", include_in_schema=False)
    async def static(name: str) -> FileResponse:
        if name not in FILES:
            raise HTTPException(404, "there is no such file")
        return FileResponse(STATIC / name)

    @routes.get("/v1/users")
    def users(prefix: Annotated[str, Query(max_length=512)] = "", n: Annotated[int, Query(ge=1, le=100)] = N_USERS) -> KnownUsers:
        """Some users with a history whose ids start with a text."""  # no coroutine: the scan of all users must not hold up requests
        known = live.published.row_of_user
        found = (user_id for user_id in known if user_id.startswith(prefix))
        return KnownUsers(users=[user_id for user_id, _ in zip(found, range(n), strict=False)])

    return routes
