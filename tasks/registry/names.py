"""What runs, aliases, settings, figures and reports are called in MLflow, and the lengths that it takes."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from models.errors import without_secrets
from models.results import MetricRow

LONGEST_PARAM, LONGEST_NOTE = 500, 4300
DIGITS = 4
"""Decimals of a figure in MLflow, which shows all that it is given; the tables of the lake have the rest."""
REPLAY = "replay"
CHAMPION, CHALLENGER, PREVIOUS, LIVE = "champion", "challenger", "previous", "live"
NIGHTLY = "nightly"
MINE = "minutehand"
"""The product's own model among others, and what its tags begin with."""
LEADING = ("ndcg_at_10_served", "ndcg_at_10")
"""The metrics by which people choose a model, the first that was measured: each event predicted from a list one minute old, or with
all events before it known. They come first in lists, columns and charts."""
FIGURES = (*LEADING, "hr_at_10", "mrr", "coverage_at_10")
"""What the runs of a night, of its champion and of its baselines share, under the same names, so that one chart has all of them."""
DATA_AND_MODEL = ("seed", "encoder", "model", "train", "increment", "evaluation")
"""The groups of settings that say what a model is; addresses, ports and folders are none of it."""


def night_name(began: datetime, taken: Collection[str] = ()) -> str:
    """The run of a night, in Prefect and in MLflow; a second night of the same day has the time as well. began: UTC."""
    name = f"night {began:%Y-%m-%d}"
    return name if name not in taken else f"{name} {began:%H:%M}"


def moment_name(flow: str, began: datetime) -> str:
    """The run of a flow that comes back within the day, such as `minute 19:05`. began: UTC."""
    return f"{flow} {began:%H:%M}"


def day_name(day: date) -> str:
    """The run of the minutes of a day."""
    return f"day {day}"


def clock(moment: datetime) -> int:
    """The time of day as a step of MLflow, which takes whole numbers: 1905 for 19:05."""
    return moment.hour * 100 + moment.minute


def leading(metrics: Collection[str]) -> str:
    """The metric that leads among those that were measured."""
    return next((name for name in LEADING if name in metrics), LEADING[-1])


def of_data_and_model(settings: Mapping[str, Any], dataset: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a run: what the model was made of, the data first."""
    return flatten({"data": dataset, **{name: settings[name] for name in DATA_AND_MODEL if name in settings}})


def flatten(params: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as `outer.inner` -> text, without passwords, cut to a length that reads well in a table."""
    flat: dict[str, str] = {}
    for name, value in params.items():
        if isinstance(value, Mapping) and value and all(isinstance(key, str) for key in value):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            text = without_secrets(value if isinstance(value, str) else json.dumps(value, default=str))
            flat[f"{prefix}{name}"] = text if len(text) <= LONGEST_PARAM else f"{text[: LONGEST_PARAM - 1]}…"
    return flat


def figures_of(rows: Sequence[MetricRow], model: str) -> dict[str, float]:
    """The figures of one model over all events, those that lead first."""
    known = {row.metric: row.value for row in rows if row.model == model and row.segment == "all"}
    return {name: value for name in FIGURES if (value := known.get(name)) is not None}


def segments_of(rows: Sequence[MetricRow], model: str) -> dict[str, float]:
    """The leading figure of one model within each segment."""
    mine = [row for row in rows if row.model == model and row.segment != "all" and row.value is not None]
    lead = leading({row.metric for row in mine})
    return {f"segment/{slug(row.segment)}": row.value for row in mine if row.metric == lead and row.value is not None}


def best_baseline(rows: Sequence[MetricRow]) -> tuple[str, float] | None:
    """The baseline whose leading figure is the best, with that figure; None where none was measured."""
    lead = leading({row.metric for row in rows if row.segment == "all"})
    found = {row.model: row.value for row in rows if (row.segment, row.metric) == ("all", lead) and row.model not in (MINE, CHAMPION)}
    return max(((name, value) for name, value in found.items() if value is not None), key=lambda pair: pair[1], default=None)


def gains(rows: Sequence[MetricRow]) -> dict[str, float]:
    """What the leading figure gains on the best baseline, with the ends of the interval where there is one, and on the champion."""
    mine = figures_of(rows, MINE)
    lead = leading(mine)
    if lead not in mine:
        return {}
    lift = next((row for row in rows if row.metric == f"{lead}_lift"), None)
    best, champion = best_baseline(rows), figures_of(rows, CHAMPION).get(lead)
    values = {
        "gain_on_baseline": mine[lead] - best[1] if best else None,
        "range/gain_on_baseline_low": lift.low if lift else None,
        "range/gain_on_baseline_high": lift.high if lift else None,
        "gain_on_champion": mine[lead] - champion if champion is not None else None,
    }
    return {name: value for name, value in values.items() if value is not None}


def metric_name(row: MetricRow) -> str:
    return f"{slug(row.model)}/{slug(row.metric)}"


def slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower().replace(" x ", " ").replace("@", " at ")).strip("_")


def note(report: str) -> str:
    """A report as the description of its run: cut at the end of a line to what fits there."""
    if len(report) <= LONGEST_NOTE:
        return report
    return report[:LONGEST_NOTE].rpartition("\n")[0] + "\n\n… the rest is in the artifact `report.md`"
