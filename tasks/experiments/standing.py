"""How an experiment stands: what people did in both arms since its start, and what may be said about it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import polars as pl

from models.experiments.allocation import arms_of
from models.experiments.verdict import Outcomes, Verdict, judge
from tasks.experiments.experiment import Experiment
from tasks.lake import Lake, reading, statement

PARTS = {
    "ctr": ("n_clicked", "n_shown"),
    "conversion": ("n_bought", "n_shown"),
    "value": ("value", "n_shown"),
    "satisfaction": ("rating", "n_rated"),
}
"""Numerator and denominator of each metric, as columns of sql/experiments/outcomes."""


@dataclass(frozen=True)
class Standing:
    """An experiment, and the verdict on it."""

    experiment: Experiment
    verdict: Verdict


def standing(lake: Lake, experiment: Experiment) -> Standing:
    """How an experiment stands, or stood at its end."""
    with reading(lake) as con:
        return Standing(experiment, verdict_of(con, experiment))


def verdict_of(con: duckdb.DuckDBPyConnection, experiment: Experiment) -> Verdict:
    """The verdict by the outcomes that a connection sees."""
    until = experiment.stopped_at or datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=1)
    frame = con.execute(statement("experiments/outcomes"), {"since": experiment.started_at, "until": until}).pl()
    return judge(outcomes_of(frame, experiment), experiment.metric, experiment.share, json.loads(experiment.guard_rails))


def outcomes_of(frame: pl.DataFrame, experiment: Experiment) -> Outcomes:
    """The outcomes of users with their arms. frame: as of sql/experiments/outcomes."""
    column = {name: frame[name].to_numpy().astype(np.float64) for name in frame.columns if name != "user_id"}
    return Outcomes(
        arms_of(experiment.key, experiment.experiment_id, frame["user_id"], experiment.share),
        {metric: column[above] for metric, (above, _) in PARTS.items()},
        {metric: column[below] for metric, (_, below) in PARTS.items()},
    )
