"""The model registry of the settings, as the flows open it."""

from __future__ import annotations

import os

from settings import Settings
from tasks.registry import versions
from tasks.store import environment


def open_models(settings: Settings) -> versions.Registry:
    """Open the registry. MLflow finds the object store of the settings, also if a Prefect worker without them started this process."""
    os.environ.update(environment(settings.store))
    artifacts = settings.home.resolve() / "mlflow" / "artifacts"
    return versions.open_registry(settings.tracking_uri, settings.registry.model_name, artifacts, settings.registry.artifacts)
