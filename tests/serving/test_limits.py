"""A client may ask as often as the limits say, and another client does not notice."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message

from serving import limits
from serving.limits import Rate, TooLargeError, at_most


def test_a_burst_passes_then_as_many_a_second_as_the_rate_says() -> None:
    now = [100.0]
    rate = Rate(2.0, 3, lambda: now[0])
    assert [rate.wait_s("a") for _ in range(4)] == [0, 0, 0, 1]
    assert rate.wait_s("b") == 0
    now[0] += 0.5
    assert [rate.wait_s("a") for _ in range(2)] == [0, 1]
    now[0] += 1000
    assert [rate.wait_s("a") for _ in range(4)] == [0, 0, 0, 1], "silence saves up no more than a burst"


def test_a_slow_rate_says_how_long_to_wait() -> None:
    rate = Rate(0.1, 1, lambda: 0.0)
    assert [rate.wait_s("a") for _ in range(3)] == [0, 10, 10]


def test_a_request_may_cost_more_than_one_but_never_more_than_a_burst() -> None:
    now = [0.0]
    rate = Rate(1.0, 10, lambda: now[0])
    assert [rate.wait_s("a", 6), rate.wait_s("a", 6), rate.wait_s("a", 4)] == [0, 2, 0]
    now[0] += 1000
    assert [rate.wait_s("a", 50), rate.wait_s("a")] == [0, 1]


def test_only_so_many_clients_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_CLIENTS", 2)
    rate = Rate(1.0, 1, lambda: 0.0)
    assert [rate.wait_s(client) for client in ("a", "b", "b", "c", "b", "a")] == [0, 0, 1, 0, 1, 0]


def test_a_body_is_read_no_further_than_the_limit() -> None:
    n_read = 0

    async def receive() -> Message:
        nonlocal n_read
        n_read += 1
        return {"type": "http.request", "body": b"x" * 10, "more_body": True}

    async def read_all() -> None:
        receiving = at_most(35, receive)
        while True:
            await receiving()

    with pytest.raises(TooLargeError, match="larger than 35 bytes"):
        asyncio.run(read_all())
    assert n_read == 4
