"""How much one client may ask: requests per second, and bytes per request."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

MAX_CLIENTS = 65_536
"""Clients that are remembered; the one that was silent for longest is forgotten first."""

EVENTS_PER_REQUEST = 50
"""So many events, or items, of one request count as a further request."""
CHARGE = "minutehand.charge"
"""The key of an ASGI scope with a function that takes the tokens for a number of events, as `Rate.wait_s`."""


@dataclass
class Bucket:
    """Tokens of one client; each request takes one, and one more for many events. at: when `tokens` was true, in seconds."""

    tokens: float
    at: float


class Rate:
    """A token bucket per client: `burst` requests at once, and `per_s` each second from then on."""

    def __init__(self, per_s: float, burst: int, clock: Callable[[], float]) -> None:
        self.per_s, self.burst, self.clock = per_s, burst, clock
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def wait_s(self, client: str, cost: int = 1) -> int:
        """Take so many tokens, at most a burst; 0 if there were enough, else the whole seconds until there are."""
        cost = min(cost, self.burst)
        now = self.clock()
        bucket = self._buckets.setdefault(client, Bucket(self.burst, now))
        bucket.tokens = min(float(self.burst), bucket.tokens + (now - bucket.at) * self.per_s)
        bucket.at = now
        self._buckets.move_to_end(client)
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        if bucket.tokens < cost:
            return math.ceil((cost - bucket.tokens) / self.per_s)
        bucket.tokens -= cost
        return 0


class TooLargeError(HTTPException):
    """The body of a request is larger than the limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"the body is larger than {limit:,} bytes; send less at a time")


def at_most(limit: int, receive: Receive) -> Receive:
    """The same, raising TooLargeError as soon as more than `limit` bytes of body have come."""
    n_bytes = 0

    async def receiving() -> Message:
        nonlocal n_bytes
        message = await receive()
        n_bytes += len(message.get("body", b""))
        if n_bytes > limit:
            raise TooLargeError(limit)
        return message

    return receiving
