"""Finds the Prefect API for a run in this process: the API of a running server, or of a temporary server that ends with the run."""

from __future__ import annotations

import atexit
import base64
import os
import secrets
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

from cli.environment import ROOT, find_up, of_server
from cli.secret import CLIENT_VARIABLE, make_secret, read_secret
from cli.up.children import await_answer, start, stop
from cli.up.ports import is_free
from models.errors import UserError
from settings import Settings

PORTS = range(8000, 9000)
"""Below the ports that the system gives to outgoing connections. The ports of the settings are left out."""


def find_api(settings: Settings) -> Callable[[], None]:
    """Set the variables by which Prefect finds its API and logs in; call it after prepare and before prefect is imported.

    The returned function waits until the API answers, and raises UserError if it does not.
    """
    url = os.environ.get("PREFECT_API_URL")
    if url is None:
        return _start_server(settings)
    running = find_up(settings.home)
    if running is not None and _is_at(url, running.prefect_api_url, settings.server.accepted_hosts):
        os.environ[CLIENT_VARIABLE] = read_secret(settings.home, settings.home_access)
    return partial(_demand_answer, url)


def _is_at(url: str, own: str, hosts: frozenset[str]) -> bool:
    """Whether the URL is an address of this home's server, under any of the accepted hosts."""
    asked, there = urlsplit(url), urlsplit(own)
    return (asked.hostname == there.hostname or asked.hostname in hosts) and asked.port == there.port


def _start_server(settings: Settings) -> Callable[[], None]:
    """Start a temporary server, which ends with this process, even if the process is killed. It requires the secret of the home."""
    secret = make_secret(settings.home, settings.home_access)
    port = _free_port({settings.server.prefect_port, settings.server.mlflow_port, settings.server.api_port})
    command = (sys.executable, "-m", "uvicorn", "--factory", "cli.up.prefect_server:temporary")
    where = ("--host", "127.0.0.1", "--port", str(port), "--log-level", "error")
    logs = settings.home.resolve() / "logs"
    child = start("Temporary Prefect server", (*command, *where), logs, ROOT, environment=of_server(), watches_us=True)
    atexit.register(stop, [child])  # registered before prefect is imported, so that prefect sends its last messages before the server stops
    os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    os.environ["PREFECT_UI_URL"] = ""  # this server has no UI, so run logs link to none
    os.environ[CLIENT_VARIABLE] = secret
    return partial(await_answer, f"http://127.0.0.1:{port}/api/health", child)


def _free_port(taken: set[int]) -> int:
    """A free port that no server of the settings will want."""
    return next(port for port in secrets.SystemRandom().sample(PORTS, len(PORTS)) if port not in taken and is_free("127.0.0.1", port))


def _demand_answer(url: str) -> None:
    """Raise UserError if no server answers at the URL, or if the server refuses the secret. Prefect handles other errors."""
    secret, key = os.environ.get(CLIENT_VARIABLE), os.environ.get("PREFECT_API_KEY")
    basic = f"Basic {base64.b64encode(secret.encode()).decode()}" if secret else None
    authorization = basic or (f"Bearer {key}" if key else None)
    headers = {"Authorization": authorization} if authorization else {}
    try:
        request = urllib.request.Request(f"{url.rstrip('/')}/admin/version", headers=headers)
        with urllib.request.urlopen(request, timeout=10):
            return
    except urllib.error.HTTPError as error:
        if error.code == 401:
            remedy = f"set {CLIENT_VARIABLE}, or unset PREFECT_API_URL"
            raise UserError(f"the Prefect server at {url} asks for another secret; {remedy}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise UserError(f"no Prefect server answers at {url} ({reason}); start it, or unset PREFECT_API_URL") from error
