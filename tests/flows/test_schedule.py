"""The schedule fires: with the wrong SQLAlchemy everything else looks fine, and nothing ever runs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli.environment import read_up
from cli.up.children import group_lives
from cli.up.orchestration import SILENT_RUNS
from cli.up.ports import is_free
from tasks.lake import LakeConfig, LakeError, locate, reading

MINUTEHAND = (sys.executable, "-c", "from cli import main; main()")
PATIENCE_S = 120.0
IMPATIENT = {"PREFECT_WORKER_QUERY_SECONDS": "2", "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2"}


@dataclass(frozen=True)
class Running:
    """A `minutehand up` and its API."""

    process: subprocess.Popen[str]
    home: Path
    port: int

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The API's answer; a server that is busy with its database says 503, and Prefect's own client asks again too."""
        for _ in range(20):
            try:
                return self._call(method, path, body)
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    raise
                time.sleep(0.5)
        raise AssertionError(f"{path} answered 503 for ten seconds")

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/{path}",
            data=json.dumps(body).encode() if body is not None else None,
            headers={"content-type": "application/json"},
            method=method,
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def logs(self) -> str:
        return "\n".join(f"== {log.name}\n{log.read_text(errors='replace')[-3000:]}" for log in (self.home / "logs").glob("*.log"))


@pytest.fixture
def running(home: Path, free_port: Callable[[], int], tmp_path: Path) -> Iterator[Running]:
    port = free_port()
    out = (tmp_path / "up.out").open("w+")
    process = subprocess.Popen(
        [*MINUTEHAND, "up", "--port", str(port), "--no-mlflow"],
        stdout=out,
        stderr=subprocess.STDOUT,
        cwd=tmp_path,
        env={**os.environ, **IMPATIENT},
        text=True,
    )
    up = Running(process, home, port)
    try:
        _until(lambda: "is up" in (tmp_path / "up.out").read_text() or process.poll() is not None, up)
        assert process.poll() is None, (tmp_path / "up.out").read_text()
        yield up
    finally:
        process.terminate()
        process.wait(60)
        out.close()


def test_a_scheduled_run_takes_in_a_dropped_file_and_ctrl_c_leaves_no_process(running: Running) -> None:
    drop = running.home / "landing" / "events"
    drop.mkdir(parents=True, exist_ok=True)
    (drop / "events.csv").write_text(
        "user_id,item_id,event_type,occurred_at\nanna,lamp,view,2026-01-01T10:00:00Z\nben,rug,cart,2026-01-01T11:00:00Z\n"
    )
    old = time.time() - 60
    os.utime(drop / "events.csv", (old, old))
    _run_every(running, "ingest/ingest", seconds=5)

    _until(lambda: _n_events(running.home) == 2, running)
    _until(lambda: "COMPLETED" in _scheduled_states(running), running)

    (automation,) = running.call("POST", "automations/filter", {})
    assert (automation["name"], automation["enabled"]) == (SILENT_RUNS, True), "what crashes the runs of a killed worker"
    assert [part["posture"] for part in automation["trigger"]["triggers"]] == ["Proactive", "Proactive"]
    assert [(action["type"], action["state"]) for action in automation["actions"]] == [("change-flow-run-state", "CRASHED")]

    pids = list(_children(running.home).values())
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(60) == 0
    assert [pid for pid in pids if group_lives(pid)] == []
    assert is_free("127.0.0.1", running.port)
    assert read_up(running.home) is None


def _run_every(running: Running, deployment: str, seconds: int) -> None:
    found = running.call("GET", f"deployments/name/{deployment}")
    (schedule,) = found["schedules"]
    running.call("PATCH", f"deployments/{found['id']}/schedules/{schedule['id']}", {"schedule": {"interval": seconds}})


def _scheduled_states(running: Running) -> set[str]:
    """States of the runs that the scheduler itself created."""
    runs = running.call("POST", "flow_runs/filter", {"deployments": {"name": {"any_": ["ingest"]}}})
    return {run["state_type"] for run in runs if run["auto_scheduled"]}


def _n_events(home: Path) -> int:
    """0 while there is no lake yet, or one that is just being made: its file is there before its tables are."""
    lake = locate(LakeConfig(), home)
    if not Path(lake.catalog.removeprefix("sqlite:")).exists():
        return 0
    with contextlib.suppress(LakeError), reading(lake) as con:
        (exists,) = con.execute("select count(*) from duckdb_tables() where schema_name = 'raw' and table_name = 'events'").fetchone() or (
            0,
        )
        (n_events,) = (con.execute("select count(*) from raw.events").fetchone() if exists else None) or (0,)
        return int(n_events)
    return 0


def _children(home: Path) -> dict[str, int]:
    up = read_up(home)
    assert up is not None
    return up.children


def _until(condition: Callable[[], bool], running: Running) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S:.0f} s in vain\n{running.logs() if running.home.exists() else ''}"
        time.sleep(0.3)
