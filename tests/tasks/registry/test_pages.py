"""The saved views in the MLflow store, and the addresses that open them."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

from mlflow.utils.validation import MAX_EXPERIMENT_TAG_VAL_LENGTH

from tasks.registry.names import LEADING
from tasks.registry.night_run import start_night
from tasks.registry.pages import VIEW_TAG, views
from tasks.registry.versions import Registry, open_registry
from tests.tasks.fruits import ROWS


def state_of(envelope: str) -> dict[str, Any]:
    kind, _, text = json.loads(envelope)["state"].partition(";")
    assert kind == "deflate"
    return dict(json.loads(zlib.decompress(base64.b64decode(text))))


def test_the_view_of_nights_begins_with_the_served_metric_and_has_the_columns_of_the_decision(registry: Registry) -> None:
    tags = registry.client.get_experiment(registry.experiment_id).tags
    state = state_of(tags[f"{VIEW_TAG}nights"])
    assert state["selectedColumns"][:2] == [f"metrics.`{name}`" for name in LEADING]
    wanted = {"metrics.`hr_at_10`", "metrics.`coverage_at_10`", "tags.`best baseline`", "tags.`gate`", "metrics.`seconds`"}
    assert wanted <= set(state["selectedColumns"])
    assert {"metrics.`recall_at_10`", "metrics.`calibration_at_10`", "metrics.`peak_mib`", "tags.`worst user group`"} <= set(
        state["selectedColumns"]
    )
    charts = {chart["metricKey"]: chart["type"] for chart in state["compareRunCharts"]}
    assert {"validation/ndcg_at_10": "LINE", "train/loss": "LINE", "train/epoch_seconds": "LINE"}.items() <= charts.items()
    assert {"seconds": "BAR", "peak_mib": "BAR", "gini_at_10": "BAR"}.items() <= charts.items()
    found = registry.client.search_runs([registry.experiment_id], state["searchFilter"], order_by=[state["orderByKey"]])
    assert list(found) == []


def test_views_fit_into_tags_and_opening_the_registry_restores_missing_ones(registry: Registry, store: Path) -> None:
    assert all(len(view) <= MAX_EXPERIMENT_TAG_VAL_LENGTH for view in views().values())
    registry.client.delete_experiment_tag(registry.experiment_id, f"{VIEW_TAG}nights")
    again = open_registry(registry.tracking_uri, registry.model_name, store)
    assert again.client.get_experiment(again.experiment_id).tags.items() >= views().items()


def test_the_view_of_the_last_night_has_the_models_of_the_newest_night_with_the_best_first(registry: Registry) -> None:
    for name in ("night 2026-11-26", "night 2026-11-27"):
        with start_night(registry, name, {}, 1, None, {}) as night:
            night.metrics(ROWS)
            night.log_comparisons(ROWS)
    state = state_of(registry.client.get_experiment(registry.experiment_id).tags[f"{VIEW_TAG}last-night"])
    found = registry.client.search_runs([registry.experiment_id], state["searchFilter"], order_by=[f"{state['orderByKey']} DESC"])
    assert [run.info.run_name for run in found] == ["night 2026-11-27", "champion", "item_knn", "most_popular", "minutehand by segment"]
