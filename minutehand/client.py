"""One connection to the API, by the standard library."""

from __future__ import annotations

import http.client
import json
import os
import random
import ssl
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from email.message import Message
from types import TracebackType
from typing import Any, cast
from urllib.parse import quote, urlencode, urlsplit
from uuid import UUID, uuid4

from minutehand.answers import Found, Interests, Recommended, Taken
from minutehand.errors import RequestError, ServerError, UnreachableError

MOST_AT_ONCE = 1000
"""Events or items of one request; the client splits longer ones."""
LONGEST_WAIT_S = 5.0
"""A server that asks for a longer pause gets no further try."""
BUSY = (429, 503)


class Client:
    """The API of one server. Threads may share it; connections stay open for the next request.

    Every request may be sent again after a broken connection or a busy answer: reading changes nothing, an event has an id by which
    the server knows it, and an item or a merge says the same twice.
    """

    def __init__(self, url: str = "http://127.0.0.1:8000", key: str | None = None, *, timeout_s: float = 5.0, retries: int = 2) -> None:
        """key: made by `minutehand keys add`. timeout_s: for a connection and for each answer. retries: further tries of one request."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"{url!r} is not the address of a server; give one such as https://shop.example/minutehand")
        self._scheme, self._host, self._port, self._prefix = parts.scheme, parts.hostname, parts.port, parts.path.rstrip("/")
        self._headers = {"content-type": "application/json", **({"x-api-key": key} if key else {})}
        self.timeout_s, self.retries = timeout_s, retries
        self._idle: deque[http.client.HTTPConnection] = deque()
        self._pid = os.getpid()

    def __repr__(self) -> str:
        return f"Client({self._scheme}://{self._host}{f':{self._port}' if self._port else ''}{self._prefix})"

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that no request uses; a later request opens one again."""
        while self._idle:
            self._idle.pop().close()

    def events(self, events: Iterable[Mapping[str, Any]]) -> Taken:
        """Post events: user_id or session_id, item_id, event_type, and what else an ingest takes. They are in the next list at once.

        An event without an event_id gets a random one here, so that a repeated request counts it once.
        """
        return self._send("POST", "/v1/events", [{**event, "event_id": event.get("event_id") or uuid4().hex} for event in events])

    def put_items(self, items: Iterable[Mapping[str, Any]]) -> Taken:
        """Add or change items: item_id, title, categories, price, is_available and so on.

        `new` in the answer names those that the catalogue did not know.
        """
        return self._send("PUT", "/v1/items", [dict(item) for item in items])

    def merge(self, user_id: str, session_id: str) -> dict[str, Any]:
        """Say that a visitor of a session is a user, as at a login: from now on, the events of both are one history."""
        return cast("dict[str, Any]", self._ask("PUT", f"/v1/users/{_part(user_id)}/merge/{_part(session_id)}"))

    def recommend(
        self,
        user_id: str | None = None,
        *,
        session_id: str | None = None,
        text: str | None = None,
        items: Sequence[str] = (),
        k: int = 10,
        scenario: str | None = None,
        filter: Mapping[str, Any] | None = None,
        exclude: Sequence[str] = (),
        after: str | None = None,
        explain: bool | None = None,
        variety: float | None = None,
    ) -> Recommended:
        """One list: for a user, a session, words, items in front of the person, several of these, or none (what is popular now)."""
        wanted = {
            "user_id": user_id,
            "session_id": session_id,
            "text": text,
            "items": list(items) or None,
            "k": k,
            "scenario": scenario,
            "filter": filter,
            "exclude": list(exclude) or None,
            "after": after,
            "explain": explain,
            "variety": variety,
        }
        return cast(Recommended, self._ask("POST", "/v1/recommend", _given(wanted)))

    def recommend_batch(self, requests: Iterable[Mapping[str, Any]]) -> list[Recommended]:
        """Many lists at once, in the order of the requests, each a mapping of the arguments of `recommend`."""
        answer = self._ask("POST", "/v1/recommend/batch", {"requests": [dict(each) for each in requests]})
        return cast("list[Recommended]", answer["lists"])

    def similar(self, item_id: str, k: int = 10) -> list[Found]:
        """The available items most similar to an item."""
        return cast("list[Found]", self._ask("GET", f"/v1/similar/{_part(item_id)}", k=k)["items"])

    def popular(self, k: int = 10, category: str | None = None) -> Recommended:
        """What is popular now."""
        return cast(Recommended, self._ask("GET", "/v1/popular", k=k, category=category))

    def search(self, q: str, k: int = 10) -> list[Found]:
        """The available items that fit words best; the same for every user."""
        return cast("list[Found]", self._ask("GET", "/v1/search", q=q, k=k)["items"])

    def interests(self, user_id: str) -> Interests:
        """The interests of a user."""
        return cast(Interests, self._ask("GET", f"/v1/users/{_part(user_id)}/interests"))

    def why(self, user_id: str, item_id: str) -> dict[str, Any]:
        """Why a user is shown an item, in numbers."""
        return cast("dict[str, Any]", self._ask("GET", "/v1/why", user_id=user_id, item_id=item_id))

    def ready(self) -> dict[str, Any]:
        """Which model and snapshot the server answers with."""
        return cast("dict[str, Any]", self._ask("GET", "/health/ready"))

    def _send(self, method: str, path: str, rows: list[dict[str, Any]]) -> Taken:
        """Send rows, at most so many at once; the answers as one."""
        taken: Taken = {"accepted": 0, "duplicates": 0, "rejected": []}
        for start in range(0, len(rows), MOST_AT_ONCE):
            answer = self._ask(method, path, rows[start : start + MOST_AT_ONCE])
            taken["accepted"] += answer["accepted"]
            taken["duplicates"] += answer.get("duplicates", 0)
            if "new" in answer:
                taken["new"] = [*taken.get("new", []), *answer["new"]]
            taken["rejected"] += [{"index": each["index"] + start, "reason": each["reason"]} for each in answer["rejected"]]
        return taken

    def _ask(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        target = self._prefix + path + (f"?{urlencode(_given(query))}" if query else "")
        data = None if body is None else json.dumps(body, default=_plain, allow_nan=False).encode()
        for n_tries in range(self.retries + 1):
            is_last = n_tries == self.retries
            try:
                status, headers, content = self._exchange(method, target, data)
            except (OSError, http.client.HTTPException) as error:
                if is_last:
                    raise UnreachableError(f"no answer from {self!r}: {error or type(error).__name__}") from error
                time.sleep(_pause_s(n_tries))
                continue
            if status < 300:
                return json.loads(content)
            wait_s = _seconds(headers.get("retry-after")) or _pause_s(n_tries)
            if is_last or status not in BUSY or wait_s > LONGEST_WAIT_S:
                raise (ServerError if status >= 500 else RequestError)(status, _detail(content))
            time.sleep(wait_s)
        raise AssertionError("the last try returns or raises")

    def _exchange(self, method: str, target: str, data: bytes | None) -> tuple[int, Message, bytes]:
        """One request and its answer. A connection that the server has closed since its last request is opened again."""
        if self._pid != os.getpid():  # after a fork, the parent goes on with its connections
            self._idle, self._pid = deque(), os.getpid()
        try:
            connection, is_used = self._idle.pop(), True
        except IndexError:
            connection, is_used = self._fresh(), False
        try:
            answer = _exchanged(connection, method, target, data, self._headers)
        except (ConnectionError, http.client.RemoteDisconnected):
            if not is_used:
                raise
            answer = _exchanged(connection, method, target, data, self._headers)
        self._idle.append(connection)
        return answer

    def _fresh(self) -> http.client.HTTPConnection:
        if self._scheme == "https":
            return http.client.HTTPSConnection(self._host, self._port, timeout=self.timeout_s, context=ssl.create_default_context())
        return http.client.HTTPConnection(self._host, self._port, timeout=self.timeout_s)


def _exchanged(
    connection: http.client.HTTPConnection, method: str, target: str, data: bytes | None, headers: Mapping[str, str]
) -> tuple[int, Message, bytes]:
    """Status, headers and body. After an error the connection is closed: a late answer must not be taken for that of the next request."""
    try:
        connection.request(method, target, data, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    except BaseException:
        connection.close()
        raise


def _part(text: str) -> str:
    """An id as one part of a path."""
    return quote(text, safe="")


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _plain(value: object) -> str | float | list[Any]:
    """Values that JSON does not know. A time without a zone is sent as it is, and the server reads it as UTC."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, set | frozenset):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON; give text, a number, a time, a list or a mapping")


def _detail(content: bytes) -> str:
    """The server's sentence; of a proxy in between, the start of what it says."""
    try:
        return str(json.loads(content)["detail"])
    except (ValueError, KeyError, TypeError):
        return content[:200].decode(errors="replace").strip() or "no reason given"


def _seconds(text: str | None) -> float:
    """The seconds of a Retry-After header; 0 without one, and for one that names a date."""
    try:
        return max(float(text or 0), 0.0)
    except ValueError:
        return 0.0


def _pause_s(n_tries: int) -> float:
    return 0.1 * 2.0**n_tries * random.uniform(0.5, 1.5)
