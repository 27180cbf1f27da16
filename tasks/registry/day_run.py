"""The MLflow run of one day of minutes, with the curves of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from operator import itemgetter

from mlflow.entities import Metric, Run, RunTag

from models.results import MetricRow
from tasks.lake import Lake, reading, statement
from tasks.registry.names import day_name, metric_name, named
from tasks.registry.versions import (
    LARGEST_BATCH,
    MINE,
    Registry,
)

MINUTE = "minute"
MEAN_OVER = timedelta(hours=1)
MARK = "events"
"""The metric that is logged last of each minute: where it is, the minute is whole."""


@dataclass(frozen=True)
class Minute:
    """What one run predicted before it learnt; evaluated_at is UTC without a zone."""

    evaluated_at: datetime
    rows: Sequence[MetricRow]


@dataclass(frozen=True)
class Day:
    """The MLflow run of one day's increments, as an address; every method writes at once. Steps are minutes of the day."""

    registry: Registry
    run_id: str
    day: date

    @property
    def page(self) -> str:
        """The run's page, to be put behind the address of an MLflow UI."""
        return f"/#/experiments/{self.registry.experiment_id}/runs/{self.run_id}?workflowType=machine_learning"

    def logged_until(self) -> datetime | None:
        """When the newest minute was evaluated whose figures the run has."""
        points = self.registry.client.get_metric_history(self.run_id, MARK)
        return max((_moment(point.timestamp) for point in points), default=None)

    def missing_since(self) -> datetime:
        """From when on `metrics` needs minutes, with those that its means look back on."""
        start = datetime.combine(self.day, datetime.min.time())
        until = self.logged_until()
        return start if until is None else max(start, until - MEAN_OVER)

    def metrics(self, minutes: Sequence[Minute]) -> int:
        """Log `model/metric` of the minutes not logged yet, and its mean over the hour up to each; gives how many minutes.

        minutes: those evaluated since `missing_since`. The mean weighs each minute by its events.
        """
        until = self.logged_until()
        ours = sorted((minute for minute in minutes if minute.evaluated_at.date() == self.day), key=lambda minute: minute.evaluated_at)
        fresh = [minute for minute in ours if until is None or _ms(minute.evaluated_at) > _ms(until)]
        for minute in fresh:
            before = [other for other in ours if minute.evaluated_at - MEAN_OVER < other.evaluated_at <= minute.evaluated_at]
            self._log(minute.evaluated_at, {**named(minute.rows), **_means(before), MARK: _n_events(minute)})
        return len(fresh)

    def discarded(self, minute: datetime, text: str) -> None:
        """Why an update was not taken, as an artifact."""
        self.registry.client.log_text(self.run_id, text, f"discarded/{minute:%H-%M}.md")

    def _log(self, moment: datetime, values: Mapping[str, float | None]) -> None:
        step, time = moment.hour * 60 + moment.minute, _ms(moment)
        metrics = [Metric(name, value, time, step) for name, value in values.items() if value is not None]
        for begin in range(0, len(metrics), LARGEST_BATCH):
            self.registry.client.log_batch(self.run_id, metrics=metrics[begin : begin + LARGEST_BATCH])


def read_minutes(lake: Lake, since: datetime) -> list[Minute]:
    """What eval.prequential holds of the runs since a moment (UTC), oldest first."""
    with reading(lake) as con:
        rows = con.execute(statement("minute/prequential"), {"since": since}).fetchall()
    by_moment = groupby(rows, key=itemgetter(0))
    return [Minute(moment, [MetricRow(*row[1:]) for row in found]) for moment, found in by_moment]


def close_days(registry: Registry, lake: Lake, today: date) -> None:
    """End the runs of earlier days as FINISHED, with the figures that their last minute was killed before it could log."""
    for run in _day_runs(registry, "attributes.status = 'RUNNING'"):
        day = Day(registry, run.info.run_id, date.fromisoformat(run.data.tags[f"{MINE}.day"]))
        if day.day < today:
            day.metrics(read_minutes(lake, day.missing_since()))
            registry.client.set_terminated(day.run_id, "FINISHED")


def open_day(registry: Registry, day: date, champion: str) -> Day:
    """The run of a day, made where there is none."""
    client, tag = registry.client, f"{MINE}.day"
    run_id = next((run.info.run_id for run in _day_runs(registry, f"tags.`{tag}` = '{day}'")), None)
    if run_id is None:
        tags = {
            "mlflow.source.name": MINE,
            "mlflow.source.type": "JOB",
            f"{MINE}.cadence": MINUTE,
            tag: day.isoformat(),
            f"{MINE}.champion": champion,
        }
        run_id = client.create_run(registry.experiment_id, run_name=day_name(day), tags=tags).info.run_id
    else:
        client.log_batch(run_id, tags=[RunTag(f"{MINE}.champion", champion)])
    return Day(registry, run_id, day)


def _day_runs(registry: Registry, condition: str) -> list[Run]:
    """Runs of days, the newest first. MLflow loads all that each has put out, so they should be few: those that run, or that of one day."""
    query = f"tags.`{MINE}.cadence` = '{MINUTE}' and {condition}"
    return list(registry.client.search_runs([registry.experiment_id], query, order_by=["attributes.start_time DESC"], max_results=20))


def _means(minutes: Sequence[Minute]) -> dict[str, float]:
    """Means of every overall figure of some minutes, weighted by their events."""
    sums: dict[str, tuple[float, int]] = {}
    for row in (row for minute in minutes for row in minute.rows if row.segment == "all" and row.value is not None):
        total, n = sums.get(metric_name(row), (0.0, 0))
        sums[metric_name(row)] = total + float(row.value or 0.0) * row.n_events, n + row.n_events
    return {f"{name}_last_hour": total / n for name, (total, n) in sums.items() if n}


def _n_events(minute: Minute) -> float:
    return float(max((row.n_events for row in minute.rows if row.segment == "all"), default=0))


def _ms(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp() * 1000)


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC).replace(tzinfo=None)
