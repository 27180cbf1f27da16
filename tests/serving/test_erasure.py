"""Erasing a person through the API: refused and unknown at once, across restarts, and in the ledger of the lake with the next run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from serving.app import create_app
from serving.live import Live
from serving.ranking import Asked
from tasks.config import IngestConfig
from tasks.erasure.at_once import erase_requested
from tasks.erasure.progress import is_due
from tasks.ingest.aliases import MergeError
from tasks.lake import Lake, reading
from tasks.privacy.ledger import erasures
from tests.serving.test_live import NOW, WEIGHTS, event, items, post, start

__all__ = ["start"]


def ask(live: Live, method: str, path: str, body: object = None) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(create_app(live, IngestConfig()))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, json=body)

    return asyncio.run(send())


def test_an_erased_person_is_a_stranger_at_once_and_after_a_restart_and_the_next_run_takes_them_out_of_the_lake(
    start: Callable[[], Live], lake: Lake, home: Path
) -> None:
    live = start()
    post(live, event("old", "fig"), event("other", "plum"))
    assert "apple" not in items(live, "old"), "this version hides what a user had"
    answer = ask(live, "DELETE", "/v1/users/old")
    assert answer.status_code == 202
    assert {"apple", "fig"} <= set(items(live, "old"))
    assert "plum" not in items(live, "other")
    taken = ask(live, "POST", "/v1/events", [dict(event("old", "pear")), dict(event("other", "pear"))]).json()
    assert (taken["accepted"], [each["reason"] for each in taken["rejected"]]) == (1, ["the person is erased"])
    assert ask(live, "GET", "/v1/why?user_id=old&item_id=apple").status_code == 404
    with pytest.raises(MergeError, match="erased"):
        live.merge("session", "old", NOW)
    assert live._named(Asked("old")) is None
    assert "apple" in items(start(), "old")

    assert is_due(lake, home)
    assert erase_requested(lake, home, WEIGHTS) == 1
    ((found),) = erasures(lake)
    assert (found.erasure_id, found.source, found.state) == (answer.json()["erasure_id"], "api", "lists")
    with reading(lake) as con:
        assert con.execute("select count(*) from raw.events where user_id = 'old'").fetchall() == [(0,)]
    assert live.refresh()
    assert "old" not in live.published.row_of_user


@pytest.mark.slow
@pytest.mark.parametrize("user_id", ["*", "%20", "null"])
def test_nobody_cannot_be_erased(start: Callable[[], Live], user_id: str) -> None:
    assert ask(start(), "DELETE", f"/v1/users/{user_id}").status_code in (404, 422)
