"""Requests that wait for the ranking thread are ranked together, if they have one shape."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from serving import batching
from serving.batching import MOST_TOGETHER, Batcher
from serving.errors import BusyError
from serving.ranking import Asked, Listed


class Ranking:
    """Ranks nothing before it is let go, and remembers who was ranked together."""

    def __init__(self) -> None:
        self.has_begun, self.go = threading.Event(), threading.Event()
        self.together: list[list[str | None]] = []

    def __call__(self, asked: Sequence[Asked]) -> list[Listed]:
        self.has_begun.set()
        self.go.wait(10)
        self.together.append([one.user_id for one in asked])
        if any(one.user_id == "bad" for one in asked):
            raise ValueError("bad")
        return [Listed(str(one.user_id), "1", 1, one.scenario, []) for one in asked]


async def ask_all(ranking: Ranking, asked: Sequence[Asked]) -> list[Listed | BaseException]:
    batcher = Batcher(ranking)
    waiting = [asyncio.ensure_future(batcher.ask(Asked("first")))]
    await asyncio.to_thread(ranking.has_begun.wait, 10)
    waiting += [asyncio.ensure_future(batcher.ask(one)) for one in asked]
    await asyncio.sleep(0.01)
    ranking.go.set()
    return await asyncio.gather(*waiting, return_exceptions=True)


def test_at_most_eight_waiting_requests_of_one_shape_are_ranked_together_in_order() -> None:
    ranking = Ranking()
    asked = [Asked(f"u{n}", text="words" if n % 5 == 4 else None, k=n + 1) for n in range(12)]
    found = asyncio.run(ask_all(ranking, asked))
    assert [listed.recommendation_id for listed in found if isinstance(listed, Listed)] == ["first", *(f"u{n}" for n in range(12))]
    plain, words = [f"u{n}" for n in range(12) if n % 5 != 4], ["u4", "u9"]
    assert ranking.together == [["first"], plain[:MOST_TOGETHER], words, plain[MOST_TOGETHER:]]


def test_a_request_that_fails_does_not_spoil_those_beside_it() -> None:
    ranking = Ranking()
    found = asyncio.run(ask_all(ranking, [Asked("good"), Asked("bad"), Asked("fine")]))
    assert [listed.recommendation_id if isinstance(listed, Listed) else type(listed) for listed in found] == [
        *("first", "good", ValueError, "fine")
    ]
    assert ranking.together == [["first"], ["good", "bad", "fine"], ["good"], ["bad"], ["fine"]]


def test_a_request_beyond_those_that_may_wait_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "MOST_WAITING", 2)
    found = asyncio.run(ask_all(Ranking(), [Asked("u1"), Asked("u2"), Asked("u3")]))
    assert [type(each) for each in found] == [Listed, Listed, Listed, BusyError]


def test_nobody_ranks_for_a_client_that_is_gone() -> None:
    ranking = Ranking()

    async def leave() -> None:
        batcher = Batcher(ranking)
        first = asyncio.ensure_future(batcher.ask(Asked("first")))
        await asyncio.to_thread(ranking.has_begun.wait, 10)
        gone = asyncio.ensure_future(batcher.ask(Asked("gone")))
        await asyncio.sleep(0.01)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        ranking.go.set()
        await first
        await batcher.ask(Asked("last"))

    asyncio.run(leave())
    assert ranking.together == [["first"], ["last"]]
