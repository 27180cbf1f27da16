"""Addresses of the pages that `minutehand up` prints."""

from __future__ import annotations

import base64
import json
import urllib.request
from typing import Any
from urllib.parse import quote

from tasks.registry.pages import TRAINING_MENU, nights_page


def pages_of_prefect(url: str) -> dict[str, str]:
    """The pages of all runs and of the deployments with their schedules."""
    return {"Prefect runs": f"{url}/runs", "Prefect deployments": f"{url}/deployments"}


def pages_of_mlflow(url: str, name: str, secret: str) -> dict[str, str]:
    """The page that compares the nights of an experiment, and the page of the registered model. name: the name of both.

    If the experiment or model does not exist yet, the page lists all of them.
    """
    experiment = _ask(url, secret, f"experiments/get-by-name?experiment_name={quote(name, safe='')}").get("experiment")
    model = _ask(url, secret, f"registered-models/get?name={quote(name, safe='')}").get("registered_model")
    nights = nights_page(experiment["experiment_id"]) if experiment else f"/#/experiments?{TRAINING_MENU}"
    of_model = f"/{quote(name, safe='')}" if model else ""
    return {"MLflow nights": f"{url}{nights}", "MLflow model": f"{url}/#/models{of_model}?{TRAINING_MENU}"}


def _ask(url: str, secret: str, path: str) -> dict[str, Any]:
    """The answer of MLflow's API; empty if the API answers with an error or not at all."""
    authorization = f"Basic {base64.b64encode(secret.encode()).decode()}"
    request = urllib.request.Request(f"{url}/api/2.0/mlflow/{path}", headers={"authorization": authorization})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
    except (OSError, ValueError):  # an HTTP error is an OSError
        return {}
    return found
