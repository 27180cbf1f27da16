"""`minutehand up`: Prefect server, worker, deployments, the MLflow UI and the API of one home, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import say

if TYPE_CHECKING:
    from cli.up.children import Child
    from settings import Settings

POOL = "minutehand"
WORKER = "minutehand-up"
API = "API server"
API_START_S = 30.0
"""How long the start waits for the API, which loads a model."""
API_PAUSES_S = (5.0, 60.0)
"""Pause before an API that has ended is started again: the first, and the longest; each is twice as long as the one before."""


def up(
    port: Annotated[int | None, typer.Option(help="Port of Prefect [MINUTEHAND_SERVER__PREFECT_PORT]", min=1, max=65535)] = None,
    mlflow_port: Annotated[int | None, typer.Option(help="Port of MLflow [MINUTEHAND_SERVER__MLFLOW_PORT]", min=1, max=65535)] = None,
    api_port: Annotated[int | None, typer.Option(help="Port of the API [MINUTEHAND_SERVER__API_PORT]", min=1, max=65535)] = None,
    mlflow: Annotated[bool, typer.Option(help="Start the MLflow UI as well")] = True,
    api: Annotated[bool, typer.Option(help="Start the API as well, as soon as something is published")] = True,
) -> None:
    """Start the schedule: Prefect server, worker and deployments, the MLflow UI and the API. Ctrl-C stops everything."""
    from filelock import Timeout

    from cli.environment import find_up, prepare, up_lock
    from models.errors import UserError
    from settings import load
    from tasks.ingest.landing import open_landing

    settings = load()
    server = settings.server
    ports = {
        "prefect_port": port or server.prefect_port,
        "mlflow_port": mlflow_port or server.mlflow_port,
        "api_port": api_port or server.api_port,
    }
    settings = settings.model_copy(update={"server": server.model_copy(update=ports)})
    try:
        with up_lock(settings.home).acquire(timeout=3):
            _sweep(settings)
            prepare(settings)
            open_landing(settings.ingest, settings.home)  # files may be dropped before the first minute
            _run(settings, with_mlflow=mlflow, with_api=api)
    except Timeout as error:
        running = find_up(settings.home)
        where = f" at {running.prefect_url} (process {running.pid})" if running else ""
        raise UserError(f"{settings.home} is up already{where}; stop that one with Ctrl-C, or choose another MINUTEHAND_HOME") from error


def _run(settings: Settings, *, with_mlflow: bool, with_api: bool) -> None:
    from cli.environment import up_file

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup stays nohup
            signal.signal(number, _interrupt)
    _demand_ports(settings, with_mlflow=with_mlflow, with_api=with_api)
    children: list[Child] = []
    try:
        start_api = _start(settings, children, with_mlflow=with_mlflow, with_api=with_api)
        _watch(children, start_api)
    except KeyboardInterrupt:
        say("stopping ...", err=True)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        _stop(settings, children)
        up_file(settings.home).unlink(missing_ok=True)


def _start(settings: Settings, children: list[Child], *, with_mlflow: bool, with_api: bool) -> Callable[[], Child]:
    """Start the children in order; the list grows with each start, so that after a failure the caller can stop those that run.

    Gives what starts the API again.
    """
    from cli.environment import ROOT, Up, of_api, of_mlflow, of_server, write_up
    from cli.secret import CLIENT_VARIABLE, make_secret
    from cli.up import children as processes

    server = settings.server
    logs = settings.home.resolve() / "logs"
    prefect_url, mlflow_url = server.prefect_url, server.mlflow_url if with_mlflow else None
    api_url = server.api_url if with_api else None
    os.environ["MINUTEHAND_SERVER__PREFECT_PORT"] = str(server.prefect_port)
    os.environ["MINUTEHAND_SERVER__MLFLOW_PORT"] = str(server.mlflow_port)  # nightly runs link to it
    os.environ["MINUTEHAND_SERVER__API_PORT"] = str(server.api_port)
    os.environ["PREFECT_API_URL"] = f"{prefect_url}/api"
    os.environ["TMPDIR"] = _fresh_folder(settings.home.resolve() / "tmp")
    # for the clients of the API: this process, the worker and its runs
    os.environ[CLIENT_VARIABLE] = make_secret(settings.home, settings.home_access)

    def launch(name: str, *command: str, environment: Mapping[str, str] | None = None) -> Child:
        child = processes.start(name, (sys.executable, "-m", *command), logs, ROOT, environment=environment)
        children.append(child)
        write_up(settings.home, Up(os.getpid(), prefect_url, mlflow_url, {child.name: child.pid for child in children}, api_url))
        return child

    def start_api() -> Child:
        return launch(API, "cli.up.api_server", environment=of_api())

    say(f"starting (logs are in {logs}) ...", err=True)
    prefect = launch("Prefect server", *_serve("cli.up.prefect_server:lasting", server.host, server.prefect_port), environment=of_server())
    ui = None
    if with_mlflow:
        _write_ahead(settings.tracking_uri)
        serve = _serve("cli.up.mlflow_server:app", server.host, server.mlflow_port)
        ui = launch("MLflow UI", *serve, environment=of_mlflow(settings))
    from cli.up import orchestration  # importing prefect takes seconds; the server starts at the same time

    processes.await_answer(f"{prefect_url}/api/health", prefect)
    orchestration.create_pool(POOL)
    orchestration.crash_unfinished_runs(POOL, "the worker that ran it is gone")
    orchestration.skip_overdue_runs(POOL)
    orchestration.crash_silent_runs()
    orchestration.post_alarms(settings.health.webhook)
    orchestration.save_filters()
    launch("Prefect worker", "prefect", "worker", "start", "--pool", POOL, "--name", WORKER)
    api = start_api() if with_api else None
    _deploy(logs)
    if ui is not None:
        processes.await_answer(f"{mlflow_url}/health", ui)
    where = "off" if api is None else f"{server.api_url}{_state_of(api, server.api_url)}"
    _print_addresses(settings, prefect_url, mlflow_url, where)
    return start_api


def _state_of(api: Child, url: str) -> str:
    """Nothing once the API answers; what it waits for, if it waits; a remark, if it does neither after a while."""
    import time

    from cli.up.api_server import WAITS
    from cli.up.children import answers, tail

    deadline = time.monotonic() + API_START_S
    while time.monotonic() < deadline and api.process.poll() is None:
        last = tail(api.log, 1).strip()
        if last.startswith(WAITS):
            return f" ({last})"
        if answers(f"{url}/health/live"):
            return ""
        time.sleep(0.2)
    return f" (does not answer yet; see {api.log})"


def _print_addresses(settings: Settings, prefect_url: str, mlflow_url: str | None, api: str) -> None:
    """Print the addresses of the servers and how to log in."""
    from cli.output import show
    from cli.secret import USER, read_secret, secret_file
    from cli.up.links import pages_of_mlflow, pages_of_prefect

    secret = read_secret(settings.home, settings.home_access)
    pages = pages_of_mlflow(mlflow_url, settings.registry.model_name, secret) if mlflow_url else {"MLflow": "off"}
    places = {"API": api, "home": str(settings.home.resolve()), "secret": str(secret_file(settings.home))}
    rows = [{"what": what, "where": where} for what, where in {**pages_of_prefect(prefect_url), **pages, **places}.items()]
    show(rows, as_json=False, title="minutehand is up; Ctrl-C stops it")
    mlflow = f"; to MLflow as user {USER}, with the part after the colon as password" if mlflow_url else ""
    say(f"Log in to Prefect with the whole line in the file of the secret{mlflow}.")
    sys.stdout.flush()


def _serve(factory: str, host: str, port: int) -> tuple[str, ...]:
    """The command that serves an application of ours; python -m goes before it."""
    return ("uvicorn", "--factory", factory, "--host", host, "--port", str(port), "--log-level", "warning")


def _deploy(logs: Path) -> None:
    """Deploy prefect.yaml to the server; ChildError if the server refuses it."""
    from subprocess import TimeoutExpired

    from cli.environment import ROOT, without_stores
    from cli.up.children import START_TIMEOUT_S, ChildError, start, stop, tail

    command = (sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all")
    deploy = start("Prefect deploy", command, logs, ROOT, environment=without_stores())
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


def _write_ahead(uri: str) -> None:
    """Switch a SQLite store to write-ahead logging, so that readers and the writer do not block each other."""
    import sqlite3

    if uri.startswith("sqlite:///"):
        con = sqlite3.connect(uri.removeprefix("sqlite:///"))
        con.execute("pragma journal_mode = wal")
        con.close()


def _watch(children: list[Child], start_api: Callable[[], Child]) -> None:
    """Return never: ChildError when a child has ended. Only the API is started again, because the schedule does not need it."""
    import time

    from cli.up.children import tail

    shortest_s, longest_s = API_PAUSES_S
    pause_s, born, due = shortest_s, time.monotonic(), None
    while True:
        for child in list(children):
            code = child.process.poll() if child.name == API else None
            if code is None:
                child.demand_alive()
                continue
            pause_s = shortest_s if time.monotonic() - born > 10 * longest_s else pause_s
            say(f"{API} ended with code {code}; it starts again in {pause_s:.0f} s; the end of {child.log}:\n{tail(child.log)}", err=True)
            children.remove(child)
            due, pause_s = time.monotonic() + pause_s, min(2 * pause_s, longest_s)
        if due is not None and time.monotonic() >= due:
            start_api()
            born, due = time.monotonic(), None
        time.sleep(0.5)


def _stop(settings: Settings, children: list[Child]) -> None:
    """Stop the worker and its runs first, while the server can still record their end."""
    from cli.up import children as processes
    from cli.up import orchestration

    workers = [child for child in children if child.name == "Prefect worker"]
    servers = [child for child in children if child not in workers]
    processes.stop(workers)
    processes.end(lambda: _run_processes(settings))
    try:
        if workers and all(child.process.poll() is None for child in servers if child.name != API):
            from httpx import HTTPError

            from cli.up import children as processes
            from cli.up import orchestration

            with suppress(HTTPError):  # the next start marks the runs instead
                orchestration.crash_unfinished_runs(POOL, "minutehand up was stopped while it ran")
    finally:
        processes.stop(servers)


def _run_processes(settings: Settings) -> list[int]:
    """The flow runs that this home's worker started; Prefect starts each in a separate session."""
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
            say(f"stopping {name} (process {pid}), left behind by a `minutehand up` that was killed", err=True)
            signal_group(pid, signal.SIGKILL)
            killed.append(pid)
    end(lambda: [pid for pid in killed if group_lives(pid)] + _run_processes(settings))
    up_file(settings.home).unlink(missing_ok=True)


def _demand_ports(settings: Settings, *, with_mlflow: bool, with_api: bool) -> None:
    from cli.up.ports import holder, is_free
    from models.errors import UserError

    server = settings.server
    wanted = [("Prefect server", server.host, server.prefect_port, "--port or MINUTEHAND_SERVER__PREFECT_PORT")]
    if with_mlflow:
        wanted.append(("MLflow UI", server.host, server.mlflow_port, "--mlflow-port or MINUTEHAND_SERVER__MLFLOW_PORT"))
    if with_api:
        wanted.append((API, server.api_host, server.api_port, "--api-port or MINUTEHAND_SERVER__API_PORT"))
    owners: dict[int, str] = {}
    for what, _, number, remedy in wanted:
        if number in owners:
            raise UserError(f"port {number} is meant for both the {owners[number]} and the {what}; set another with {remedy}")
        owners[number] = what
    for what, host, number, remedy in wanted:
        if not is_free(host, number):
            raise UserError(f"port {number}, wanted by the {what}, is held by {holder(number)}; stop that, or set another with {remedy}")
