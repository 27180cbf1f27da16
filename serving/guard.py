"""Checks every request to a server of this home before Prefect, MLflow or the API handles it."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterable

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'; form-action 'self'; base-uri 'self'"
"""The servers' pages may load nothing from other hosts. Without this policy, Prefect's UI sends requests to amplitude.com."""
HOST = re.compile(r"(\[[0-9a-f:]+\]|[a-z0-9._-]+)(:[0-9]+)?")


class Guard:
    """An ASGI application that only answers requests to an accepted Host, without a foreign Origin and, if there is a secret, with it.

    The Host check stops DNS rebinding: a foreign name that resolves to this machine. The Origin check stops pages of other sites,
    and of other ports of this machine, even where the browser adds a password that it knows.
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: Iterable[str],
        secret: str | None = None,
        open_paths: Iterable[str] = (),
        *,
        origins: Iterable[str] = (),
        for_every_site: Iterable[str] = (),
        policy: str = POLICY,
    ) -> None:
        """hosts: accepted names, without port. secret: `user:password` of basic authentication. open_paths: paths that need no secret.

        origins: origins of other sites whose pages may send requests. for_every_site: paths that a page of any site may load.
        """
        self.app = app
        self.hosts = frozenset(host.lower() for host in hosts)
        self.secret = secret
        self.open_paths = frozenset(open_paths)
        self.origins = frozenset(origin.lower() for origin in origins)
        self.for_every_site = frozenset(for_every_site)
        self.policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = None if scope["type"] == "lifespan" else self.refusal(scope)
        if refusal is None:
            await self.app(scope, receive, with_policy(send, self.policy))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # before the handshake: the server answers 403
        else:
            await refusal(scope, receive, send)

    def refusal(self, scope: Scope) -> PlainTextResponse | None:
        """Why a request is refused; None if it is not."""
        headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
        hosts = [value.lower() for name, value in headers if name == "host"]
        origins = [value.lower() for name, value in headers if name == "origin"]
        fetch = {name: value for name, value in headers if name.startswith("sec-fetch-")}
        parsed = HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if parsed is None or parsed[1] not in self.hosts:
            return PlainTextResponse("this Host is not accepted; MINUTEHAND_SERVER__ALLOWED_HOSTS names those that are\n", 400)
        named = [origin for origin in origins if origin in self.origins]
        foreign = [origin for origin in origins if origin not in (f"http://{hosts[0]}", f"https://{hosts[0]}", *named)]
        is_loaded = scope["path"] in self.for_every_site and scope.get("method") in ("GET", "HEAD")
        if not is_loaded and (foreign or (is_foreign(fetch) and not named)):
            return PlainTextResponse("requests from other origins are refused\n", 403)
        if self.secret is not None and scope["path"] not in self.open_paths and not self.knows(headers):
            return PlainTextResponse("log in\n", 401, {"www-authenticate": 'Basic realm="minutehand", charset="UTF-8"'})
        return None

    def knows(self, headers: list[tuple[str, str]]) -> bool:
        """Whether the request carries the secret."""
        given = [value for name, value in headers if name == "authorization"]
        scheme, _, credentials = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        try:
            found = base64.b64decode(credentials.strip(), validate=True)
        except binascii.Error:
            return False
        return scheme.lower() == "basic" and hmac.compare_digest(found, (self.secret or "").encode())


def with_policy(send: Send, policy: str = POLICY) -> Send:
    """Adds the policy to the headers of each answer. A policy that the application sets applies as well."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"content-security-policy", policy.encode())]}
        await send(message)

    return sending


def is_foreign(fetch: dict[str, str]) -> bool:
    """Whether a page of another origin sent the request, according to the browser. A link that the user follows does not count.

    fetch: the Sec-Fetch-* headers, which a page cannot forge.
    """
    if fetch.get("sec-fetch-site", "none") in ("none", "same-origin"):
        return False
    return (fetch.get("sec-fetch-mode"), fetch.get("sec-fetch-dest")) != ("navigate", "document")
