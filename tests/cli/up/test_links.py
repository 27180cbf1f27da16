"""The pages that `minutehand up` names; tests/flows/test_browser.py opens them."""

from __future__ import annotations

from collections.abc import Callable

from cli.up.links import pages_of_mlflow, pages_of_prefect


def test_prefect_opens_at_its_runs_and_its_deployments() -> None:
    assert list(pages_of_prefect("http://127.0.0.1:4200").values()) == ["http://127.0.0.1:4200/runs", "http://127.0.0.1:4200/deployments"]


def test_where_mlflow_knows_no_experiment_yet_or_does_not_answer_its_lists_are_named(free_port: Callable[[], int]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert pages_of_mlflow(url, "minutehand", "minutehand:secret") == {
        "MLflow nights": f"{url}/#/experiments?workflowType=machine_learning",
        "MLflow model": f"{url}/#/models?workflowType=machine_learning",
    }
