"""The client: one connection, the server's own sentences, and no event twice, whatever breaks."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from copy import copy
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from minutehand import Client, RequestError, ServerError, UnreachableError
from minutehand import client as clients
from tests.conftest import ROOT, find_free_port

Open = Callable[..., Client]
Answer = Callable[["Request"], tuple[int, Any]]
TAKEN = {"accepted": 1, "duplicates": 0, "rejected": []}


class Request(BaseHTTPRequestHandler):
    """Notes a request and answers as the test says; an answer of status 0 breaks the connection off."""

    protocol_version = "HTTP/1.1"
    server: Server

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.given: Any = json.loads(body) if body else None
        self.server.requests.append(copy(self))  # one handler serves all requests of a connection
        status, content = self.server.answer(self)
        if status == 0:
            self.close_connection = True
            return
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        if status == 429:
            self.send_header("retry-after", "0")
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = self.server.closes

    do_GET = do_POST = do_PUT = answer  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.requests: list[Any] = []
        self.answer: Answer = lambda request: (200, TAKEN)
        self.closes = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def paths(self) -> list[str]:
        return [f"{request.command} {request.path}" for request in self.requests]


@pytest.fixture
def open_client(server: Server) -> Iterator[Open]:
    """A function that opens clients of the server; they are closed after the test."""
    with ExitStack() as stack:
        yield lambda **more: stack.enter_context(Client(server.url, **more))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(clients, "_pause_s", lambda n_tries: 0.0)
    found = Server()
    thread = threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()


def test_every_call_asks_what_its_name_says(server: Server) -> None:
    server.answer = lambda request: (200, {"items": [], "lists": [], **TAKEN})
    with Client(f"{server.url}/shop/", "secret") as client:
        client.recommend("u", text="for rain", scenario="cart", k=3, exclude=["a"])
        client.recommend_batch([{"user_id": "u"}])
        client.similar("a/b 🙂", k=2)
        client.popular(k=2, category="Home")
        client.search("für Regen", k=2)
        client.interests("a/b")
        client.why("a b", "c&d")
        client.put_items([{"item_id": "a", "price": Decimal("9.5"), "first_seen_at": datetime(2026, 1, 2, tzinfo=UTC)}])
        client.merge("u/1", "s 1")
        client.ready()
    assert server.paths() == [
        "POST /shop/v1/recommend",
        "POST /shop/v1/recommend/batch",
        "GET /shop/v1/similar/a%2Fb%20%F0%9F%99%82?k=2",
        "GET /shop/v1/popular?k=2&category=Home",
        "GET /shop/v1/search?q=f%C3%BCr+Regen&k=2",
        "GET /shop/v1/users/a%2Fb/interests",
        "GET /shop/v1/why?user_id=a+b&item_id=c%26d",
        "PUT /shop/v1/items",
        "PUT /shop/v1/users/u%2F1/merge/s%201",
        "GET /shop/health/ready",
    ]
    assert server.requests[0].given == {"user_id": "u", "text": "for rain", "scenario": "cart", "k": 3, "exclude": ["a"]}
    assert server.requests[7].given == [{"item_id": "a", "price": 9.5, "first_seen_at": "2026-01-02T00:00:00+00:00"}]
    assert {request.headers["x-api-key"] for request in server.requests} == {"secret"}
    assert len({request.client_address for request in server.requests}) == 1, "one connection for all"


def test_a_repeated_request_has_the_same_event_ids(server: Server, open_client: Open) -> None:
    server.answer = lambda request: (0, None) if len(server.requests) < 3 else (202, TAKEN)
    open_client().events([{"user_id": "u", "item_id": "i"}, {"event_id": "mine", "user_id": "u", "item_id": "i"}])
    first, *others = [request.given for request in server.requests]
    assert len(others) == 2
    assert all(given == first for given in others)
    assert re.fullmatch(r"[0-9a-f]{32}", first[0]["event_id"])
    assert first[1]["event_id"] == "mine"


def test_many_events_go_in_parts_and_the_refusals_keep_their_places(server: Server, open_client: Open) -> None:
    server.answer = lambda request: (
        202,
        {"accepted": len(request.given) - 1, "duplicates": 0, "rejected": [{"index": 1, "reason": "user_id is empty"}]},
    )
    taken = open_client().events({"user_id": "u"} for _ in range(2500))
    assert [len(request.given) for request in server.requests] == [1000, 1000, 500]
    assert (taken["accepted"], [each["index"] for each in taken["rejected"]]) == (2497, [1, 1001, 2001])


def test_a_connection_that_the_server_closed_is_opened_again_without_using_up_a_try(server: Server, open_client: Open) -> None:
    server.closes = True
    client = open_client(retries=0)
    for _ in range(3):
        client.ready()
    assert len(server.requests) == 3


def test_a_busy_answer_is_tried_again_and_another_one_is_not(server: Server, open_client: Open) -> None:
    server.answer = lambda request: (429, {"detail": "too many"}) if len(server.requests) < 3 else (200, {"status": "ok"})
    assert open_client().ready() == {"status": "ok"}
    server.requests.clear()
    server.answer = lambda request: (422, {"detail": "k is 0: should be greater than or equal to 1"})
    with pytest.raises(RequestError, match=r"^k is 0: should be greater than or equal to 1 \(HTTP 422\)$") as raised:
        open_client().recommend("u", k=0)
    assert (len(server.requests), raised.value.status) == (1, 422)


def test_a_server_that_cannot_answer_is_an_error_with_its_reason_and_so_is_a_page_of_a_proxy(server: Server, open_client: Open) -> None:
    server.answer = lambda request: (503, {"detail": "events cannot be stored: No space left on device"})
    with pytest.raises(ServerError, match="No space left on device"):
        open_client().events([{"user_id": "u", "item_id": "i"}])
    assert len(server.requests) == 3
    server.answer = lambda request: (502, b"<html>Bad Gateway</html>")
    with pytest.raises(ServerError, match=r"<html>Bad Gateway</html> \(HTTP 502\)"):
        open_client().ready()


def test_a_server_that_is_not_there_or_says_nothing_is_an_error_in_time() -> None:
    with pytest.raises(UnreachableError, match=r"no answer from Client\(http://127.0.0.1:\d+\): .*refused"):
        Client(f"http://127.0.0.1:{find_free_port()}", "secret", retries=0).ready()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(UnreachableError, match="timed out"):
            Client(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.1, retries=1).ready()


def test_a_late_answer_is_not_taken_for_the_next_one(server: Server, open_client: Open) -> None:
    gate = threading.Event()

    def slow_then_quick(request: Any) -> tuple[int, Any]:
        if len(server.requests) == 1:
            gate.wait(5)
        return 200, {"n": len(server.requests)}

    server.answer = slow_then_quick
    client = open_client(timeout_s=0.2, retries=0)
    with pytest.raises(UnreachableError):
        client.ready()
    gate.set()
    assert client.ready() == {"n": 2}


def test_threads_at_the_same_time_have_connections_of_their_own(server: Server, open_client: Open) -> None:
    together = threading.Barrier(4)

    def meet(request: Any) -> tuple[int, Any]:
        together.wait(5)
        return 200, {}

    server.answer = meet
    client = open_client()
    threads = [threading.Thread(target=client.ready) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({request.client_address for request in server.requests}) == 4


@pytest.mark.parametrize("url", ["shop.example", "ftp://shop.example", "http://", "https://shop.example/?key=1"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="is not the address of a server; give one such as"):
        Client(url)


def test_the_key_is_not_in_what_is_printed() -> None:
    assert "secret" not in repr(Client("http://u:secret@shop.example", "secret"))


def test_the_client_runs_without_any_installed_package() -> None:
    script = "import sys; sys.path.insert(0, sys.argv[1]); import minutehand; minutehand.Client(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script, str(ROOT)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr
