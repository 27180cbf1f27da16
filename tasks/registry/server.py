"""The MLflow server as an ASGI application, for a process that serves it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = "mlflow-artifacts:/"


def open_server(store: str, artifacts: Path, hosts: Iterable[str]) -> Any:
    """The application that `mlflow server` would serve for this store and artifact folder.

    hosts: accepted host names without port; requests from other origins are refused. Sets MLflow's variables in this process. MLflow
    reads them on import, so call this before anything imports mlflow.server.
    """
    names = [name.replace("[", "[[]", 1) for name in sorted(hosts)]  # MLflow expects patterns
    places = [f"{name}{port}" for name in names for port in ("", ":*")]
    os.environ["MLFLOW_SERVER_ALLOWED_HOSTS"] = ",".join(places)
    os.environ["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"] = ",".join(f"{scheme}://{place}" for scheme in ("http", "https") for place in places)
    os.environ["_MLFLOW_SGI_NAME"] = "uvicorn"
    os.environ["_MLFLOW_SERVER_BOOT_ID"] = uuid.uuid4().hex  # marks a server process, in which MLflow runs no client code
    os.environ["_MLFLOW_IN_JOB_EXECUTOR"] = "false"
    from mlflow.server import constants

    os.environ[constants.BACKEND_STORE_URI_ENV_VAR] = store
    os.environ[constants.REGISTRY_STORE_URI_ENV_VAR] = store
    os.environ[constants.ARTIFACT_ROOT_ENV_VAR] = ROOT
    os.environ[constants.ARTIFACTS_DESTINATION_ENV_VAR] = str(artifacts)
    os.environ[constants.SERVE_ARTIFACTS_ENV_VAR] = "true"
    from mlflow.server import fastapi_app, handlers

    handlers.initialize_backend_stores(store, store, ROOT)
    return fastapi_app.app
