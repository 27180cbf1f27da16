"""`minutehand up`: refusals that say what to do, children that end together, and an environment that stays in the home."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import app
from cli.environment import Up, find_up, of_api, of_mlflow, of_server, prepare, read_up, up_lock, without_stores, write_up
from cli.secret import CLIENT_VARIABLE
from cli.up.children import ChildError, group_lives, start, stop
from cli.up.ports import command_line, holder, is_free
from models.errors import UserError
from settings import load

SLEEPER = (sys.executable, "-c", "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('set', flush=True); time.sleep(600)",
)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_port_that_is_taken_is_an_error_that_names_port_holder_and_setting() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = CliRunner().invoke(app, ["up", "--no-mlflow", "--port", str(port)])
    assert isinstance(result.exception, UserError)
    message = str(result.exception)
    assert f"port {port}" in message
    assert "MINUTEHAND_SERVER__PREFECT_PORT" in message
    assert f"process {os.getpid()} (" in message or "another process" in message


def test_one_port_for_both_servers_is_an_error(free_port: Callable[[], int]) -> None:
    port = str(free_port())
    result = CliRunner().invoke(app, ["up", "--port", port, "--mlflow-port", port])
    assert "is meant for both" in str(result.exception)


def test_one_port_for_the_api_and_another_server_is_an_error(free_port: Callable[[], int]) -> None:
    port = str(free_port())
    result = CliRunner().invoke(app, ["up", "--no-mlflow", "--port", port, "--api-port", port])
    assert str(result.exception) == (
        f"port {port} is meant for both the Prefect server and the API server; set another with --api-port or MINUTEHAND_SERVER__API_PORT"
    )


def test_the_api_waits_for_a_publication_and_on_the_network_for_a_key(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cli.up.api_server import obstacle
    from serving.keys import Keys

    home.mkdir()
    assert "nothing is published yet" in str(obstacle(load()))
    monkeypatch.setenv("MINUTEHAND_SERVER__API_HOST", "0.0.0.0")
    assert "minutehand keys add" in str(obstacle(load()))
    Keys(home).add(["read"])
    assert "nothing is published yet" in str(obstacle(load()))


def test_the_environment_of_the_api_has_its_stores_and_no_other_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MINUTEHAND_LAKE__CATALOG", "MLFLOW_TRACKING_URI", "MINUTEHAND_GENERATOR__API_KEY", CLIENT_VARIABLE):
        monkeypatch.setenv(name, "x")
    environment = of_api()
    assert "MINUTEHAND_LAKE__CATALOG" in environment
    assert {"MLFLOW_TRACKING_URI", "MINUTEHAND_GENERATOR__API_KEY", CLIENT_VARIABLE}.isdisjoint(environment)


def test_files_may_be_dropped_before_the_first_minute(home: Path, free_port: Callable[[], int]) -> None:
    port = str(free_port())
    CliRunner().invoke(app, ["up", "--port", port, "--mlflow-port", port])  # gets no further than the ports
    assert (home / "landing" / "events").is_dir()


@pytest.mark.slow
def test_a_second_up_of_the_same_home_is_refused_with_the_address_of_the_first(home: Path) -> None:
    home.mkdir()
    with up_lock(home):
        write_up(home, Up(pid=os.getpid(), prefect_url="http://127.0.0.1:4321", mlflow_url=None, children={}))
        result = CliRunner().invoke(app, ["up", "--no-mlflow"])
    assert isinstance(result.exception, UserError)
    assert "is up already at http://127.0.0.1:4321" in str(result.exception)


def test_only_a_living_up_is_found(home: Path) -> None:
    home.mkdir()
    assert find_up(home) is None
    up = Up(pid=os.getpid(), prefect_url="http://127.0.0.1:4321", mlflow_url=None, children={"Prefect server": 1})
    write_up(home, up)
    assert find_up(home) is None
    with up_lock(home):
        assert find_up(home) == up
    assert read_up(home) == up


def test_a_half_written_up_file_counts_as_none(home: Path) -> None:
    home.mkdir()
    (home / "up.json").write_text('{"pid": 12')
    assert read_up(home) is None


def test_stopping_ends_grandchildren_and_children_that_ignore_sigterm(tmp_path: Path) -> None:
    children = [start("sleeper", SLEEPER, tmp_path, tmp_path), start("stubborn", STUBBORN, tmp_path, tmp_path)]
    _until(lambda: "set" in children[1].log.read_text())
    began = time.monotonic()
    stop(children, patience_s=0.5)
    assert time.monotonic() - began < 5
    assert [child.name for child in children if group_lives(child.pid)] == []


def test_a_child_that_died_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    child = start("MLflow UI", (sys.executable, "-c", "raise SystemExit('no such table: runs')"), tmp_path, tmp_path)
    child.process.wait(20)
    with pytest.raises(ChildError, match=r"MLflow UI ended with code 1(.|\n)*mlflow-ui.log(.|\n)*no such table: runs"):
        child.demand_alive()


def test_what_a_killed_up_left_behind_is_stopped_by_the_next(home: Path, tmp_path: Path) -> None:
    from cli.up.command import _sweep

    home.mkdir()
    orphan = start("Prefect worker", (sys.executable, "-c", "import time; time.sleep(600)  # prefect"), tmp_path, tmp_path)
    stranger = start("stranger", (sys.executable, "-c", "import time; time.sleep(600)"), tmp_path, tmp_path)
    try:
        write_up(home, Up(1, "http://127.0.0.1:1", None, {"Prefect worker": orphan.pid, "MLflow UI": stranger.pid}))
        _until(lambda: "prefect" in command_line(orphan.pid))  # the system names a command a moment after it has started it
        _sweep(load())
        assert orphan.process.wait(10) == -signal.SIGKILL
        assert group_lives(stranger.pid), "a process that is not ours keeps running, even if it has the number that one of ours had"
        assert read_up(home) is None
    finally:
        stop([orphan, stranger], patience_s=1)


def test_the_holder_of_a_free_port_is_nobody(free_port: Callable[[], int]) -> None:
    port = free_port()
    assert is_free("127.0.0.1", port)
    assert holder(port) == "another process"


def test_the_environment_of_a_home_stays_inside_it(home: Path) -> None:
    prepare(load())
    for name in ("PREFECT_HOME", "PREFECT_PROFILES_PATH", "HF_HOME", "MPLCONFIGDIR"):
        assert Path(os.environ[name]).is_relative_to(home.resolve()), name
    assert os.environ["MLFLOW_TRACKING_URI"] == f"sqlite:///{home.resolve()}/mlflow/mlflow.db"
    assert os.environ["DO_NOT_TRACK"] == "true"
    from prefect.settings.models.server.services import ServerServicesDBVacuumSettings

    vacuum = ServerServicesDBVacuumSettings()
    assert (vacuum.enabled_vacuum_types, vacuum.retention_period) == ({"events", "flow_runs", "orphans"}, timedelta(days=30))
    assert "PREFECT_API_URL" not in os.environ


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_what_talks_to_this_machine_goes_past_a_proxy_and_other_exceptions_stay(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv(name, "db.example, localhost")
    prepare(load())
    for host in ("127.0.0.1:4200", "localhost:4200", "db.example"):
        assert urllib.request.proxy_bypass(host), host
    assert not urllib.request.proxy_bypass("elsewhere.example")
    before = os.environ["NO_PROXY"]
    prepare(load())
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == before


def test_a_child_that_watches_us_sees_its_input_end_when_we_do(tmp_path: Path) -> None:
    script = "import sys; sys.stdin.read(); print('alone', flush=True)"
    child = start("watcher", (sys.executable, "-c", script), tmp_path, tmp_path, watches_us=True)
    try:
        assert child.process.stdin is not None
        child.process.stdin.close()
        assert child.process.wait(20) == 0
        assert child.log.read_text() == "alone\n"
    finally:
        stop([child])


def test_a_command_talks_to_the_living_up_of_its_home(home: Path) -> None:
    home.mkdir()
    write_up(home, Up(os.getpid(), "http://127.0.0.1:4321", None, {}))
    with up_lock(home):
        prepare(load())
    assert os.environ["PREFECT_API_URL"] == "http://127.0.0.1:4321/api"


def test_the_network_is_open_to_the_hub_only_for_an_encoder_that_lies_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from cli.environment import wants_hub

    assert not wants_hub(load())
    monkeypatch.setenv("MINUTEHAND_ENCODER__NAME", str(tmp_path))
    assert not wants_hub(load())
    monkeypatch.setenv("MINUTEHAND_ENCODER__NAME", "intfloat/e5-small-v2")
    assert wants_hub(load())


def test_a_home_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MINUTEHAND_HOME", str(tmp_path / "file"))
    with pytest.raises(UserError, match="set MINUTEHAND_HOME"):
        prepare(load())


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    heavy = ["prefect", "mlflow", "torch", "duckdb", "polars", "pydantic", "numpy"]
    script = f"import sys, json, cli; print(json.dumps([name for name in {heavy} if name in sys.modules]))"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert json.loads(printed) == []


def test_no_address_of_a_store_is_in_an_argument_or_with_a_child_that_needs_it_not(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "postgresql://minutehand:s3cret@db/mlflow"
    monkeypatch.setenv("MINUTEHAND_REGISTRY__TRACKING_URI", secret)
    monkeypatch.setenv("MINUTEHAND_LAKE__CATALOG", "postgres:host=db password=s3cret")
    settings = load()
    prepare(settings)
    assert "s3cret" not in " ".join(without_stores().values())
    assert "s3cret" not in " ".join(of_server().values())
    assert [name for name, value in of_mlflow(settings).items() if "s3cret" in value] == ["MINUTEHAND_REGISTRY__TRACKING_URI"]
    assert without_stores()["MINUTEHAND_HOME"] == str(home.resolve())


def test_a_child_has_the_environment_that_it_is_given(tmp_path: Path) -> None:
    script = "import os; print(sorted(name for name in os.environ if name.startswith('MINUTEHAND')))"
    child = start("teller", (sys.executable, "-c", script), tmp_path, tmp_path, environment={"MINUTEHAND_SEED": "1"})
    child.process.wait(20)
    assert child.log.read_text() == "['MINUTEHAND_SEED']\n"
