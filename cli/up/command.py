"""`minutehand up`: Prefect server, worker, deployments and the MLflow UI of one home, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cli.up.children import Child
    from settings import Settings

ROOT = Path(__file__).resolve().parents[2]
POOL = "minutehand"
WORKER = "minutehand-up"
START_TIMEOUT_S = 180.0


def up(
    port: Annotated[int | None, typer.Option(help="Port of Prefect [MINUTEHAND_SERVER__PREFECT_PORT]", min=1, max=65535)] = None,
    mlflow_port: Annotated[int | None, typer.Option(help="Port of MLflow [MINUTEHAND_SERVER__MLFLOW_PORT]", min=1, max=65535)] = None,
    mlflow: Annotated[bool, typer.Option(help="Start the MLflow UI as well")] = True,
) -> None:
    """Start the schedule: Prefect server, worker and deployments, and the MLflow UI. Ctrl-C stops everything."""
    from filelock import Timeout

    from cli.environment import find_up, prepare, up_lock
    from models.errors import UserError
    from settings import load
    from tasks.ingest.landing import open_landing

    settings = load()
    server = settings.server
    server = server.model_copy(update={"prefect_port": port or server.prefect_port, "mlflow_port": mlflow_port or server.mlflow_port})
    settings = settings.model_copy(update={"server": server})
    try:
        with up_lock(settings.home).acquire(timeout=3):
            _sweep(settings)
            prepare(settings)
            open_landing(settings.ingest, settings.home)  # files may be dropped before the first minute
            _run(settings, with_mlflow=mlflow)
    except Timeout as error:
        running = find_up(settings.home)
        where = f" at {running.prefect_url} (process {running.pid})" if running else ""
        raise UserError(f"{settings.home} is up already{where}; stop that one with Ctrl-C, or choose another MINUTEHAND_HOME") from error


def _run(settings: Settings, *, with_mlflow: bool) -> None:
    from cli.environment import up_file

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup stays nohup
            signal.signal(number, _interrupt)
    _demand_ports(settings, with_mlflow=with_mlflow)
    children: list[Child] = []
    try:
        _start(settings, children, with_mlflow=with_mlflow)
        _watch(children)
    except KeyboardInterrupt:
        typer.echo("stopping ...", err=True)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        _stop(settings, children)
        up_file(settings.home).unlink(missing_ok=True)


def _start(settings: Settings, children: list[Child], *, with_mlflow: bool) -> None:
    """Start the children in order; the list grows as they come up, so that a failure can stop those there are."""
    from cli.environment import Up, write_up
    from cli.output import show
    from cli.up import children as processes

    server = settings.server
    logs = settings.home.resolve() / "logs"
    reachable = "127.0.0.1" if server.host == "0.0.0.0" else server.host
    prefect_url = f"http://{reachable}:{server.prefect_port}"
    mlflow_url = server.mlflow_url if with_mlflow else None
    os.environ["MINUTEHAND_SERVER__MLFLOW_PORT"] = str(server.mlflow_port)  # the nights link to it
    os.environ["PREFECT_API_URL"] = f"{prefect_url}/api"
    os.environ["PREFECT_SERVER_UI_API_URL"] = f"{prefect_url}/api" if reachable == server.host else "/api"

    def launch(name: str, *command: str) -> Child:
        child = processes.start(name, (sys.executable, "-m", *command), logs, ROOT)
        children.append(child)
        write_up(settings.home, Up(os.getpid(), prefect_url, mlflow_url, {child.name: child.pid for child in children}))
        return child

    os.environ["TMPDIR"] = _fresh_folder(settings.home.resolve() / "tmp")
    typer.echo("starting (logs are in " + str(logs) + ") ...", err=True)
    prefect = launch("Prefect server", "prefect", "server", "start", "--host", server.host, "--port", str(server.prefect_port))
    ui = launch("MLflow UI", *_mlflow_command(settings)) if with_mlflow else None
    from cli.up import orchestration  # imports prefect, while the server starts

    _wait_for(f"{prefect_url}/api/health", prefect)
    orchestration.create_pool(POOL)
    orchestration.crash_unfinished_runs(POOL, "the worker that ran it is gone")
    orchestration.skip_overdue_runs(POOL)
    orchestration.crash_silent_runs()
    launch("Prefect worker", "prefect", "worker", "start", "--pool", POOL, "--name", WORKER)
    _deploy(logs)
    if ui is not None:
        _wait_for(f"{mlflow_url}/health", ui)
    rows = [{"what": "Prefect", "where": prefect_url}, {"what": "MLflow", "where": mlflow_url or "off"}]
    show([*rows, {"what": "home", "where": str(settings.home.resolve())}], as_json=False, title="minutehand is up; Ctrl-C stops it")
    sys.stdout.flush()


def _deploy(logs: Path) -> None:
    """Tell the server what prefect.yaml says; ChildError if it does not want it."""
    from subprocess import TimeoutExpired

    from cli.up.children import ChildError, start, stop, tail

    deploy = start("Prefect deploy", (sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"), logs, ROOT)
    try:
        code = deploy.process.wait(START_TIMEOUT_S)
    except TimeoutExpired:
        code = -1
    finally:
        stop([deploy])
    if code != 0:
        raise ChildError(f"prefect.yaml could not be deployed; the end of {deploy.log}:\n{tail(deploy.log)}")


def _fresh_folder(path: Path) -> str:
    """The folder, empty: runs that were killed leave their temporary files behind."""
    import shutil

    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return str(path)


def _mlflow_command(settings: Settings) -> tuple[str, ...]:
    home = settings.home.resolve()
    uri = settings.tracking_uri
    _write_ahead(uri)
    server = settings.server
    return (
        *("mlflow", "server", "--host", server.host, "--port", str(server.mlflow_port), "--workers", "1"),
        *("--backend-store-uri", uri, "--artifacts-destination", str(home / "mlflow" / "artifacts")),
    )


def _write_ahead(uri: str) -> None:
    """Readers of a SQLite store do not wait for its writer, nor it for them."""
    import sqlite3

    if uri.startswith("sqlite:///"):
        con = sqlite3.connect(uri.removeprefix("sqlite:///"))
        con.execute("pragma journal_mode = wal")
        con.close()


def _wait_for(url: str, child: Child) -> None:
    """Until the address answers; ChildError if the child ends first or takes too long."""
    import time
    import urllib.error
    import urllib.request

    from cli.up.children import ChildError, tail

    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has no business with this machine's own servers
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        child.demand_alive()
        try:
            with direct.open(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.2)
    raise ChildError(f"{child.name} did not answer at {url} within {START_TIMEOUT_S:.0f} s; the end of {child.log}:\n{tail(child.log)}")


def _watch(children: list[Child]) -> None:
    import time

    while True:
        for child in children:
            child.demand_alive()
        time.sleep(0.5)


def _stop(settings: Settings, children: list[Child]) -> None:
    """The worker and its runs first, so that the server can still be told what became of them."""
    from cli.up import children as processes
    from cli.up import orchestration

    workers = [child for child in children if child.name == "Prefect worker"]
    servers = [child for child in children if child not in workers]
    processes.stop(workers)
    processes.end(lambda: _run_processes(settings))
    try:
        if workers and all(child.process.poll() is None for child in servers):
            from httpx import HTTPError

            from cli.up import children as processes
            from cli.up import orchestration

            with suppress(HTTPError):  # then the next start does it
                orchestration.crash_unfinished_runs(POOL, "minutehand up was stopped while it ran")
    finally:
        processes.stop(servers)


def _run_processes(settings: Settings) -> list[int]:
    """The flow runs that this home's worker started; Prefect puts each into a session of its own."""
    from cli.up.children import with_environment

    return with_environment(f"MINUTEHAND_HOME={settings.home.resolve()}", f"PREFECT__WORKER_NAME={WORKER}")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _sweep(settings: Settings) -> None:
    """Stop the children that an `up` killed without warning left behind."""
    from cli.environment import read_up, up_file
    from cli.up.children import end, group_lives, signal_group
    from cli.up.ports import command_line

    left = read_up(settings.home)
    killed: list[int] = []
    for name, pid in left.children.items() if left else ():
        if name.split()[0].lower() in command_line(pid):
            typer.echo(f"stopping {name} (process {pid}), left behind by a `minutehand up` that was killed", err=True)
            signal_group(pid, signal.SIGKILL)
            killed.append(pid)
    end(lambda: [pid for pid in killed if group_lives(pid)] + _run_processes(settings))
    up_file(settings.home).unlink(missing_ok=True)


def _demand_ports(settings: Settings, *, with_mlflow: bool) -> None:
    from cli.up.ports import holder, is_free
    from models.errors import UserError

    server = settings.server
    wanted = [("Prefect server", server.prefect_port, "--port or MINUTEHAND_SERVER__PREFECT_PORT")]
    if with_mlflow:
        wanted.append(("MLflow UI", server.mlflow_port, "--mlflow-port or MINUTEHAND_SERVER__MLFLOW_PORT"))
    if with_mlflow and server.prefect_port == server.mlflow_port:
        raise UserError(f"port {server.prefect_port} is meant for both the Prefect server and the MLflow UI; set {wanted[1][2]}")
    for what, number, remedy in wanted:
        if not is_free(server.host, number):
            raise UserError(f"port {number}, wanted by the {what}, is held by {holder(number)}; stop that, or set another with {remedy}")
