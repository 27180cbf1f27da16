"""Decides which requests reach the routes of the API: by key and role, by rate, by size."""

from __future__ import annotations

import ipaddress
import json
import logging
import time
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.guard import Guard
from serving.keys import Key, Keys, KeysError, Role
from serving.limits import CHARGE, EVENTS_PER_REQUEST, Rate, TooLargeError, at_most
from tasks.config import ServerConfig

log = logging.getLogger("minutehand.serving")
EVENTS = "/v1/events"
OPEN = frozenset({"/", "/docs", "/openapi.json", "/tracker.js", "/favicon.ico", "/health/live", "/health/ready"})
"""Paths that need no key: they show nothing of users or items. Files of the pages are under /static/."""
FOR_EVERY_SITE = frozenset({"/tracker.js"})
"""Paths that a page of any site may load."""
POLICY = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
PROXIED = ("x-forwarded-for", "forwarded", "x-real-ip")
ADD_KEY = "minutehand keys add read"


class RefusedError(Exception):
    """The request gets this answer, and no route sees it."""

    def __init__(self, status: int, detail: str, **headers: str) -> None:
        self.answer = JSONResponse({"detail": detail}, status, {name.replace("_", "-"): value for name, value in headers.items()})


def admitted(app: ASGIApp, config: ServerConfig, keys: Keys, *, is_open: bool = False) -> ASGIApp:
    """The API behind all its checks. is_open: it listens on the network, so that it answers nothing without a key."""
    checked: ASGIApp = Admission(app, config, keys, is_open=is_open)
    if config.origins:
        names = ["x-api-key", "authorization", "content-type"]
        checked = CORSMiddleware(checked, config.origins, ["GET", "POST"], names, expose_headers=["retry-after"])
    return Guard(checked, config.accepted_hosts, origins=config.origins, for_every_site=FOR_EVERY_SITE, policy=POLICY)


class Admission:
    """An ASGI application that refuses requests without the right key, too many requests of one client, and bodies that are too large.

    Without any key, everybody on this machine may ask everything, and no rate is limited.
    """

    def __init__(
        self, app: ASGIApp, config: ServerConfig, keys: Keys, *, is_open: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.app, self.config, self.keys, self.is_open = app, config, keys, is_open
        self.rate = Rate(config.api_requests_per_s, config.api_burst, clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sending = _with_headers(send, is_private=scope["path"].startswith("/v1"))
        try:
            receive = await self._admit(scope, receive)
        except RefusedError as refusal:
            await refusal.answer(scope, receive, sending)
        except KeysError as error:
            log.error("%s", error)
            await JSONResponse({"detail": "the keys of this server cannot be read; its log says more"}, 503)(scope, receive, sending)
        else:
            await self.app(scope, receive, sending)

    async def _admit(self, scope: Scope, receive: Receive) -> Receive:
        """What the application receives; raises RefusedError."""
        headers, limit = Headers(scope=scope), self.config.api_body_bytes
        role = role_of(scope["method"], scope["path"])
        is_beacon = role == "events" and headers.get("content-type", "").startswith("text/plain")
        key = self._key(headers, scope, role, is_beacon=is_beacon)
        if (length := headers.get("content-length", "")).isdecimal() and int(length) > limit:
            raise RefusedError(413, TooLargeError(limit).detail)
        receive = at_most(limit, receive)
        return await self._unwrapped(receive, has_key=key is not None) if is_beacon else receive

    def _key(self, headers: Headers, scope: Scope, role: Role | None, *, is_beacon: bool) -> Key | None:
        """The key of the headers, after its rate and its roles were checked. None: the request needs no key, or has it in its body."""
        if role is None:
            return None
        secret = secret_of(headers)
        key = self.keys.find(secret) if secret is not None else None
        if self.keys.all() is None:
            if self.is_open or any(name in headers for name in PROXIED):
                raise RefusedError(401, f"requests from other machines need a key, and this server has none; add one: {ADD_KEY}")
            return None
        client = key.id if key else address_of(scope)
        if wait_s := self.rate.wait_s(client):
            raise RefusedError(429, f"too many requests; try again in {wait_s} s", retry_after=str(wait_s))
        scope[CHARGE] = lambda n: self.rate.wait_s(client, n // EVENTS_PER_REQUEST)
        if key is None and secret is None and is_beacon:
            return None
        return permitted(key, role, is_given=secret is not None)

    async def _unwrapped(self, receive: Receive, *, has_key: bool) -> Receive:
        """The events of a body {"key": ..., "events": [...]}, which a browser sends as text/plain; checks the key in it."""
        try:
            given = json.loads(await body_of(receive))
        except TooLargeError as error:
            raise RefusedError(413, error.detail) from error
        except (ValueError, RecursionError) as error:
            raise RefusedError(400, "the body is not JSON") from error
        if not isinstance(given, dict) or "events" not in given:
            raise RefusedError(400, 'in text/plain, the body is {"key": "...", "events": [...]}')
        secret = given.get("key")
        if not has_key and self.keys.all() is not None:
            permitted(self.keys.find(secret) if isinstance(secret, str) else None, "events", is_given=bool(secret))
        return _replay(json.dumps(given["events"]).encode())


def role_of(method: str, path: str) -> Role | None:
    """The role that a request needs; None if it needs no key. A path that is not known here needs `read`."""
    if method in ("GET", "HEAD") and (path in OPEN or path.startswith("/static/")):
        return None
    if method == "POST" and path == EVENTS:
        return "events"
    return "read" if method in ("GET", "HEAD", "POST") else "admin"


def permitted(key: Key | None, role: Role, *, is_given: bool) -> Key:
    """The key, if it may do what needs the role. is_given: whether the request has a key at all."""
    if key is None:
        detail = "this key is not known" if is_given else "this request needs a key; send it in the header X-API-Key"
        raise RefusedError(401, detail, www_authenticate="Bearer")
    if not key.may(role):
        raise RefusedError(403, f"this request needs a key with the role {role}, and this one has {', '.join(key.roles)}")
    return key


def secret_of(headers: Headers) -> str | None:
    """The key of a request: X-API-Key, or the token of Authorization: Bearer."""
    given = headers.get("x-api-key")
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return given.strip() if given is not None else token.strip() if scheme.lower() == "bearer" else None


def address_of(scope: Scope) -> str:
    """Where a request comes from. One household or host has a whole /64 of IPv6, so that counts as one address."""
    host = (scope.get("client") or ("", 0))[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else host


async def body_of(receive: Receive) -> bytes:
    """The whole body."""
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def _replay(body: bytes) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receiving() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receiving


def _with_headers(send: Send, *, is_private: bool) -> Send:
    """Adds the headers that every answer has. is_private: no browser and no proxy may keep the answer."""
    added = [*HEADERS, *([(b"cache-control", b"no-store")] if is_private else [])]

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await send(message)

    return sending
