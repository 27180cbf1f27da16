"""Delay until an event affects its user's list under `minutehand up`, while a night runs: python -m bench.freshness [--minutes 15].

After the first night of a simulated shop, a file of a few events is dropped into the landing folder every second, and another night starts.
An event arrives when its file exists; its list is visible when the publish is committed.
The run takes the given minutes, plus some for the first night and until all events are learnt.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bench.table import keep
from cli.secret import CLIENT_VARIABLE, read_secret

ROOT = Path(__file__).resolve().parent.parent
MINUTEHAND = str(Path(sys.executable).parent / "minutehand")
EVENTS_A_FILE = 3
MISSED_S = 90.0
"""Maximum seconds between two publishes of minute runs if no minute was missed."""


def free_port() -> int:
    """An unused port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(env: dict[str, str], *words: str) -> str:
    """The standard output of a minutehand command."""
    done = subprocess.run([MINUTEHAND, *words], env=env, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def query(env: dict[str, str], sql: str) -> list[dict[str, object]]:
    """Rows of a query."""
    rows: list[dict[str, object]] = json.loads(command(env, "sql", sql, "--json"))
    return rows


def drop(landing: Path, number: int, users: list[str], items: list[str], arrivals: dict[tuple[str, str], float]) -> None:
    """Write one file of events with the current time."""
    rows = [(random.choice(users), random.choice(items), datetime.now(UTC).isoformat()) for _ in range(EVENTS_A_FILE)]
    hidden = landing / f".{number}.tmp"
    with hidden.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("user_id", "item_id", "timestamp"), *rows])
    hidden.rename(landing / f"{number:06d}.csv")
    for user, _, moment in rows:
        arrivals[user, moment] = time.time()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0)
    given = parser.parse_args()
    random.seed(7)
    with tempfile.TemporaryDirectory(prefix="minutehand-bench-") as folder:
        home, port = Path(folder) / "home", free_port()
        env = {**os.environ, "MINUTEHAND_HOME": str(home), "MINUTEHAND_SERVER__PREFECT_PORT": str(port)}
        env["MINUTEHAND_SERVER__MLFLOW_PORT"] = str(free_port())
        command(env, "simulate", "--until", "2026-11-01")
        command(env, "ingest", "items", str(home / "shop" / "items.parquet"))
        command(env, "ingest", "events", str(home / "shop" / "events.parquet"))
        command(env, "nightly", "--minutes", "0.5")
        users = [str(row["user_id"]) for row in query(env, "select distinct user_id from raw.events order by 1")]
        items = [str(row["item_id"]) for row in query(env, "select item_id from raw.items order by 1")]
        with (Path(folder) / "up.log").open("wb") as log:
            up = subprocess.Popen([MINUTEHAND, "up", "--no-mlflow"], env=env, cwd=ROOT, stdout=log, stderr=log)
            try:
                rows = [watch(env, home, port, users, items, given.minutes)]
            finally:
                up.send_signal(signal.SIGINT)
                up.wait(60)
        if float(str(rows[0]["longest_gap_s"])) > MISSED_S:
            kept = ROOT / "bench" / "results" / "freshness-logs"
            shutil.copytree(home / "logs", kept, dirs_exist_ok=True)
            print(f"a minute was missed; the logs of the server and of the worker are in {kept}")
    keep("freshness", rows)


def watch(env: dict[str, str], home: Path, port: int, users: list[str], items: list[str], minutes: float) -> dict[str, object]:
    """Drop events for some minutes, wait until all are learnt, and compare arrivals with publications."""
    while not (home / "up.json").exists():
        time.sleep(0.5)
    api = {**env, "PREFECT_API_URL": f"http://127.0.0.1:{port}/api", CLIENT_VARIABLE: read_secret(home)}
    prefect = str(Path(sys.executable).parent / "prefect")
    night = [prefect, "deployment", "run", "nightly/nightly", "-p", "minutes=2"]
    while subprocess.run(night, env=api, cwd=ROOT, capture_output=True).returncode:  # retry until `up` has deployed the flow
        time.sleep(2)
    arrivals: dict[tuple[str, str], float] = {}
    landing, started, number = home / "landing" / "events", time.monotonic(), 0
    landing.mkdir(parents=True, exist_ok=True)
    while time.monotonic() - started < minutes * 60:
        drop(landing, number, users, items, arrivals)
        number += 1
        time.sleep(max(started + number - time.monotonic(), 0))
    for _ in range(60):
        time.sleep(5)
        waiting = query(env, "select count(*) as n from raw.events where received_at > (select max(published_at) from recs.publications)")
        if not any(landing.glob("*.csv")) and not waiting[0]["n"]:
            break
    taken = query(env, "select user_id, strftime(occurred_at, '%Y-%m-%dT%H:%M:%S.%f') || '+00:00' as moment, received_at from raw.events")
    published = query(env, "select cadence, epoch(published_at) as at, data_snapshot from recs.publications order by published_at")
    visible = query(
        env,
        "select f.user_id, epoch(f.received_at) as received, epoch(p.published_at) as shown "
        "from ops.freshness as f join recs.publications as p on f.publication_id = p.publication_id order by shown",
    )
    received = {(str(row["user_id"]), str(row["moment"])): row["received_at"] for row in taken}
    lags = []
    for (user, moment), arrived in arrivals.items():
        known = datetime.fromisoformat(str(received[user, moment])).replace(tzinfo=UTC).timestamp()
        shown = [float(str(row["shown"])) for row in visible if row["user_id"] == user and float(str(row["received"])) >= known - 1e-3]
        lags.append(shown[0] - arrived)
    gaps = np.diff([float(str(row["at"])) for row in published if row["cadence"] == "minute"])
    marks = query(env, "select consumer, snapshot from ops.watermarks order by 1")
    return {
        "events": len(arrivals),
        "in_lake": sum(key in received for key in arrivals),
        "p50_s": round(float(np.percentile(lags, 50)), 1),
        "p95_s": round(float(np.percentile(lags, 95)), 1),
        "max_s": round(float(np.max(lags)), 1),
        "minutes": len(gaps) + 1,
        "longest_gap_s": round(float(gaps.max(initial=0)), 1),
        "nights": sum(row["cadence"] == "nightly" for row in published) - 1,
        "all_learnt": len({row["snapshot"] for row in marks}) == 1,
    }


if __name__ == "__main__":
    main()
