"""Pages for comparing models in the MLflow UI: their addresses, and the saved views that they open. Fast to import.

MLflow 3.15 and later store a saved view as a tag of the experiment: an envelope with the deflated state of the page. The content is the
same as that of the page's own "Save view".
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from models.metrics.segments import SEGMENTS
from tasks.registry.names import FIGURES, LEADING, MINE

VIEW_TAG = "mlflow.sharedViewState."
MADE_AT_MS = 1_795_824_000_000
"""Creation time of the views, a constant: so the tags are equal in every home and are written only once."""
NIGHTS, DAYS, LAST_NIGHT = "nights", "days", "last-night"
NEWEST = "attributes.start_time"
TRAINING_MENU = "workflowType=machine_learning"
"""Parameter of every address: without it, MLflow shows the menu for chatbots."""


def nights_page(experiment_id: str) -> str:
    """The table of all nights; like all pages here, a path relative to the address of an MLflow UI."""
    return _view(experiment_id, NIGHTS)


def days_page(experiment_id: str) -> str:
    """The table of all days with minute runs."""
    return _view(experiment_id, DAYS)


def last_night_page(experiment_id: str) -> str:
    """The newest night with its champion and its baselines together in each chart."""
    return f"{_view(experiment_id, LAST_NIGHT)}&compareRunsMode=CHART"


def night_page(experiment_id: str, night_id: str, lead: str) -> str:
    """A night with its champion and its baselines, the best by a metric first. night_id: id of the night's run."""
    facets = {"searchFilter": _of_night(night_id), "orderByKey": _metric(lead), "orderByAsc": "false", "startTime": "ALL"}
    return f"/#/experiments/{experiment_id}/runs?{urlencode(facets, quote_via=quote)}&compareRunsMode=CHART&{TRAINING_MENU}"


def run_page(experiment_id: str, run_id: str) -> str:
    """The page of one run."""
    return f"/#/experiments/{experiment_id}/runs/{run_id}?{TRAINING_MENU}"


def compare_page(experiment_id: str, run_ids: Sequence[str]) -> str:
    """The page that the button "Compare" opens for the given runs."""
    runs, experiments = (quote(json.dumps(ids, separators=(",", ":"))) for ids in (list(run_ids), [experiment_id]))
    return f"/#/compare-runs?runs={runs}&experiments={experiments}&{TRAINING_MENU}"


def views() -> dict[str, str]:
    """The saved views of every experiment, as its tags."""
    nights = {
        _metric("ndcg_at_10_served"): 145,
        _metric("ndcg_at_10"): 95,
        "tags.`gate`": 100,
        _metric("gain_on_champion"): 145,
        _metric("gain_on_baseline"): 140,
        "tags.`best baseline`": 155,
        _metric("seconds"): 85,
        _metric("peak_mib"): 85,
        _metric("hr_at_10"): 80,
        _metric("recall_at_10"): 105,
        _metric("coverage_at_10"): 120,
        _metric("gini_at_10"): 90,
        _metric("distance_at_10"): 115,
        _metric("calibration_at_10"): 130,
        "tags.`worst user group`": 190,
        "tags.`worst item group`": 190,
        "tags.`verdict`": 420,
        "attributes.`Models`": 130,
    }
    so_far = [f"{model}/{name}_so_far" for name in LEADING for model in ("live", "nightly", "recent_popular")]
    days = {**{_metric(name): 235 for name in so_far}, _metric("events_so_far"): 120}
    gains = [_bars("gain_on_champion"), _bars("gain_on_baseline")]
    figures, curves = [_bars(name) for name in FIGURES], [_lines("validation/ndcg_at_10"), _lines("train/loss")]
    cost = [_bars("seconds"), _bars("peak_mib"), _lines("train/epoch_seconds")]
    charts = [*figures[: len(LEADING)], *gains, *curves, *cost, *figures[len(LEADING) :]]
    return {
        f"{VIEW_TAG}{NIGHTS}": _envelope(NIGHTS, _of("nightly"), nights, charts),
        f"{VIEW_TAG}{DAYS}": _envelope(DAYS, _of("minute"), days, [_lines(name) for name in so_far]),
    }


def last_night_view(night_id: str, lead: str) -> tuple[str, str]:
    """The saved view of the newest night, as name and value of an experiment tag; the best model by a metric comes first."""
    columns = {_metric(name): 145 for name in FIGURES}
    charts = [_bars(name) for name in (*FIGURES, *(f"segment/{name}" for name in SEGMENTS[1:]))]
    return f"{VIEW_TAG}{LAST_NIGHT}", _envelope("last night", _of_night(night_id), columns, charts, _metric(lead))


def _of(cadence: str) -> str:
    return f"tags.`{MINE}.cadence` = '{cadence}'"


def _of_night(night_id: str) -> str:
    return f"tags.`{MINE}.night` = '{night_id}'"


def _view(experiment_id: str, view: str) -> str:
    return f"/#/experiments/{experiment_id}/runs?viewStateShareKey={view}&{TRAINING_MENU}"


def _metric(name: str) -> str:
    return f"metrics.`{name}`"


def _bars(metric: str) -> dict[str, Any]:
    return {"type": "BAR", "metricKey": metric}


def _lines(metric: str) -> dict[str, Any]:
    return {"type": "LINE", "metricKey": metric, "selectedMetricKeys": [metric], "xAxisKey": "step", "scaleType": "linear"}


def _envelope(name: str, runs: str, columns: Mapping[str, int], charts: Sequence[Mapping[str, Any]], order: str = NEWEST) -> str:
    """A view of the runs that a filter matches, in descending order, as a table and charts. columns: width in pixels by name."""
    section = {"uuid": name, "name": name, "display": True, "isReordered": True, "deleted": False, "isGenerated": False}
    state: dict[str, Any] = {
        "searchFilter": runs,
        "orderByKey": order,
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(columns),
        "columnOrder": list(columns),
        "columnWidths": dict(columns),
        "runsHiddenMode": "FIRST_20_RUNS",
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "runsVisibilityMap": {},
        "compareRunCharts": [
            {"uuid": chart["metricKey"], "metricSectionId": name, "deleted": False, "isGenerated": False, "runsCountToCompare": 20, **chart}
            for chart in charts
        ],
        "compareRunSections": [section],
        "isAccordionReordered": True,
        "viewMaximized": True,
        "runListHidden": False,
        "groupBy": None,
        "groupsExpanded": {},
        "hideEmptyCharts": True,
        "useGroupedValuesInCharts": True,
        "autoRefreshEnabled": True,
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }
    deflated = base64.b64encode(zlib.compress(json.dumps(state, separators=(",", ":")).encode())).decode()
    return json.dumps({"name": name, "createdAt": MADE_AT_MS, "state": f"deflate;{deflated}"}, separators=(",", ":"))
