"""Which requests reach the routes: those with the right key, not too many, not too large, from no foreign page."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from serving.admission import admitted, role_of
from serving.keys import Keys
from tasks.config import ServerConfig

METHODS = ["GET", "POST", "PUT", "DELETE"]
EVENTS = {"events": [{"user_id": "u"}]}


async def echo(request: Request) -> JSONResponse:
    body = await request.body()
    return JSONResponse({"path": request.url.path, "body": body.decode()})


class Door:
    """The checks before an application that echoes its requests."""

    def __init__(self, home: Path, *, is_open: bool = False, **config: Any) -> None:
        self.keys = Keys(home)
        app = Starlette(routes=[Route("/{path:path}", echo, methods=METHODS)])
        self.app = admitted(app, ServerConfig(**config), self.keys, is_open=is_open)

    def ask(self, method: str, path: str, key: str | None = None, client: str = "10.0.0.1", **more: Any) -> httpx.Response:
        headers = {**({"x-api-key": key} if key is not None else {}), **more.pop("headers", {})}

        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=(client, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
                return await http.request(method, path, headers=headers, **more)

        return asyncio.run(asked())

    def beacon(self, body: Any, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body)
        return self.ask("POST", "/v1/events", content=content, headers={"content-type": "text/plain;charset=UTF-8", **headers})


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def test_without_any_key_this_machine_may_ask_everything_and_once_there_is_one_every_request_needs_one(door: Door) -> None:
    assert [door.ask(method, "/v1/x").status_code for method in METHODS] == [200] * 4
    secret, _ = door.keys.add(["admin"])
    found = door.ask("GET", "/v1/recommend/u")
    assert (found.status_code, found.json()["detail"]) == (401, "this request needs a key; send it in the header X-API-Key")
    assert door.ask("GET", "/v1/recommend/u", "wrong").json()["detail"] == "this key is not known"
    assert [door.ask(method, "/v1/x", secret).status_code for method in METHODS] == [200] * 4
    assert door.ask("GET", "/v1/x", headers={"authorization": f"Bearer {secret}"}).status_code == 200
    assert door.ask("GET", "/v1/x", headers={"authorization": f"Basic {secret}"}).status_code == 401


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip"])
def test_without_any_key_a_request_that_came_through_a_proxy_is_refused(header: str, door: Door) -> None:
    found = door.ask("GET", "/v1/recommend/u", headers={header: "192.0.2.1"})
    assert found.status_code == 401
    assert "minutehand keys add read" in found.json()["detail"]


def test_a_server_on_the_network_whose_keys_are_gone_answers_nothing(tmp_path: Path) -> None:
    door = Door(tmp_path, is_open=True)
    assert door.ask("GET", "/v1/recommend/u").status_code == 401
    assert door.beacon(EVENTS).status_code == 401
    assert door.ask("GET", "/health/live").status_code == 200


READS = [
    ("GET", "/v1/recommend/u"),
    ("POST", "/v1/recommend"),
    ("POST", "/v1/recommend/batch"),
    ("GET", "/v1/events"),
    ("POST", "/v1/events/"),
    ("POST", "//v1/events"),
    ("POST", "/V1/events"),
    ("GET", "/v1/users/u/interests"),
    ("GET", "/metrics"),
    ("POST", "/docs"),
    ("GET", "/static"),
    ("GET", "/anything"),
]
CHANGES = [("PUT", "/v1/items"), ("PUT", "/v1/users/u/merge/s"), ("DELETE", "/v1/users/u"), ("PUT", "/v1/events"), ("PATCH", "/docs")]


def test_each_role_opens_its_requests_and_no_others(door: Door) -> None:
    events, read = door.keys.add(["events"])[0], door.keys.add(["read"])[0]
    assert door.ask("POST", "/v1/events", events, json=[]).status_code == 200
    for method, path in [*READS, *CHANGES]:
        assert door.ask(method, path, events).status_code == 403, f"a stolen events key gets {method} {path}"
    assert door.ask("POST", "/v1/events", read, json=[]).status_code == 403
    assert {door.ask(method, path, read).status_code for method, path in CHANGES} == {403}
    assert 403 not in {door.ask(method, path, read).status_code for method, path in READS}


def test_pages_and_health_need_no_key() -> None:
    paths = ["/", "/docs", "/openapi.json", "/tracker.js", "/static/page.js", "/health/live", "/health/ready"]
    assert {role_of("GET", path) for path in paths} == {None}
    assert {role_of("POST", path) for path in paths} == {"read"}


def test_a_beacon_carries_its_key_in_the_body_and_the_route_sees_only_the_events(door: Door) -> None:
    assert json.loads(door.beacon(EVENTS).json()["body"]) == EVENTS["events"]
    secret, read = door.keys.add(["events"])[0], door.keys.add(["read"])[0]
    assert json.loads(door.beacon({"key": secret, **EVENTS}).json()["body"]) == EVENTS["events"]
    assert json.loads(door.beacon(EVENTS, **{"x-api-key": secret}).json()["body"]) == EVENTS["events"]
    assert door.beacon(EVENTS).status_code == 401
    assert door.beacon({"key": None, **EVENTS}).status_code == 401
    assert door.beacon({"key": "wrong", **EVENTS}).json()["detail"] == "this key is not known"
    assert door.beacon({"key": read, **EVENTS}).status_code == 403
    assert door.beacon({"key": secret, **EVENTS}, **{"x-api-key": "wrong"}).status_code == 401


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b'{"key": "k"}', b"[" * 100_000, b"\xff"])
def test_an_odd_beacon_gets_a_clear_answer(body: bytes, door: Door) -> None:
    assert door.beacon(body).status_code == 400


def test_a_key_has_its_own_rate_and_so_has_an_address_without_one(tmp_path: Path) -> None:
    door = Door(tmp_path, api_requests_per_s=0.001, api_burst=2)
    assert [door.ask("GET", "/v1/x").status_code for _ in range(4)] == [200] * 4, "without keys, nothing is limited"
    one, other = door.keys.add(["read"])[0], door.keys.add(["read"])[0]
    found = [door.ask("GET", "/v1/x", one, client=f"10.0.0.{n}") for n in range(3)]
    assert [each.status_code for each in found] == [200, 200, 429]
    assert 900 < int(found[2].headers["retry-after"]) <= 1000
    assert door.ask("GET", "/v1/x", other).status_code == 200
    assert [door.ask("GET", "/v1/x", "wrong").status_code for _ in range(3)] == [401, 401, 429]
    assert door.ask("GET", "/v1/x", "wrong", client="10.0.0.9").status_code == 401
    assert [door.ask("GET", "/v1/x", client=f"2001:db8::{n}").status_code for n in range(3)] == [401, 401, 429]
    assert door.ask("GET", "/health/live").status_code == 200


def test_a_body_over_the_limit_is_refused_with_and_without_a_length(tmp_path: Path) -> None:
    door = Door(tmp_path, api_body_bytes=1000)

    async def pieces() -> Any:
        for _ in range(20):
            yield b"x" * 100
        raise AssertionError("the rest was read")

    assert door.ask("POST", "/v1/events", content=b"x" * 1000).status_code == 200
    found = door.ask("POST", "/v1/events", content=b"x" * 1001)
    assert (found.status_code, found.json()["detail"]) == (413, "the body is larger than 1,000 bytes; send less at a time")
    assert door.ask("POST", "/v1/events", content=pieces()).status_code == 413
    assert door.beacon({"key": "k" * 1000, **EVENTS}).status_code == 413


def test_a_damaged_file_of_keys_refuses_everything_and_names_no_path(door: Door) -> None:
    secret, _ = door.keys.add(["admin"])
    door.keys.file.write_text("[")
    for found in (door.ask("GET", "/v1/x", secret), door.ask("GET", "/v1/x"), door.beacon({"key": secret, **EVENTS})):
        assert found.status_code == 503
        assert str(door.keys.file.parent) not in found.text


def test_answers_tell_browsers_to_guess_nothing_and_keep_nothing(door: Door) -> None:
    for found in (door.ask("GET", "/v1/x"), door.ask("PUT", "/v1/x", content=b"x" * 5_000_000)):
        assert found.headers["x-content-type-options"] == "nosniff"
        assert found.headers["cache-control"] == "no-store"
        assert "default-src 'self'" in found.headers["content-security-policy"]
        assert "unsafe" not in found.headers["content-security-policy"]
    assert "access-control-allow-origin" not in door.ask("GET", "/v1/x").headers


SHOP = "https://shop.example"


@pytest.fixture
def shop_door(tmp_path: Path) -> Door:
    return Door(tmp_path, api_origins=f"{SHOP}, http://localhost:3000")


def test_only_pages_of_named_origins_may_ask(door: Door, shop_door: Door) -> None:
    cross = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}
    assert door.ask("GET", "/v1/x", headers={"origin": SHOP, **cross}).status_code == 403
    found = shop_door.ask("GET", "/v1/x", headers={"origin": SHOP, **cross})
    assert (found.status_code, found.headers["access-control-allow-origin"]) == (200, SHOP)
    for origin in ("https://evil.example", "http://shop.example", f"{SHOP}.evil.example", "null"):
        found = shop_door.ask("GET", "/v1/x", headers={"origin": origin, **cross})
        assert (found.status_code, found.headers.get("access-control-allow-origin")) == (403, None)
    assert shop_door.ask("GET", "/v1/x", headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}).status_code == 403


def test_a_named_page_may_send_a_beacon_and_read_lists_with_a_key_in_a_header(shop_door: Door) -> None:
    secret, _ = shop_door.keys.add(["events", "read"])
    beacon = {"origin": SHOP, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "empty"}
    assert shop_door.beacon({"key": secret, **EVENTS}, **beacon).status_code == 200
    asked = {"origin": SHOP, "access-control-request-method": "GET", "access-control-request-headers": "x-api-key"}
    found = shop_door.ask("OPTIONS", "/v1/recommend/u", headers=asked)
    assert (found.status_code, found.headers["access-control-allow-origin"]) == (200, SHOP)
    refused = shop_door.ask("GET", "/v1/x", headers={"origin": SHOP})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, SHOP), "the page can read why"


def test_every_site_may_load_the_tracker_and_nothing_else(door: Door) -> None:
    script = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script"}
    assert door.ask("GET", "/tracker.js", headers=script).status_code == 200
    assert door.ask("GET", "/static/page.js", headers=script).status_code == 403
    assert door.ask("POST", "/tracker.js", headers={**script, "origin": SHOP}).status_code == 403


@pytest.mark.parametrize("origins", ["*", "shop.example", "https://shop.example/", "https://Shop.example", "https://*.example"])
def test_an_origin_is_one_origin_and_no_pattern(origins: str) -> None:
    with pytest.raises(ValueError, match="is not an origin"):
        ServerConfig(api_origins=origins)
