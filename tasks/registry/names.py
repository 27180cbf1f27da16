"""What runs, settings, figures and reports are called in MLflow, and the lengths that it takes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from models.errors import without_secrets
from models.results import MetricRow

LONGEST_PARAM, LONGEST_NOTE = 500, 4500
REPLAY = "replay"


def night_name(flow_run: str) -> str:
    """The run of a night is called as Prefect calls the flow run, so that one finds the other."""
    return flow_run


def day_name(day: date) -> str:
    """The run of the minutes of a day."""
    return f"minutes-of-{day}"


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


def named(rows: Sequence[MetricRow]) -> dict[str, float | None]:
    """Figures under names that MLflow takes; the ends of an interval only over all events, so that charts stay few."""
    values: dict[str, float | None] = {}
    for row in rows:
        name = metric_name(row)
        if row.segment == "all":
            values |= {name: row.value, f"{name}_low": row.low, f"{name}_high": row.high}
        else:
            values[f"{name}_{slug(row.segment)}"] = row.value
    return values


def metric_name(row: MetricRow) -> str:
    return f"{slug(row.model)}/{slug(row.metric)}"


def slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower().replace(" x ", " ").replace("@", " at ")).strip("_")


def note(report: str) -> str:
    """A report as the description of its run: cut at the end of a line to what fits there."""
    if len(report) <= LONGEST_NOTE:
        return report
    return report[:LONGEST_NOTE].rpartition("\n")[0] + "\n\n… the rest is in the artifact `report.md`"
