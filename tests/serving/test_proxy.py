"""The nginx lines of the guide: each user's requests go to one server, and to another while that one is down."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.conftest import ROOT, find_free_port

GUIDE = (ROOT / "docs" / "guides" / "put-it-in-your-shop.md").read_text(encoding="utf-8")
USERS = ["u1", "u2", "anna", "joão", "a b", "x/y", "50%", "é+", *(f"user-{n}" for n in range(40))]


class _Named(BaseHTTPRequestHandler):
    """Answers every request with the port of its server and the path that it saw."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = f"{self.connection.getsockname()[1]} {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Write no line for a request."""


class Named(ThreadingHTTPServer):
    """A server that stands in for one of the API."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Named)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


@pytest.fixture
def behind_nginx(tmp_path: Path) -> Iterator[tuple[httpx.Client, list[Named]]]:
    """A client of nginx with the lines of the guide, and the two servers behind it."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    if nginx is None:
        subprocess.run(["apt-get", "update"], check=True, capture_output=True)
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", "nginx-light"], check=True, capture_output=True)
        nginx = "/usr/sbin/nginx"
    servers, port = [Named(), Named()], find_free_port()
    one, two = re.findall(r"```nginx\n(.*?)```", GUIDE, re.DOTALL)
    one = re.sub(r"\n *ssl_certificate.*", "", one).replace("listen 443 ssl", f"listen 127.0.0.1:{port}")
    one = one.replace("http://127.0.0.1:8000/", "http://minutehand/")
    for server, there in zip(servers, ("10.0.0.1:8000", "10.0.0.2:8000"), strict=True):
        two = two.replace(there, f"127.0.0.1:{server.server_address[1]}")
    places = "".join(f"{name} {tmp_path}/{name};\n" for name in ("client_body_temp_path", "proxy_temp_path"))
    head = f"daemon off; error_log {tmp_path}/errors; pid {tmp_path}/pid;\nevents {{}}\nhttp {{ access_log off;\n{places}"
    (tmp_path / "nginx.conf").write_text(f"{head}{two}\n{one}\n}}\n")
    process = subprocess.Popen([nginx, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")])
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/minutehand", headers={"Host": "shop.example"}) as client:
            _wait(client, process)
            yield client, servers
    finally:
        process.terminate()
        process.wait(10)
        for server in servers:
            server.stop()


@pytest.mark.slow
def test_nginx_sends_each_user_to_one_server_whatever_the_call(behind_nginx: tuple[httpx.Client, list[Named]]) -> None:
    client, servers = behind_nginx
    chosen = {user: {_port(answer) for answer in _calls(client, user)} for user in USERS}
    assert {user: len(ports) for user, ports in chosen.items()} == dict.fromkeys(USERS, 1)
    assert set().union(*chosen.values()) == {server.server_address[1] for server in servers}
    assert client.get("/v1/recommend/u1?k=5").text.split(" ", 1)[1] == "/v1/recommend/u1?k=5"
    assert client.delete("/v1/users/u1").status_code == 403


@pytest.mark.slow
def test_nginx_sends_the_users_of_a_dead_server_to_the_other_and_lets_the_rest_stay(
    behind_nginx: tuple[httpx.Client, list[Named]],
) -> None:
    client, servers = behind_nginx
    before = {user: _port(client.get(f"/v1/recommend/{quote(user, safe='')}")) for user in USERS}
    servers[0].stop()
    left = servers[1].server_address[1]
    after = {user: {_port(answer) for answer in _calls(client, user)} for user in USERS}
    assert set(before.values()) > {left}
    assert after == {user: {left} for user in USERS}


def _calls(client: httpx.Client, user: str) -> list[httpx.Response]:
    """A request of each kind for a user, as the guide says to send it."""
    path = quote(user, safe="")
    return [
        client.get(f"/v1/recommend/{path}?k=5"),
        client.get(f"/v1/users/{path}/interests"),
        client.get(f"/v1/why?user_id={path}&item_id=tent"),
        client.post("/v1/events", json={"events": []}, headers={"X-User": path}),
        client.post("/v1/recommend", json={"user_id": user}, headers={"X-User": path}),
    ]


def _port(answer: httpx.Response) -> int:
    assert answer.status_code == 200, answer.text
    return int(answer.text.split(" ")[0])


def _wait(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    for _ in range(100):
        try:
            client.get("/health/live")
            return
        except httpx.ConnectError:
            assert process.poll() is None, "nginx ended"
            time.sleep(0.05)
    raise AssertionError("nginx does not answer")
