"""A `minutehand up` for tests, with calls to its servers."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cli.environment import read_up
from cli.secret import read_secret
from cli.up.ports import LISTENING
from tests.conftest import ROOT, find_free_port

MINUTEHAND = (sys.executable, "-c", "from cli import main; main()")
PATIENCE_S = 120.0
IMPATIENT = {"PREFECT_WORKER_QUERY_SECONDS": "2", "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2"}


@dataclass(frozen=True)
class Running:
    """A running `minutehand up` with its Prefect API, its MLflow and its API."""

    process: subprocess.Popen[str]
    home: Path
    port: int
    mlflow_port: int
    api_port: int = 0

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The answer of the Prefect API; retries on 503, which a busy server returns, like Prefect's own client."""
        for _ in range(20):
            try:
                return self._call(method, f"http://127.0.0.1:{self.port}/api/{path}", body)
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    raise
                time.sleep(0.5)
        raise AssertionError(f"{path} answered 503 for ten seconds")

    def experiments(self) -> list[str]:
        """The names of MLflow's experiments."""
        return sorted(found["name"] for found in self.mlflow("experiments/search", {"max_results": 100})["experiments"])

    def mlflow(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """The answer of MLflow to a GET, or to a POST if there is a body."""
        url = f"http://127.0.0.1:{self.mlflow_port}/api/2.0/mlflow/{path}"
        return self._call("GET" if body is None else "POST", url, body)

    def _call(self, method: str, url: str, body: dict[str, Any] | None) -> Any:
        request = urllib.request.Request(
            url,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"content-type": "application/json", "authorization": self.authorization},
            method=method,
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    @property
    def authorization(self) -> str:
        """The authorization header with the secret."""
        return "Basic " + base64.b64encode(read_secret(self.home).encode()).decode()

    def children(self) -> dict[str, int]:
        up = read_up(self.home)
        assert up is not None
        return up.children

    def logs(self) -> str:
        return "\n".join(f"== {log.name}\n{log.read_text(errors='replace')[-3000:]}" for log in (self.home / "logs").glob("*.log"))

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for the condition; after the timeout, AssertionError with the ends of the logs."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"waited {PATIENCE_S:.0f} s in vain\n{self.logs() if self.home.exists() else ''}"
            time.sleep(0.3)


@contextlib.contextmanager
def running_up(folder: Path, port: int, mlflow_port: int) -> Iterator[Running]:
    """A `minutehand up` with its home in the folder; the block runs after its last line of output."""
    output = folder / "up.out"
    api_port = find_free_port()
    command = [*MINUTEHAND, "up", "--port", str(port), "--mlflow-port", str(mlflow_port), "--api-port", str(api_port)]
    env = {**os.environ, **IMPATIENT, "MINUTEHAND_HOME": str(folder / "home")}
    with output.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT, env=env, text=True)
    up = Running(process, folder / "home", port, mlflow_port, api_port)
    try:
        up.until(lambda: "Log in to Prefect" in output.read_text() or process.poll() is not None)
        assert process.poll() is None, output.read_text()
        yield up
    finally:
        process.terminate()
        process.wait(60)


def run_every(running: Running, deployment: str, seconds: int) -> None:
    """Set the schedule interval of a deployment, such as ingest/ingest; the first run starts in ten seconds for any interval."""
    found = running.call("GET", f"deployments/name/{deployment}")
    (schedule,) = found["schedules"]
    interval = {"interval": seconds, "anchor_date": (datetime.now(UTC) + timedelta(seconds=10)).isoformat()}
    running.call("PATCH", f"deployments/{found['id']}/schedules/{schedule['id']}", {"schedule": interval})


def status(port: int, method: str, path: str, body: Any = None, **headers: str) -> int | None:
    """The status of an answer on 127.0.0.1; None if the listener does not speak HTTP. Header names have underscores."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    fields = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None, fields)
        return connection.getresponse().status
    except (http.client.HTTPException, ConnectionError):
        return None
    finally:
        connection.close()


def listeners(groups: set[int]) -> set[tuple[str, int]]:
    """Address (as in /proc/net/tcp) and port of all listening sockets of these process groups."""
    inodes = set()
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):  # the process may have ended
            if os.getpgid(int(descriptor.parts[2])) in groups:
                inodes.add(str(descriptor.readlink()))
    found = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text(encoding="ascii").splitlines()[1:] if table.exists() else ():
            fields = line.split()
            if fields[3] == LISTENING and f"socket:[{fields[9]}]" in inodes:
                address, _, port = fields[1].rpartition(":")
                found.add((address, int(port, 16)))
    return found
