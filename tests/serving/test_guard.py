"""The guard lets through what our own processes and a browser at our own pages ask, and nothing else."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from serving.guard import Guard
from tasks.config import ServerConfig

SECRET = "minutehand:0123456789"
HOST = "127.0.0.1:5000"


def _basic(secret: str) -> str:
    return "Basic " + base64.b64encode(secret.encode()).decode()


def _status(*headers: tuple[str, str], secret: str | None = None, path: str = "/api", config: ServerConfig | None = None) -> int:
    """The status of the answer; 200 is that of the application behind the guard."""
    sent = _ask({"type": "http", "method": "POST", "path": path}, *headers, secret=secret, config=config)
    return int(sent[0]["status"])


def _ask(scope: dict[str, Any], *headers: tuple[str, str], secret: str | None = None, config: ServerConfig | None = None) -> list[Any]:
    sent: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Any:
        raise AssertionError("the guard reads no body")

    async def send(message: Any) -> None:
        sent.append(message)

    encoded = [(name.encode(), value.encode()) for name, value in headers]
    guard = Guard(application, (config or ServerConfig()).accepted_hosts, secret, ["/health"])
    asyncio.run(guard({**scope, "headers": encoded}, receive, send))
    return sent


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "localhost:5000", "LOCALHOST", "[::1]:5000"])
def test_a_request_to_this_machine_passes(host: str) -> None:
    assert _status(("host", host)) == 200


@pytest.mark.parametrize(
    "host", ["evil.example:5000", "127.0.0.1.evil.example", "localhost.evil.example", "evil@127.0.0.1", "0.0.0.0:5000", "10.0.0.5", ""]
)
def test_a_foreign_host_is_refused(host: str) -> None:
    assert _status(("host", host)) == 400


def test_no_host_and_two_hosts_are_refused() -> None:
    assert _status() == 400
    assert _status(("host", HOST), ("host", "evil.example")) == 400


@pytest.mark.parametrize("origin", [f"http://{HOST}", f"https://{HOST}"])
def test_our_own_pages_may_ask(origin: str) -> None:
    assert _status(("host", HOST), ("origin", origin), ("sec-fetch-site", "same-origin")) == 200


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "http://127.0.0.1:5001", "http://127.0.0.1", "http://localhost:5000", "null", f"http://{HOST}.evil.example"],
)
def test_a_foreign_origin_is_refused_even_with_the_secret(origin: str) -> None:
    assert _status(("host", HOST), ("origin", origin), ("authorization", _basic(SECRET)), secret=SECRET) == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_foreign_page_may_link_to_us_but_neither_embed_nor_load_us(site: str) -> None:
    def status(mode: str, destination: str) -> int:
        return _status(("host", HOST), ("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", destination))

    assert status("navigate", "document") == 200
    assert status("navigate", "iframe") == status("no-cors", "image") == status("cors", "empty") == 403


def test_only_the_whole_secret_passes_and_health_needs_none() -> None:
    def status(*headers: tuple[str, str], path: str = "/api") -> int:
        return _status(("host", HOST), *headers, secret=SECRET, path=path)

    assert status(("authorization", _basic(SECRET))) == 200
    for wrong in (_basic(SECRET[:-1]), _basic(f"{SECRET}0"), _basic("minutehand:"), f"Bearer {SECRET}", "Basic", "Basic !", SECRET):
        assert status(("authorization", wrong)) == 401, wrong
    assert status(("authorization", _basic("x")), ("authorization", _basic(SECRET))) == 401
    assert status() == 401
    assert status(path="/health") == 200
    assert status(path="/health/") == 401


def test_a_websocket_of_a_foreign_page_is_closed_before_its_handshake() -> None:
    scope = {"type": "websocket", "path": "/api/events/out"}
    assert _ask(scope, ("host", HOST), ("origin", "http://evil.example"))[0]["type"] == "websocket.close"
    assert _ask(scope, ("host", "evil.example"))[0]["type"] == "websocket.close"
    assert _ask(scope, ("host", HOST))[0]["type"] != "websocket.close"


def test_on_an_open_address_only_the_names_that_are_set_are_accepted() -> None:
    config = ServerConfig(host="0.0.0.0", allowed_hosts="Shop.example, 192.168.1.5")
    for host, status in {"shop.example": 200, "192.168.1.5:4200": 200, "127.0.0.1": 200, "192.168.1.6": 400, "0.0.0.0": 400}.items():
        assert _status(("host", host), config=config) == status, host


@pytest.mark.parametrize("names", ["*", "*.example", "http://shop.example", "shop.example:80", "a b"])
def test_an_accepted_host_is_a_name_and_no_pattern(names: str) -> None:
    with pytest.raises(ValueError, match="leave out scheme, port and wildcards"):
        ServerConfig(allowed_hosts=names)


def test_a_browser_is_told_to_load_nothing_from_other_hosts_and_to_let_none_embed_our_pages() -> None:
    (answer,) = _ask({"type": "http", "method": "GET", "path": "/"}, ("host", HOST))
    policy = dict(answer["headers"])[b"content-security-policy"].decode()
    assert "default-src 'self' 'unsafe-inline'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "http" not in policy
