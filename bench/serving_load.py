"""An open-loop load generator for the API: requests start at a constant rate, whether or not the earlier ones are answered."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
K = 10
TIMEOUT_S = 30.0


class AnswerError(Exception):
    """The server answered with another status than the expected one."""


@dataclass
class Shopper:
    """A user who clicks on the first item of their last list."""

    user_id: str
    listed: list[str] = field(default_factory=list)


@dataclass
class Measured:
    """Milliseconds of each click, from its intended time: until it was accepted, and until a list without the clicked item had arrived.

    stale: lists that still contained the clicked item. errors: one text per click that failed.
    """

    accepted_ms: list[float] = field(default_factory=list)
    contained_ms: list[float] = field(default_factory=list)
    stale: int = 0
    errors: list[str] = field(default_factory=list)
    publications: set[tuple[str, int]] = field(default_factory=set)


@dataclass
class Connections:
    """Kept connections to one server. Plain HTTP/1.1 over asyncio costs the generator a tenth of what an HTTP client does."""

    port: int
    free: deque[Connection] = field(default_factory=deque)

    async def ask(self, method: str, path: str, expected: int, body: bytes = b"") -> Any:
        """The JSON of an answer. Raises AnswerError, OSError, EOFError or TimeoutError."""
        async with asyncio.timeout(TIMEOUT_S):
            kept = self.free.pop() if self.free else None
            try:
                connection = kept or await self._open()
                head, answer = await exchange(connection, method, path, body)
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                if kept is None or (isinstance(error, asyncio.IncompleteReadError) and error.partial):
                    raise
                connection = await self._open()  # the server had closed the kept connection, which any HTTP client expects
                head, answer = await exchange(connection, method, path, body)
            self.free.append(connection)
        status = int(head.split(b" ", 2)[1])
        if status != expected:
            raise AnswerError(f"{method} {path} was answered with {status}: {answer[:200].decode(errors='replace')}")
        return json.loads(answer)

    async def _open(self) -> Connection:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def close(self) -> None:
        """Close the connections that no request uses."""
        for _, writer in self.free:
            writer.close()
        for _, writer in self.free:
            with suppress(OSError):
                await writer.wait_closed()
        self.free.clear()

    async def listed(self, user_id: str, measured: Measured) -> list[str]:
        """The item ids of a user's list."""
        answer = await self.ask("GET", f"/v1/recommend/{user_id}?k={K}", 200)
        measured.publications.add((answer["model_version"], answer["snapshot"]))
        return [row["item_id"] for row in answer["items"]]


async def exchange(connection: Connection, method: str, path: str, body: bytes) -> tuple[bytes, bytes]:
    """The head, in lower case, and the body of the answer to one request. The connection is closed if that fails."""
    reader, writer = connection
    try:
        writer.write(
            f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return head, await reader.readexactly(length)
    except BaseException:
        writer.close()
        raise


async def at_rate(n: int, rate: float, start: Callable[[int, float], Awaitable[None]]) -> None:
    """Start n calls at a constant rate, each with its number and its intended time; returns when all have ended."""
    loop = asyncio.get_running_loop()
    first, running = loop.time() + 0.1, set()
    for number in range(n):
        intended = first + number / rate
        if intended > loop.time():
            await asyncio.sleep(intended - loop.time())
        task = asyncio.ensure_future(start(number, intended))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)


async def click_and_look(connections: Connections, shoppers: Sequence[Shopper], rate: float, seconds: float) -> Measured:
    """Half of the requests post a click, the other half get the list that must know it. rate: requests per second."""
    measured, waiting = Measured(), deque(shoppers)
    loop = asyncio.get_running_loop()
    for shopper in shoppers:
        shopper.listed = await connections.listed(shopper.user_id, measured)

    async def click(_: int, intended: float) -> None:
        if not waiting:
            measured.errors.append("every shopper waits for an answer")
            return
        shopper = waiting.popleft()
        item = shopper.listed[0]
        event = {"user_id": shopper.user_id, "item_id": item, "event_type": "click"}
        try:
            taken = await connections.ask("POST", "/v1/events", 202, json.dumps([event]).encode())
            if taken["accepted"] != 1:
                raise AnswerError(f"an event was not accepted: {taken}")
            measured.accepted_ms.append(1000 * (loop.time() - intended))
            while item in (listed := await connections.listed(shopper.user_id, measured)):
                measured.stale += 1
            measured.contained_ms.append(1000 * (loop.time() - intended))
            shopper.listed = listed
        except (AnswerError, OSError, EOFError) as error:
            measured.errors.append(f"{type(error).__name__}: {error}")
        waiting.append(shopper)

    await at_rate(round(rate * seconds / 2), rate / 2, click)
    return measured


@dataclass
class Taken:
    """Events that the server acknowledged, and the seconds from the first request to the last answer."""

    events: int
    seconds: float
    errors: list[str]


async def post_events(
    connections: Connections, users: Sequence[str], items: Sequence[str], rate: float, per_request: int, seconds: float
) -> Taken:
    """Post events at a constant rate, several in each request. rate: events per second."""
    done, errors = 0, []
    started = time.monotonic()

    async def post(number: int, _: float) -> None:
        nonlocal done
        rows = range(number * per_request, (number + 1) * per_request)
        events = [{"user_id": users[n * 7919 % len(users)], "item_id": items[n * 104_729 % len(items)]} for n in rows]
        try:
            taken = await connections.ask("POST", "/v1/events", 202, json.dumps(events).encode())
            done += taken["accepted"]
        except (AnswerError, OSError, EOFError) as error:
            errors.append(f"{type(error).__name__}: {error}")

    await at_rate(round(rate * seconds / per_request), rate / per_request, post)
    return Taken(done, time.monotonic() - started, errors)
