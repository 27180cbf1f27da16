"""Scheduled runs under `minutehand up`: they start, and requests without the secret cannot start any.

With an incompatible SQLAlchemy version the servers start, but no scheduled run ever does. The tests share one `minutehand up`; the
last test ends it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.environment import read_up
from cli.secret import CLIENT_VARIABLE, read_secret, secret_file
from cli.up.children import answers, group_lives
from cli.up.orchestration import SILENT_RUNS
from cli.up.ports import command_line, is_free
from tasks.lake import LakeConfig, LakeError, locate, reading
from tests.conftest import find_free_port
from tests.flows.shop import SMALL
from tests.flows.up import Running, listeners, run_every, running_up, status
from tests.lakes import START, habits
from tests.models.text.test_encoder import save_tiny_bert

LOOPBACK = "0100007F"
FAILED = {"FAILED", "CRASHED"}
FINAL = {"COMPLETED", "CANCELLED", *FAILED}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A `minutehand up` whose nights take seconds."""
    folder = tmp_path_factory.mktemp("up")
    with pytest.MonkeyPatch.context() as patch:
        small = {**SMALL, "MINUTEHAND_TRAIN__MAX_EPOCHS": "1", "MINUTEHAND_ENCODER__NAME": str(save_tiny_bert(folder / "encoder"))}
        for name, value in small.items():
            patch.setenv(name, value)
        with running_up(folder, find_free_port(), find_free_port()) as up:
            yield up


def test_every_listener_is_on_127_0_0_1_and_refuses_requests_without_the_secret_or_from_foreign_pages(running: Running) -> None:
    found = listeners({running.process.pid, *running.children().values()})
    assert {address for address, _ in found} == {LOOPBACK}
    ports = {port for _, port in found}
    assert {running.port, running.mlflow_port} < ports, "the third port belongs to the worker, for the reports of its runs"

    (maintain,) = [found["id"] for found in running.call("POST", "deployments/filter", {}) if found["name"] == "maintain"]
    command = {"job_variables": {"command": f"touch {running.home / 'pwned'}"}, "state": {"type": "SCHEDULED"}}
    attempts = [
        ("/api/variables/", {"name": "evil", "value": "x"}),
        (f"/api/deployments/{maintain}/create_flow_run", command),
        ("/api/2.0/mlflow/experiments/create", {"name": "evil"}),
    ]
    refused = {
        401: {},
        400: {"host": "evil.example", "authorization": running.authorization},
        403: {"origin": "http://127.0.0.1:9", "authorization": running.authorization},
    }
    for port in sorted(ports):
        for path, body in attempts:
            for code, headers in refused.items():
                answer = status(port, "POST", path, body, **headers)
                assert answer == code or (answer is None and port not in (running.port, running.mlflow_port)), (port, path, headers)
    for headers in refused.values():
        if headers:
            assert status(running.port, "GET", "/", **headers) in refused
            assert status(running.mlflow_port, "GET", "/health", **headers) in refused

    assert running.call("POST", "variables/filter", {}) == []
    assert running.experiments() == ["Default", "minutehand"]
    runs = running.call("POST", "flow_runs/filter", {"deployments": {"name": {"any_": ["maintain"]}}})
    assert [run for run in runs if not run["auto_scheduled"]] == []
    assert not (running.home / "pwned").exists()


@pytest.mark.slow
def test_a_scheduled_run_loads_a_dropped_file(running: Running) -> None:
    _drop(running, "two.csv", ["anna,lamp,view,2026-01-01T10:00:00Z", "ben,rug,cart,2026-01-01T11:00:00Z"])
    run_every(running, "ingest/ingest", seconds=5)

    running.until(lambda: _count(running.home, "raw.events") == 2)
    running.until(lambda: any(run["state_type"] == "COMPLETED" for run in _scheduled(running, "ingest")))

    (automation,) = running.call("POST", "automations/filter", {})
    assert (automation["name"], automation["enabled"]) == (SILENT_RUNS, True), "it marks runs of a killed worker as crashed"
    assert [part["posture"] for part in automation["trigger"]["triggers"]] == ["Proactive", "Proactive"]
    assert [(action["type"], action["state"]) for action in automation["actions"]] == [("change-flow-run-state", "CRASHED")]


def test_the_api_waits_for_the_first_publication_and_says_so(running: Running) -> None:
    log = running.home / "logs" / "api-server.log"
    running.until(lambda: "waiting: nothing is published yet; the first night does it: minutehand nightly" in log.read_text())
    assert f"http://127.0.0.1:{running.api_port} (waiting: nothing is published yet" in (running.home.parent / "up.out").read_text()
    assert is_free("127.0.0.1", running.api_port)


@pytest.mark.slow
def test_an_api_that_was_killed_is_started_again_while_everything_else_runs_on(running: Running) -> None:
    before = running.children()
    os.kill(before["API server"], signal.SIGKILL)
    running.until(lambda: running.children().get("API server", before["API server"]) != before["API server"])
    assert {name for name, pid in running.children().items() if pid != before[name]} == {"API server"}
    assert "API server ended with code -9; it starts again in 5 s" in (running.home.parent / "up.out").read_text()


@pytest.mark.slow
def test_a_scheduled_night_publishes_and_a_scheduled_minute_run_learns_the_events_dropped_after_it(running: Running) -> None:
    before = _count(running.home, "raw.events")
    events = [f"{user},{item},click,{START + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}" for user, item, hours in habits()]
    _drop(running, "habits.csv", events)
    run_every(running, "ingest/ingest", seconds=5)
    running.until(lambda: _count(running.home, "raw.events") == before + len(events))

    run_every(running, "nightly/nightly", seconds=86_400)
    running.until(lambda: any(run["state_type"] in FINAL for run in _scheduled(running, "nightly")))
    (night,) = [run for run in _scheduled(running, "nightly") if run["state_type"] != "SCHEDULED"]
    assert (night["state_type"], "had-work" in night["tags"]) == ("COMPLETED", True), running.logs()
    assert _count(running.home, "recs.publications where cadence = 'nightly'") == 1

    running.until(lambda: answers(f"http://127.0.0.1:{running.api_port}/health/live"))

    _drop(running, "news.csv", ["carla,i05,click,2026-01-14T00:00:00Z"])
    run_every(running, "minute/minute", seconds=10)
    running.until(lambda: any(run["state_type"] in FINAL for run in _scheduled(running, "minute") if "had-work" in run["tags"]))
    worked = {run["state_type"] for run in _scheduled(running, "minute") if "had-work" in run["tags"]}
    assert "COMPLETED" in worked, running.logs()
    assert _count(running.home, "recs.publications where cadence = 'minute'") >= 1
    assert _count(running.home, "recs.recommendations where user_id = 'carla'") == 5
    failed = [run["name"] for name in ("ingest", "nightly", "minute") for run in _scheduled(running, name) if run["state_type"] in FAILED]
    assert failed == [], running.logs()


def test_the_secret_is_in_no_command_line_log_or_stored_file_and_not_in_the_environment_of_the_servers(running: Running) -> None:
    password = read_secret(running.home).partition(":")[2].encode()
    encoded = running.authorization.removeprefix("Basic ").encode()
    holding = set()
    for file in running.home.rglob("*"):
        with contextlib.suppress(OSError):
            if file.is_file() and any(text in file.read_bytes() for text in (password, encoded)):
                holding.add(file)
    assert {file for file in holding if running.home / "tmp" not in file.parents} == {secret_file(running.home)}
    assert [file for file in holding if file.exists() and file.stat().st_mode & 0o077] == [], "a file of Prefect for a run in progress"

    children = running.children()
    assert [name for name, pid in children.items() if password in command_line(pid).encode()] == []
    environments = {name: Path(f"/proc/{pid}/environ").read_bytes() for name, pid in children.items()}
    assert [name for name, text in environments.items() if password in text] == ["Prefect worker"]
    assert CLIENT_VARIABLE.encode() in environments["Prefect worker"]
    assert [name for name, text in environments.items() if b"\0MLFLOW_TRACKING_URI=" in text] == ["Prefect worker"]


def test_ctrl_c_ends_all_processes(running: Running) -> None:
    pids = list(running.children().values())
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(60) == 0
    assert [pid for pid in pids if group_lives(pid)] == []
    assert is_free("127.0.0.1", running.port)
    assert is_free("127.0.0.1", running.mlflow_port)
    assert is_free("127.0.0.1", running.api_port)
    assert read_up(running.home) is None


def _drop(running: Running, name: str, events: list[str]) -> None:
    """Put a CSV file into the landing folder with an old modification time, so that it counts as complete."""
    file = running.home / "landing" / "events" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(["user_id,item_id,event_type,occurred_at", *events, ""]))
    old = time.time() - 60
    os.utime(file, (old, old))


def _scheduled(running: Running, deployment: str) -> list[dict[str, Any]]:
    """The runs that the scheduler created."""
    runs = running.call("POST", "flow_runs/filter", {"deployments": {"name": {"any_": [deployment]}}})
    return [run for run in runs if run["auto_scheduled"]]


def _count(home: Path, rows: str) -> int:
    """Number of rows of a table; 0 before the lake exists or while it is being created, when its file exists before its tables."""
    lake = locate(LakeConfig(), home)
    if not Path(lake.catalog.removeprefix("sqlite:")).exists():
        return 0
    with contextlib.suppress(LakeError), reading(lake) as con:
        (exists,) = con.execute("select count(*) from duckdb_tables() where schema_name = 'raw' and table_name = 'events'").fetchone() or (
            0,
        )
        (n_rows,) = (con.execute(f"select count(*) from {rows}").fetchone() if exists else None) or (0,)
        return int(n_rows)
    return 0
