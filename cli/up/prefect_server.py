"""Prefect's server behind the guard, in one process: `python -m uvicorn --factory cli.up.prefect_server:lasting`.

Prefect's API asks for the secret of the home. The process reads it from its file, so it is neither in its arguments nor in the
environment that it was started with. `prefect server start` would run the same application, but answers every Host.
"""

from __future__ import annotations

import os
import signal
import threading
import time

from starlette.types import ASGIApp

from cli.environment import prepare
from cli.secret import SERVER_VARIABLE, make_secret
from serving.guard import Guard
from settings import load

NO_ORIGIN = "https://nobody.invalid"
"""An origin that does not exist: Prefect's UI has the same origin and needs no CORS. Prefect reads an empty setting as every origin."""
END_S = 10.0


def lasting() -> ASGIApp:
    """The server of `minutehand up`: API, UI and services."""
    return _guarded({"PREFECT_SERVER_UI_API_URL": "/api"})  # relative, so that the UI asks the Host that the browser asked


def temporary() -> ASGIApp:
    """The server of one run: API only. It ends with the process that started it and holds the other end of its standard input."""
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    return _guarded({"PREFECT_SERVER_UI_ENABLED": "false", "PREFECT__SERVER_EPHEMERAL": "1"})


def _guarded(variables: dict[str, str]) -> ASGIApp:
    settings = load()
    prepare(settings)
    os.environ.update(variables)
    os.environ["PREFECT__SERVER_FINAL"] = "1"
    os.environ[SERVER_VARIABLE] = make_secret(settings.home, settings.home_access)
    os.environ["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] = NO_ORIGIN
    from prefect.server.api.server import create_app

    return Guard(create_app(), settings.server.accepted_hosts)


def _end_with_parent() -> None:
    """Wait until standard input is closed, then end this process. The system closes it when the parent ends, even if it is killed."""
    while os.read(0, 1):
        continue
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(END_S)
    os._exit(1)
