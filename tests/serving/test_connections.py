"""Over real sockets: connections that say nothing or too little end, and others are answered meanwhile."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from serving.admission import admitted
from serving.connections import Impatient
from serving.keys import Keys
from tasks.config import ServerConfig
from tests.conftest import find_free_port

SHORT_S = 0.4
LONG_S = 1.2


async def echo(request: Request) -> PlainTextResponse:
    await asyncio.sleep(float(request.query_params.get("wait", 0)))
    return PlainTextResponse(str(len(await request.body())))


class Hasty(Impatient):
    """The same with limits that a test can wait for."""

    head_s, request_s, max_connections = SHORT_S, LONG_S, 1100


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server with an application that tells the length of a body."""
    folder: Path = tmp_path_factory.mktemp("home")
    app = admitted(Starlette(routes=[Route("/{path:path}", echo, methods=["GET", "POST"])]), ServerConfig(), Keys(folder))
    number = find_free_port()
    config = uvicorn.Config(app, port=number, http=Hasty, ws="none", log_level="critical", lifespan="off", timeout_keep_alive=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield number
    server.should_exit = True
    thread.join(20)


def ask(port: int, body: Any = None, n: int = 1) -> list[tuple[int, str]]:
    """Status and text of n requests on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        found = []
        for _ in range(n):
            connection.request("POST" if body is not None else "GET", "/v1/events", body)
            answer = connection.getresponse()
            found.append((answer.status, answer.read().decode()))
        return found
    finally:
        connection.close()


def seconds_until_closed(connection: socket.socket, feed: Callable[[], None] = lambda: None) -> float:
    began = time.monotonic()
    connection.settimeout(0.1)
    while time.monotonic() - began < 10:
        try:
            feed()
            if not connection.recv(65536):
                break
        except TimeoutError:
            continue
        except ConnectionError:
            break
    return time.monotonic() - began


def test_a_thousand_connections_that_say_nothing_keep_nobody_out(port: int) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10)) for _ in range(1000)]
        began = time.monotonic()
        assert ask(port, n=20) == [(200, "0")] * 20
        assert time.monotonic() - began < 2
        assert max(seconds_until_closed(each) for each in silent) < SHORT_S + 3


def test_over_the_limit_of_connections_the_quietest_one_ends(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hasty, "max_connections", 3)
    monkeypatch.setattr(Hasty, "head_s", 20.0)
    with ExitStack() as stack:
        silent = []
        for _ in range(3):
            silent.append(stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10)))
            time.sleep(0.02)
        assert ask(port) == [(200, "0")]
        assert seconds_until_closed(silent[0]) < 1
        silent[2].sendall(b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        assert silent[2].recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("start", [b"", b"GET", b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n"])
def test_a_head_that_does_not_end_is_cut_off_even_if_it_drips(start: bytes, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(start)
        drips = (lambda: connection.sendall(b"a")) if start.startswith(b"GET /") else (lambda: None)
        assert SHORT_S / 2 < seconds_until_closed(connection, drips) < LONG_S


def test_a_body_that_does_not_end_is_cut_off(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"POST /v1/events HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000\r\n\r\n")
        assert SHORT_S < seconds_until_closed(connection, lambda: connection.sendall(b"a")) < LONG_S + 1


def test_a_connection_stays_for_the_next_request_and_ends_when_half_of_one_comes(port: int) -> None:
    assert ask(port, b"x" * 10, n=3) == [(200, "10")] * 3
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        time.sleep(SHORT_S * 1.5)
        connection.sendall(b"GET / HTTP/1.1\r\n")
        assert seconds_until_closed(connection) < LONG_S


def test_a_slow_answer_is_no_fault_of_the_client(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"GET /?wait={LONG_S + 0.2} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_body_that_comes_in_time_is_waited_for(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"POST /v1/events HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 4\r\n\r\nab")
        time.sleep(SHORT_S * 1.5)
        connection.sendall(b"cd")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_body_of_ten_megabytes_gets_its_answer_on_a_connection_that_goes_on(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", "/v1/events", b"x" * 10_000_000)
    answer = connection.getresponse()
    assert (answer.status, b"larger than 4,000,000 bytes" in answer.read()) == (413, True)
    connection.request("GET", "/v1/events")
    assert connection.getresponse().status == 200
    connection.close()


def test_a_body_of_ten_megabytes_in_pieces_is_refused_too(port: int) -> None:
    assert ask(port, (b"x" * 100_000 for _ in range(100)))[0][0] == 413


@pytest.mark.parametrize(
    "request_line", [b"\x00\x01\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nhost: " + b"a" * 100_000 + b"\r\n\r\n"]
)
def test_what_is_no_http_is_refused(request_line: bytes, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request_line)
        with suppress(ConnectionResetError):
            assert connection.recv(1000).startswith(b"HTTP/1.1 400")
