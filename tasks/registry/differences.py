"""What a promotion by hand changed for users, as an artifact of the run of the version that went live."""

from __future__ import annotations

import logging

from mlflow.exceptions import MlflowException

from models.errors import without_secrets
from tasks.registry.versions import Registry

log = logging.getLogger("minutehand.registry")


def record_difference(registry: Registry, before: str, after: str, text: str) -> str:
    """Write the difference between two versions to the run of the later one; returns the artifact's name. A failing store only warns."""
    name = f"diff-from-{before}.json"
    try:
        run_id = registry.client.get_model_version(registry.model_name, after).run_id
        registry.client.log_text(str(run_id), text, name)
    except (MlflowException, OSError) as error:
        log.warning("%s is missing in MLflow: %s", name, without_secrets(str(error)))
    return name
