"""A small server on this machine that answers like an OpenAI-compatible endpoint, or badly."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class FakeEndpoint:
    """An endpoint that gives the configured answer and records its requests."""

    url: str
    respond: Callable[[BaseHTTPRequestHandler], None]
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)

    def says(self, text: object) -> None:
        self.respond = lambda handler: send(handler, json.dumps({"choices": [{"message": {"content": text}}]}).encode())


def send(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"content-length": str(len(body)), **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def open_endpoint() -> Iterator[FakeEndpoint]:
    """A running endpoint that gives no answer until a test configures one."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/chat/completions"
            fake.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            fake.keys.append(self.headers["authorization"])
            with suppress(OSError):  # the client may have hung up
                fake.respond(self)

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake = FakeEndpoint(f"http://127.0.0.1:{server.server_port}/v1", lambda handler: send(handler, b""))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield fake
    server.shutdown()
    server.server_close()
    thread.join()
