"""Start and end of an experiment: a row that asks the next publication to change the lists of the challenger's users."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Literal, get_args
from uuid import uuid4

from tasks.experiments.experiment import STARTING, Experiment, ExperimentError, experiment_of
from tasks.lake import Lake, statement, writing

Metric = Literal["ctr", "conversion", "value", "satisfaction"]
METRICS: tuple[str, ...] = get_args(Metric)


def new_experiment(
    name: str,
    metric: str,
    share: float,
    guard_rails: Mapping[str, float],
    control: tuple[str, str],
    challenger: tuple[str, str],
    run_id: str,
    learnt: int,
) -> Experiment:
    """A new experiment. control, challenger: version and settings as JSON. run_id, learnt: MLflow run and snapshot of the challenger.

    Raises ExperimentError for a share, a metric or a guard rail that is none.
    """
    if not 0 < share < 1:
        raise ExperimentError(f"a share of {share:g} leaves one arm without users; give a number between 0 and 1, such as --share 0.2")
    for each in (metric, *guard_rails):
        if each not in METRICS:
            raise ExperimentError(f"{each!r} is no metric of outcomes; name one of {', '.join(METRICS)}")
    for each, loss in guard_rails.items():
        if not 0 <= loss < 1:
            raise ExperimentError(f"a guard rail of {loss:g} for {each} is no share; give one from 0 to below 1, such as {each}=0.1")
    at = datetime.now(UTC).replace(tzinfo=None)
    return Experiment(
        experiment_id=uuid4().hex[:12],
        name=name or f"version {challenger[0]} from {at:%Y-%m-%d %H:%M}",
        state=STARTING,
        metric=metric,
        share=share,
        guard_rails=json.dumps(dict(guard_rails), sort_keys=True),
        control_version=control[0],
        control_settings=control[1],
        challenger_version=challenger[0],
        challenger_settings=challenger[1],
        arm_version=challenger[0],
        arm_run_id=run_id,
        learnt=learnt,
        checkpoint=None,
        checkpoint_sha256=None,
        next_version=None,
        next_run_id=None,
        next_learnt=None,
        frozen=None,
        verdict=None,
        started_at=at,
        stopped_at=None,
    )


def start(lake: Lake, experiment: Experiment) -> None:
    """Record an experiment; the next publication gives its users their lists. Raises ExperimentError while another one runs."""
    with writing(lake) as con:
        other = experiment_of(con, lake.home)
        if other is not None:
            raise ExperimentError(
                f"experiment {other.name!r} (version {other.challenger_version}, {other.share:.0%} of the users) is {other.state}, and "
                "one runs at a time; end it: minutehand experiment stop"
            )
        row = {each.name: getattr(experiment, each.name) for each in fields(experiment) if each.name != "key"}
        con.execute(statement("experiments/insert"), row)


def renew(lake: Lake, experiment: Experiment, version: str, run_id: str, learnt: int) -> None:
    """Let the next publication take a version that a night has trained for the challenger. learnt: its snapshot."""
    with writing(lake) as con:
        known = {"experiment_id": experiment.experiment_id, "version": version, "run_id": run_id, "learnt": learnt}
        con.execute(statement("experiments/renew"), known)


def end(lake: Lake, verdict: str) -> Experiment:
    """Ask the next publication to give everybody the lists of the control; returns the experiment. Raises ExperimentError without one."""
    with writing(lake) as con:
        experiment = experiment_of(con, lake.home)
        if experiment is None:
            raise ExperimentError("no experiment runs; start one: minutehand experiment start --challenger VERSION")
        con.execute(statement("experiments/end"), {"experiment_id": experiment.experiment_id, "verdict": verdict})
    return experiment
