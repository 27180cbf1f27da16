"""Where a person compares models in MLflow's UI: addresses, and the saved views that they open. Light to import.

MLflow 3.15 and later keep a saved view as a tag of the experiment: an envelope with the state of the page, deflated. What is in it is
what the page's own "Save view" writes.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tasks.registry.names import FIGURES, LEADING, MINE

VIEW_TAG = "mlflow.sharedViewState."
MADE_AT_MS = 1_795_824_000_000
"""When the views were designed, in place of when they were written: so the tags of every home are alike, and are written only once."""
NIGHTS, DAYS = "nights", "days"


def nights_page(experiment_id: str) -> str:
    """The nights side by side, as a path behind the address of an MLflow UI."""
    return f"{_runs(experiment_id)}?viewStateShareKey={NIGHTS}"


def days_page(experiment_id: str) -> str:
    """The days of minutes side by side."""
    return f"{_runs(experiment_id)}?viewStateShareKey={DAYS}"


def run_page(experiment_id: str, run_id: str) -> str:
    """One run; without the word at its end the menu is that for chatbots."""
    return f"/#/experiments/{experiment_id}/runs/{run_id}?workflowType=machine_learning"


def night_page(experiment_id: str, night_id: str) -> str:
    """One night beside its champion and its baselines, in charts. night_id: of the night's run."""
    found = quote(f"tags.`{MINE}.night` = '{night_id}'")
    return f"{_runs(experiment_id)}?searchFilter={found}&orderByKey=&orderByAsc=false&compareRunsMode=CHART"


def compare_page(experiment_id: str, run_ids: Sequence[str]) -> str:
    """Some runs side by side, as the button "Compare" shows them."""
    runs, experiments = (quote(json.dumps(ids, separators=(",", ":"))) for ids in (list(run_ids), [experiment_id]))
    return f"/#/compare-runs?runs={runs}&experiments={experiments}"


def find_nights_page(tracking_uri: str, experiment: str) -> str:
    """The page of the nights, without MLflow, which takes seconds to import; the front page where the store is no SQLite file or empty."""
    store = Path(tracking_uri.removeprefix("sqlite:///"))
    if not tracking_uri.startswith("sqlite:///") or not store.is_file():
        return "/"
    with closing(sqlite3.connect(f"{store.resolve().as_uri()}?mode=ro", uri=True, timeout=5)) as con:
        if not con.execute("select 1 from sqlite_master where name = 'experiments'").fetchone():
            return "/"
        found = con.execute("select experiment_id from experiments where name = ?", (experiment,)).fetchone()
    return nights_page(str(found[0])) if found else "/"


def views() -> dict[str, str]:
    """The saved views, as tags of the experiment."""
    nights = [
        *(_metric(name) for name in (*LEADING, "gain/on_best_baseline", "gain/on_champion")),
        *(f"tags.`{name}`" for name in ("best baseline", "gate", "verdict")),
        *(_metric(name) for name in (*FIGURES[len(LEADING) :], "seconds")),
        "attributes.`Models`",
    ]
    figures = ("ndcg_at_10_served_so_far", "ndcg_at_10_so_far")
    days = [_metric(f"{model}/{name}") for name in figures for model in ("live", "nightly", "recent_popular")]
    return {
        f"{VIEW_TAG}{NIGHTS}": _envelope(NIGHTS, "nightly", nights, [_bars(name) for name in (*FIGURES, "gain/on_champion", "seconds")]),
        f"{VIEW_TAG}{DAYS}": _envelope(DAYS, "minute", [*days, _metric("events")], []),
    }


def _runs(experiment_id: str) -> str:
    return f"/#/experiments/{experiment_id}/runs"


def _metric(name: str) -> str:
    return f"metrics.`{name}`"


def _bars(metric: str) -> dict[str, Any]:
    return {"uuid": metric, "type": "BAR", "metricKey": metric, "metricSectionId": "figures", "deleted": False, "isGenerated": False}


def _envelope(name: str, cadence: str, columns: Sequence[str], charts: Sequence[Mapping[str, Any]]) -> str:
    """A view of the runs of a cadence, the newest first: as the columns of a table, and in charts."""
    state = {
        "searchFilter": f"tags.`{MINE}.cadence` = '{cadence}'",
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(columns),
        "columnOrder": [],
        "columnWidths": {},
        "runsHiddenMode": "FIRST_20_RUNS",
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "runsVisibilityMap": {},
        "compareRunCharts": list(charts),
        "compareRunSections": [{"uuid": "figures", "name": "figures", "display": True, "isReordered": True, "deleted": False}],
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
    if not charts:
        del state["compareRunCharts"], state["compareRunSections"]
    deflated = base64.b64encode(zlib.compress(json.dumps(state, separators=(",", ":")).encode())).decode()
    return json.dumps({"name": name, "createdAt": MADE_AT_MS, "state": f"deflate;{deflated}"}, separators=(",", ":"))
