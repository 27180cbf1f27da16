"""MLflow's server behind the guard, in one process: `python -m uvicorn --factory cli.up.mlflow_server:app`.

MLflow itself asks for no password and answers pages of every port of this machine.
"""

from __future__ import annotations

from starlette.types import ASGIApp

from cli.environment import prepare
from cli.secret import make_secret
from serving.guard import Guard
from settings import load
from tasks.registry.server import open_server


def app() -> ASGIApp:
    """MLflow's UI and API of the home, for those who know its secret."""
    settings = load()
    prepare(settings)
    hosts = settings.server.accepted_hosts
    artifacts = settings.home.resolve() / "mlflow" / "artifacts"
    server = open_server(settings.tracking_uri, artifacts, hosts)
    from tasks.registry.versions import open_registry  # imports MLflow, which open_server has to come before

    open_registry(
        settings.tracking_uri, settings.registry.model_name, artifacts, settings.registry.artifacts
    )  # the page of the nights is there before the first night
    return Guard(server, hosts, make_secret(settings.home, settings.home_access), ["/health"])
