"""Names of runs, aliases, parameters, metrics and reports in MLflow, and its length limits."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from models.errors import without_secrets
from models.metrics.exposure import PER_DEMAND
from models.metrics.groups import family_of, worst_group
from models.results import MetricRow

LONGEST_PARAM, LONGEST_NOTE = 500, 4300
DIGITS = 4
"""Decimals of a metric in MLflow, which does not round; the tables of the lake have full precision."""
REPLAY = "replay"
CHAMPION, CHALLENGER, PREVIOUS, LIVE = "champion", "challenger", "previous", "live"
EXPERIMENT = "experiment"
"""Alias of the version that makes the lists of an experiment's challenger."""
NIGHTLY = "nightly"
MINE = "minutehand"
"""Name of the product's own model, and prefix of its tags."""
LEADING = ("ndcg_at_10_served", "ndcg_at_10")
"""Metrics for choosing a model; the first one that was measured decides. Served: each event is predicted from a list one minute old.
The other: with all earlier events known. They come first in lists, columns and charts."""
DISTANCE = "distance_at_10"
ACCURACY, BEYOND = ("recall_at_10", "map_at_10"), ("novelty_at_10", DISTANCE, "serendipity_at_10", "calibration_at_10", "age_days_at_10")
FIGURES = (*LEADING, "hr_at_10", "mrr", *ACCURACY, "coverage_at_10", "gini_at_10", *BEYOND)
"""Metrics with the same names in the runs of a night, its champion and its baselines, so that one chart shows all of them."""
DATA_AND_MODEL = ("seed", "encoder", "model", "train", "increment", "evaluation")
"""Groups of settings that define a model; addresses, ports and folders do not."""


def night_name(began: datetime, taken: Collection[str] = ()) -> str:
    """Name of a nightly run in Prefect and MLflow, such as `night 2026-11-27`; a second run that day also has the time. began: UTC."""
    name = f"night {began:%Y-%m-%d}"
    return name if name not in taken else f"{name} {began:%H:%M}"


def moment_name(flow: str, began: datetime) -> str:
    """Name of the run of a flow that runs several times a day, such as `minute 19:05`. began: UTC."""
    return f"{flow} {began:%H:%M}"


def day_name(day: date) -> str:
    """Name of the run that holds all minute runs of a day."""
    return f"day {day}"


def clock(moment: datetime) -> int:
    """The time of day as an MLflow step, which must be an integer: 1905 for 19:05."""
    return moment.hour * 100 + moment.minute


def leading(metrics: Collection[str]) -> str:
    """The leading metric among the measured ones."""
    return next((name for name in LEADING if name in metrics), LEADING[-1])


def of_data_and_model(settings: Mapping[str, Any], dataset: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a run: data first, then the settings that define the model."""
    return flatten({"data": dataset, **{name: settings[name] for name in DATA_AND_MODEL if name in settings}})


def flatten(params: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as `outer.inner` -> text, without passwords, cut to the length limit of a parameter."""
    flat: dict[str, str] = {}
    for name, value in params.items():
        if isinstance(value, Mapping) and value and all(isinstance(key, str) for key in value):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            text = without_secrets(value if isinstance(value, str) else json.dumps(value, default=str))
            flat[f"{prefix}{name}"] = text if len(text) <= LONGEST_PARAM else f"{text[: LONGEST_PARAM - 1]}…"
    return flat


def figures_of(rows: Sequence[MetricRow], model: str) -> dict[str, float]:
    """Metrics of one model over all events, leading metrics first."""
    known = {row.metric: row.value for row in rows if row.model == model and row.segment == "all"}
    return {name: value for name in FIGURES if (value := known.get(name)) is not None}


def segments_of(rows: Sequence[MetricRow], model: str) -> dict[str, float]:
    """The leading metric of one model within each segment of warm and cold users and items."""
    return _by_segment(rows, model, "segment", is_group=False)


def user_groups_of(rows: Sequence[MetricRow], model: str) -> dict[str, float]:
    """The leading metric of one model for each group of users."""
    return _by_segment(rows, model, "group", is_group=True)


def item_groups_of(rows: Sequence[MetricRow], model: str) -> dict[str, float]:
    """The exposure of each group of items, relative to its share of the held-out events."""
    mine = [row for row in rows if (row.model, row.metric) == (model, PER_DEMAND)]
    return {f"exposure/{slug(row.segment)}": row.value for row in mine if row.value is not None}


def _by_segment(rows: Sequence[MetricRow], model: str, prefix: str, *, is_group: bool) -> dict[str, float]:
    known = [row for row in rows if row.model == model and row.segment != "all" and row.value is not None]
    mine = [row for row in known if (family_of(row.segment) is not None) == is_group]
    lead = leading({row.metric for row in mine})
    return {f"{prefix}/{slug(row.segment)}": row.value for row in mine if row.metric == lead and row.value is not None}


def worst_groups(rows: Sequence[MetricRow]) -> dict[str, str]:
    """The group of users with the lowest leading metric, and the group of items with the least exposure for its demand; as tags."""
    worst = {
        "worst user group": worst_group(rows, MINE, leading({row.metric for row in rows})),
        "worst item group": worst_group(rows, MINE, PER_DEMAND),
    }
    return {name: f"{row.segment} {row.value:.4f}" for name, row in worst.items() if row is not None}


def best_baseline(rows: Sequence[MetricRow]) -> tuple[str, float] | None:
    """The baseline with the best leading metric, and its value; None if no baseline was measured."""
    lead = leading({row.metric for row in rows if row.segment == "all"})
    found = {row.model: row.value for row in rows if (row.segment, row.metric) == ("all", lead) and row.model not in (MINE, CHAMPION)}
    return max(((name, value) for name, value in found.items() if value is not None), key=lambda pair: pair[1], default=None)


def gains(rows: Sequence[MetricRow]) -> dict[str, float]:
    """Gains of the leading metric over the best baseline and over the champion."""
    mine = figures_of(rows, MINE)
    lead = leading(mine)
    if lead not in mine:
        return {}
    best, champion = best_baseline(rows), figures_of(rows, CHAMPION).get(lead)
    values = {
        "gain_on_baseline": mine[lead] - best[1] if best else None,
        "gain_on_champion": mine[lead] - champion if champion is not None else None,
    }
    return {name: value for name, value in values.items() if value is not None}


def gain_interval(rows: Sequence[MetricRow]) -> dict[str, float]:
    """The 95 % interval of the gain over the best baseline; empty without one."""
    lift = next((row for row in rows if row.metric == f"{leading(figures_of(rows, MINE))}_lift"), None)
    ends = {"low": lift.low, "high": lift.high} if lift else {}
    return {f"range/gain_on_baseline_{name}": value for name, value in ends.items() if value is not None}


def metric_name(row: MetricRow) -> str:
    return f"{slug(row.model)}/{slug(row.metric)}"


def slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower().replace(" x ", " ").replace("@", " at ")).strip("_")


def note(report: str) -> str:
    """A report as the description of its run, cut at a line end to the length limit."""
    if len(report) <= LONGEST_NOTE:
        return report
    return report[:LONGEST_NOTE].rpartition("\n")[0] + "\n\n… the rest is in the artifact `report.md`"
