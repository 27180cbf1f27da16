"""The API under load, while minutes and a night run next to it: python -m bench.serving [--items 100000 | --quick].

Each catalogue gets a home (see bench.serving_home), `minutehand up` for the schedule, with a minute run every 60 seconds and a night from
the start, and `minutehand serve`, which is measured. Half of the requests post a click on the first item of the user's last list, the
other half get the next list. The version hides items that a user had, so a list contains the click if it does not show the item. The
generator is open-loop: requests start at a constant rate, and a latency counts from the intended start of the POST to the end of the
GET, including further GETs if a list still shows the item (stale). The generator runs on the same processors; its share is reported.

Then events are posted in larger requests for 60 seconds, the server is killed, and the seconds count until a new one is ready.
Columns in ms are latencies; rss_mib and pss_mib are the peaks of the server's memory, swaps the publications that it loaded under load.
--quick: 10,000 items, a single minute run instead of the schedule, 45 seconds of load; two minutes altogether.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.freshness import MINUTEHAND, ROOT, free_port
from bench.serving_load import Connections, Measured, Shopper, Taken, click_and_look, post_events
from bench.table import keep
from cli.secret import CLIENT_VARIABLE, read_secret

N_SHOPPERS = 400
"""Users who click in turn. With fewer, a slow answer would hold up the next click of its user."""
NEW_SHOPPERS = 10
"""One of this many shoppers has no history."""
PATIENCE_S = 180.0
SECONDS_BETWEEN_SAMPLES = 1.0
VARIABLES = {
    "MINUTEHAND_EVALUATION__SEEN_ITEMS": "hide",
    "MINUTEHAND_SERVER__API_REQUESTS_PER_S": "1000000",
    "MINUTEHAND_SERVER__API_BURST": "1000000",
    "OMP_WAIT_POLICY": "PASSIVE",
}
"""Lists hide what a user had, all requests come from one address, and idle threads do not spin."""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Memory:
    """Peak memory of a process, in MiB."""

    rss: float = 0.0
    pss: float = 0.0

    def sample(self, pid: int) -> None:
        """Raise the peaks to what the process has now; resident memory has a peak of its own in the kernel."""
        rollup = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        self.pss = max(self.pss, int(rollup["Pss"].split()[0]) / 1024)
        self.rss = max(self.rss, int(status["VmHWM"].split()[0]) / 1024)


@dataclass
class Server:
    """A running `minutehand serve`. ready_s, ready_cpu_s: wall and processor seconds from its start until it was ready."""

    process: subprocess.Popen[bytes]
    port: int
    ready_s: float
    ready_cpu_s: float

    @property
    def cpu_s(self) -> float:
        """Processor seconds so far, of all threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


def start_server(env: dict[str, str], log: Path) -> Server:
    """Start `minutehand serve` and wait until it is ready."""
    port, started = free_port(), time.monotonic()
    with log.open("ab") as sink:
        process = subprocess.Popen([MINUTEHAND, "serve", "--port", str(port)], env=env, cwd=ROOT, stdout=sink, stderr=sink)
    server = Server(process, port, 0.0, 0.0)
    while time.monotonic() - started < PATIENCE_S:
        if process.poll() is not None:
            sys.exit(f"minutehand serve ended with code {process.returncode}:\n{log.read_text()[-2000:]}")
        with suppress(urllib.error.URLError, ConnectionError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5):
            server.ready_s, server.ready_cpu_s = time.monotonic() - started, server.cpu_s
            return server
        time.sleep(0.02)
    process.kill()
    sys.exit(f"minutehand serve was not ready within {PATIENCE_S:.0f} s; its log:\n{log.read_text()[-2000:]}")


@contextmanager
def schedule(env: dict[str, str], home: Path, seconds: float) -> Iterator[None]:
    """`minutehand up`, with a night that has begun, as long as the block runs. seconds: of the load."""
    port = free_port()
    env = {**env, "MINUTEHAND_SERVER__PREFECT_PORT": str(port)}
    with (home / "up.log").open("wb") as log:
        up = subprocess.Popen([MINUTEHAND, "up", "--no-mlflow", "--no-api"], env=env, cwd=ROOT, stdout=log, stderr=log)
        try:
            while not (home / "up.json").exists():
                if up.poll() is not None:
                    sys.exit(f"minutehand up ended with code {up.returncode}; see {home / 'up.log'}")
                time.sleep(0.5)
            api = {**env, "PREFECT_API_URL": f"http://127.0.0.1:{port}/api", CLIENT_VARIABLE: read_secret(home)}
            prefect = str(Path(sys.executable).parent / "prefect")
            night = [prefect, "deployment", "run", "nightly/nightly", "-p", f"minutes={max(seconds / 240, 0.25):.2f}"]
            while subprocess.run(night, env=api, cwd=ROOT, capture_output=True).returncode:  # retry until `up` has deployed the flow
                time.sleep(2)
            yield
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(120)


@contextmanager
def one_minute(env: dict[str, str], home: Path) -> Iterator[None]:
    """A single minute run next to the load, without a schedule."""
    (home / "landing" / "events").mkdir(parents=True, exist_ok=True)
    (home / "landing" / "events" / "first.jsonl").write_text('{"user_id": "user-1", "item_id": "item-1", "event_type": "click"}\n')
    with (home / "minute.log").open("wb") as log:
        minute = subprocess.Popen(["nice", MINUTEHAND, "minute"], env=env, cwd=ROOT, stdout=log, stderr=log)
        yield
        minute.wait(10 * PATIENCE_S)


async def watched(server: Server, memory: Memory) -> None:
    """Sample the memory until it is cancelled."""
    while True:
        await asyncio.to_thread(memory.sample, server.process.pid)
        await asyncio.sleep(SECONDS_BETWEEN_SAMPLES)


async def load(server: Server, memory: Memory, given: argparse.Namespace, n_users: int) -> tuple[Measured, Taken, dict[str, float]]:
    """Both loads, and the shares of a processor that server and generator took in the first."""
    connections = Connections(server.port)
    watcher = asyncio.create_task(watched(server, memory))
    shoppers = [Shopper(f"{'guest' if n % NEW_SHOPPERS == 0 else 'user'}-{n * 31 % n_users}") for n in range(N_SHOPPERS)]
    started, cpu, own = time.monotonic(), server.cpu_s, time.process_time()
    measured = await click_and_look(connections, shoppers, given.rate, given.seconds)
    seconds = time.monotonic() - started
    shares = {"server_cpu": (server.cpu_s - cpu) / seconds, "load_cpu": (time.process_time() - own) / seconds}
    users, items = [f"user-{n}" for n in range(n_users)], [f"item-{n}" for n in range(given.items)]
    taken = await post_events(connections, users, items, given.events_rate, given.events_per_request, given.events_seconds)
    watcher.cancel()
    with suppress(asyncio.CancelledError):
        await watcher
    await connections.close()
    return measured, taken, shares


def measure(home: Path, given: argparse.Namespace) -> dict[str, object]:
    """One row of figures."""
    env = {**os.environ, **VARIABLES, "MINUTEHAND_HOME": str(home)}
    n_users = given.users or given.items // 2
    if not (home / "made").exists():
        done = subprocess.run([sys.executable, "-m", "bench.serving_home", str(home), str(given.items), str(n_users)], env=env)
        if done.returncode:
            sys.exit(done.returncode)
    memory, log = Memory(), home / "serve.log"
    server = start_server(env, log)
    try:
        with one_minute(env, home) if given.quick else schedule(env, home, given.seconds):
            measured, taken, shares = asyncio.run(load(server, memory, given, n_users))
        memory.sample(server.process.pid)
        server.process.kill()
        server.process.wait()
        again = start_server(env, log)
        again.process.terminate()
        again.process.wait()
    finally:
        server.process.kill()
        server.process.wait()
    for text in sorted(set(measured.errors + taken.errors))[:5]:
        print(f"error: {text}")
    return {
        "items": given.items,
        "users": n_users,
        "requests": 2 * len(measured.contained_ms) + measured.stale,
        "errors": len(measured.errors) + len(taken.errors),
        **percentiles("", measured.contained_ms),
        "stale": measured.stale,
        **percentiles("post_", measured.accepted_ms),
        "swaps": len(measured.publications) - 1,
        **{name: round(share, 2) for name, share in shares.items()},
        "events_s": round(taken.events / taken.seconds, 1),
        "rss_mib": round(memory.rss),
        "pss_mib": round(memory.pss),
        "start_s": round(server.ready_s, 2),
        "restart_s": round(again.ready_s, 2),
        "restart_cpu_s": round(again.ready_cpu_s, 2),
    }


def percentiles(prefix: str, values: Sequence[float]) -> dict[str, float]:
    """The 50th, 95th and 99th percentile and the maximum, in ms."""
    found = np.percentile(values or [float("nan")], [50, 95, 99, 100])
    return {f"{prefix}{name}_ms": round(float(value), 1) for name, value in zip(("p50", "p95", "p99", "max"), found, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--users", type=int, help="half as many as items if not given")
    parser.add_argument("--seconds", type=float, default=600.0, help="of clicks and lists")
    parser.add_argument("--rate", type=float, default=50.0, help="requests per second: half are clicks, half are lists")
    parser.add_argument("--events-rate", type=float, default=1000.0, help="events per second of the second load")
    parser.add_argument("--events-per-request", type=int, default=20)
    parser.add_argument("--events-seconds", type=float, default=60.0)
    parser.add_argument("--home", type=Path, help="a folder that keeps the home, for further runs with the same sizes")
    parser.add_argument("--quick", action="store_true", help="the short form")
    given = parser.parse_args()
    if given.quick:
        given.seconds, given.events_seconds = 45.0, 10.0
    with tempfile.TemporaryDirectory(prefix="minutehand-bench-") as folder:
        row = measure(given.home or Path(folder) / "home", given)
    print(json.dumps(row, indent=2))
    keep("serving_quick" if given.quick else f"serving_{given.items}", [row])


if __name__ == "__main__":
    main()
