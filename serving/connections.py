"""Connections that say nothing, or too little: they end, so that they keep nobody else out."""

from __future__ import annotations

import asyncio
import resource
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0
"""A connection must have sent the head of a request after this time."""
REQUEST_S = 30.0
"""A connection must have sent a whole request after this time."""
MAX_CONNECTIONS = 10_000


class Impatient(H11Protocol):
    """uvicorn's protocol with a time limit for each request, and a limit of connections, which ends the quietest one.

    uvicorn itself limits only the pause after an answer.
    """

    head_s, request_s = HEAD_S, REQUEST_S
    max_connections = MAX_CONNECTIONS

    def __init__(self, *words: Any, **more: Any) -> None:
        super().__init__(*words, **more)
        self.deadline: asyncio.TimerHandle | None = None
        self.last_heard = self.loop.time()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.deadline = self.loop.call_later(self.head_s, self._judge_head)
        if len(self.connections) > self.max_connections:
            quiet = [each for each in self.connections if isinstance(each, Impatient) and each.is_idle]
            min(quiet, key=lambda each: each.last_heard, default=self).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self.last_heard = self.loop.time()
        super().data_received(data)
        if not self.is_waiting:
            self._rest()
        elif self.deadline is None:
            self.deadline = self.loop.call_later(self.head_s, self._judge_head)

    def timeout_keep_alive_handler(self) -> None:
        """Close after the pause; without regard to what the client has not read by then."""
        super().timeout_keep_alive_handler()
        self._rest()
        self.deadline = self.loop.call_later(self.head_s, self.transport.abort)

    @property
    def is_idle(self) -> bool:
        """Whether no request of this connection is being answered."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def is_waiting(self) -> bool:
        """Whether the client has more of a request to send."""
        return self.conn.their_state in (h11.IDLE, h11.SEND_BODY)

    def _judge_head(self) -> None:
        if self.conn.their_state is h11.SEND_BODY:
            self.deadline = self.loop.call_later(self.request_s - self.head_s, self.transport.abort)
        else:
            self.transport.abort()

    def _rest(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None


def make_room() -> None:
    """Raise this process's limit of open files as far as it may, and let connections take at most half of it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * MAX_CONNECTIONS if hard == resource.RLIM_INFINITY else min(hard, 4 * MAX_CONNECTIONS)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    Impatient.max_connections = min(MAX_CONNECTIONS, max(soft, wanted) // 2)
