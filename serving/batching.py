"""The one thread that ranks: of the requests that wait for it, those of one shape are ranked together."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from serving.errors import BusyError
from serving.ranking import Asked, Listed

MOST_TOGETHER = 8
"""Maximum number of requests in one ranking. A larger group would delay the first request too long."""

MOST_WAITING = 500
"""More requests would wait longer than anybody waits for a page; they get 503 at once."""


@dataclass(frozen=True)
class Waiting:
    """A request and the promise of its list."""

    asked: Asked
    listed: Future[Listed]


class Batcher:
    """Answers requests in the order of their arrival. torch uses the threads of the machine itself, so one ranking runs at a time.

    The thread never waits for more requests: a request that finds the thread idle is ranked alone.
    """

    def __init__(self, rank: Callable[[Sequence[Asked]], list[Listed]]) -> None:
        """rank: the lists of requests of one shape."""
        self._rank = rank
        self._waiting: deque[Waiting] = deque()
        self._has_work = threading.Condition()
        threading.Thread(target=self._run, name="ranking", daemon=True).start()

    async def ask(self, asked: Asked) -> Listed:
        """The list for a request. Raises what ranking it raises, and BusyError if too many wait already."""
        one = Waiting(asked, Future())
        with self._has_work:
            if len(self._waiting) >= MOST_WAITING:
                raise BusyError(f"{len(self._waiting)} requests wait for their lists already; ask again in a second")
            self._waiting.append(one)
            self._has_work.notify()
        return await asyncio.wrap_future(one.listed)

    def _run(self) -> None:
        while True:
            with self._has_work:
                self._has_work.wait_for(lambda: self._waiting)
                together = self._take()
            self._answer([one for one in together if one.listed.set_running_or_notify_cancel()])

    def _take(self) -> list[Waiting]:
        """The oldest request, and the next ones of its shape."""
        shape = self._waiting[0].asked.shape
        alike = [one for one in self._waiting if one.asked.shape == shape][:MOST_TOGETHER]
        taken = {id(one) for one in alike}
        self._waiting = deque(one for one in self._waiting if id(one) not in taken)
        return alike

    def _answer(self, together: Sequence[Waiting]) -> None:
        try:
            lists = self._rank([one.asked for one in together]) if together else []
        except Exception as error:
            if len(together) == 1:
                together[0].listed.set_exception(error)
            else:  # one request must not spoil the others
                for one in together:
                    self._answer([one])
            return
        for one, listed in zip(together, lists, strict=True):
            one.listed.set_result(listed)
