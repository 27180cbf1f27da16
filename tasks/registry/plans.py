"""Plans of nights in MLflow: an artifact of the run, and a tag of the version."""

from __future__ import annotations

import tempfile
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

from tasks.registry.errors import RegistryError
from tasks.registry.night_run import NightRun
from tasks.registry.versions import LONGEST_TAG, Registry

PLAN = "plan.json"


def record_plan(run: NightRun, version: str, text: str, summary: str) -> None:
    """Write the plan of a night, as JSON, to its run, and its summary in words to its version."""
    client = run.registry.client
    client.log_text(run.run_id, text, PLAN)
    client.set_model_version_tag(run.registry.model_name, version, "plan", summary[:LONGEST_TAG])


def read_plan(registry: Registry, night: str) -> str:
    """The plan of a night as JSON. night: a version, an MLflow run, or the name of a run. Raises RegistryError."""
    run_id = _run_of(registry, night)
    try:
        with tempfile.TemporaryDirectory(prefix="minutehand-") as folder:
            found = mlflow.artifacts.download_artifacts(
                run_id=run_id, artifact_path=PLAN, dst_path=folder, tracking_uri=registry.tracking_uri
            )
            return Path(found).read_text(encoding="utf-8")
    except (MlflowException, OSError) as error:
        raise RegistryError(f"night {night!r} has no plan: it failed early, or is of an earlier version; name a later night") from error


def _run_of(registry: Registry, night: str) -> str:
    """The run of a night."""
    client = registry.client
    try:
        if night.isdecimal():
            return str(client.get_model_version(registry.model_name, night).run_id)
        if named := client.search_runs([registry.experiment_id], f"attributes.run_name = '{night.replace(chr(39), '')}'", max_results=1):
            return str(named[0].info.run_id)
        return str(client.get_run(night).info.run_id)
    except MlflowException as error:
        raise RegistryError(f"no night {night!r}; name a model version, a run of MLflow or its name, or a plan.json") from error
