"""Logs a replay as an MLflow run with its curves."""

from __future__ import annotations

import json
from typing import Any

from mlflow.entities import Metric, RunTag
from mlflow.exceptions import MlflowException

from models.errors import without_secrets
from tasks.figures import Curves, replay_curves
from tasks.registry.names import REPLAY, flatten
from tasks.registry.pages import run_page
from tasks.registry.versions import LARGEST_BATCH, MINE, Registry, RegistryError, log_params

MEANS = ("ndcg_at_10", "hr_at_10")
"""Means logged in addition to the curve of each policy; `replay.json` has the other metrics and the segments."""


def log_replay(registry: Registry, result: dict[str, Any], curves: Curves) -> str:
    """Log settings, metrics, curves (step: number of the time interval) and the figure; returns the path of the run's page.

    Raises RegistryError if the store fails.
    """
    try:
        return _log_replay(registry, result, curves)
    except (MlflowException, OSError) as error:
        raise RegistryError(
            f"the replay is done, but could not be logged to MLflow at {without_secrets(registry.tracking_uri)}: "
            f"{without_secrets(str(error))}; its figures are printed, and --out keeps them in a file"
        ) from error


def _log_replay(registry: Registry, result: dict[str, Any], curves: Curves) -> str:
    client = registry.client
    run = client.create_run(registry.experiment_id, run_name=REPLAY, tags={"mlflow.source.name": MINE, f"{MINE}.cadence": "replay"})
    run_id = run.info.run_id
    log_params(client, run_id, flatten(result["settings"]))
    points = [
        Metric(f"{name}/ndcg_at_10", float(value), round(time.timestamp() * 1000), step)
        for name, values in curves.ndcg_at_10.items()
        for step, (time, value) in enumerate(zip(curves.time, values, strict=True))
    ]
    now = round(curves.time[-1].timestamp() * 1000) if curves.time else 0
    points += [
        Metric(f"{name}/mean_{key}", float(value), now, 0)
        for name, found in result["policies"].items()
        for key in MEANS
        if (value := found[key]) is not None
    ]
    for begin in range(0, len(points), LARGEST_BATCH):
        client.log_batch(run_id, metrics=points[begin : begin + LARGEST_BATCH])
    client.log_figure(run_id, replay_curves(curves), "replay.png", save_kwargs={"dpi": 130})
    client.log_text(run_id, json.dumps(result, indent=2, default=str), "replay.json")
    client.log_batch(run_id, tags=[RunTag(f"{MINE}.n_replayed", str(result["data"]["n_replayed"]))])
    client.set_terminated(run_id, "FINISHED")
    return run_page(registry.experiment_id, run_id)
