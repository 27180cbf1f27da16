"""The MLflow run of one day, with the metric curves of all minute runs of that day."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from mlflow.entities import Metric, Run, RunTag

from models.results import MetricRow
from tasks.figures import day_curves, hour_curves
from tasks.lake import Lake, reading, statement
from tasks.registry.names import DIGITS, LEADING, clock, day_name, leading, metric_name
from tasks.registry.pages import run_page
from tasks.registry.versions import MINE, Registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger("minutehand.registry")
MINUTE = "minute"
MEAN_OVER = timedelta(hours=1)
MARK = "events"
"""The metric that is logged last for each minute run: if it is present, all metrics of the run are."""
HOURLY = (*LEADING, "hr_at_10")
"""Metrics logged as means over the last hour. Of a single minute run, only the leading metric is logged, to keep charts few."""
DRAWN = f"{MINE}.drawn"
DRAWN_EVERY, FEW = timedelta(minutes=15), 10
"""The figure of the day is redrawn this often, and after each of the first FEW runs: loading matplotlib takes half a second."""
ABOUT = """How well three models predicted each event of {day} before it was learnt: `live` learns every minute, `nightly` is the model
of last night, and `recent_popular` lists the items that were popular just before. Steps are times of day in UTC: 1905 is 19:05.
The artifact `day.png` shows the curves of the day, `hours.png` the means of each hour."""


@dataclass(frozen=True)
class Minute:
    """Metrics of one minute run, measured before it learnt; evaluated_at is UTC without a zone."""

    evaluated_at: datetime
    rows: Sequence[MetricRow]


@dataclass(frozen=True)
class Day:
    """Handle of the MLflow run of one day; every method writes at once. Steps are times of day: 1905 for 19:05."""

    registry: Registry
    run_id: str
    day: date

    @property
    def page(self) -> str:
        """Path of the run's page, relative to the address of an MLflow UI."""
        return run_page(self.registry.experiment_id, self.run_id)

    @property
    def began(self) -> datetime:
        """Start of the day, UTC."""
        return datetime.combine(self.day, datetime.min.time())

    def logged_until(self) -> datetime | None:
        """Evaluation time of the newest minute run that is logged."""
        points = self.registry.client.get_metric_history(self.run_id, MARK)
        return max((_moment(point.timestamp) for point in points), default=None)

    def missing_since(self) -> datetime:
        """Start of the minutes that `metrics` needs, including those for the hourly means."""
        until = self.logged_until()
        return self.began if until is None else max(self.began, until - MEAN_OVER)

    def metrics(self, minutes: Sequence[Minute]) -> int:
        """Log `model/metric` and its hourly mean for each minute that is not logged yet; returns their number.

        minutes: all minutes evaluated since `missing_since`. The mean weights each minute by its number of events.
        """
        until = self.logged_until()
        ours = self._ours(minutes)
        fresh = [minute for minute in ours if until is None or _ms(minute.evaluated_at) > _ms(until)]
        for minute in fresh:
            before = [other for other in ours if minute.evaluated_at - MEAN_OVER < other.evaluated_at <= minute.evaluated_at]
            hourly = {f"{name}_last_hour": value for name, value in _means(before, HOURLY).items()}
            self._log(minute.evaluated_at, {**_means([minute], [_lead([minute])]), **hourly, MARK: _n_events(minute)})
        return len(fresh)

    def is_due(self, now: datetime) -> bool:
        """Whether the figure of the day must be redrawn."""
        drawn = self.registry.client.get_run(self.run_id).data.tags.get(DRAWN, "0 ")
        n_minutes, _, at = drawn.partition(" ")
        return int(n_minutes) < FEW or now - datetime.fromisoformat(at) >= DRAWN_EVERY

    def draw(self, minutes: Sequence[Minute]) -> None:
        """Write the results of the day so far as a figure, as `model/metric_so_far` and in the description. minutes: all of the day."""
        ours, client = self._ours(minutes), self.registry.client
        if not ours:
            return
        lead, at = _lead(ours), ours[-1].evaluated_at
        so_far, n_events = _means(ours, [lead]), int(sum(map(_n_events, ours)))
        self._log(at, {**{f"{name}_so_far": value for name, value in so_far.items()}, f"{MARK}_so_far": n_events})
        models = [name.partition("/")[0] for name in so_far]
        values = {model: [_means([minute], [lead]).get(f"{model}/{lead}") for minute in ours] for model in models}
        try:
            day = day_curves([minute.evaluated_at for minute in ours], [_n_events(minute) for minute in ours], values, lead)
            figures = {"day": day, "hours": _by_hour(ours, models, lead)}
        except Exception:  # any matplotlib error: a missing figure must not fail the minute run
            log.warning("the figures of the day could not be drawn", exc_info=True)
        else:
            for name, figure in figures.items():
                client.log_figure(self.run_id, figure, f"{name}.png", save_kwargs={"dpi": 130})
        means = ", ".join(f"`{model}` **{so_far[f'{model}/{lead}']:.4f}**" for model in models)
        text = f"{lead} of {n_events:,} events until {at:%H:%M} UTC: {means}.\n\n{ABOUT.format(day=self.day)}"
        tags = {DRAWN: f"{len(ours)} {at.isoformat()}", "mlflow.note.content": text}
        client.log_batch(self.run_id, tags=[RunTag(name, text) for name, text in tags.items()])

    def discarded(self, minute: datetime, text: str) -> None:
        """Write the reason for a discarded update as an artifact."""
        self.registry.client.log_text(self.run_id, text, f"discarded/{minute:%H-%M}.md")

    def _ours(self, minutes: Sequence[Minute]) -> list[Minute]:
        return sorted((minute for minute in minutes if minute.evaluated_at.date() == self.day), key=lambda minute: minute.evaluated_at)

    def _log(self, moment: datetime, values: Mapping[str, float]) -> None:
        metrics = [Metric(name, round(value, DIGITS), _ms(moment), clock(moment)) for name, value in values.items()]
        self.registry.client.log_batch(self.run_id, metrics=metrics)


def read_minutes(lake: Lake, since: datetime) -> list[Minute]:
    """The minute runs in eval.prequential since a time (UTC), oldest first."""
    with reading(lake) as con:
        rows = con.execute(statement("minute/prequential"), {"since": since}).fetchall()
    by_moment = groupby(rows, key=itemgetter(0))
    return [Minute(moment, [MetricRow(*row[1:]) for row in found]) for moment, found in by_moment]


def close_days(registry: Registry, lake: Lake, today: date) -> None:
    """End the runs of earlier days as FINISHED, after logging metrics that a killed minute run did not log."""
    for run in _day_runs(registry, "attributes.status = 'RUNNING'"):
        day = Day(registry, run.info.run_id, date.fromisoformat(run.data.tags[f"{MINE}.day"]))
        if day.day < today:
            minutes = read_minutes(lake, day.began)
            day.metrics(minutes)
            day.draw(minutes)
            registry.client.set_terminated(day.run_id, "FINISHED")


def open_day(registry: Registry, day: date, champion: str) -> Day:
    """The run of a day; creates it if there is none."""
    client, tag = registry.client, f"{MINE}.day"
    run_id = next((run.info.run_id for run in _day_runs(registry, f"tags.`{tag}` = '{day}'")), None)
    if run_id is None:
        tags = {
            "mlflow.source.name": MINE,
            "mlflow.source.type": "JOB",
            f"{MINE}.cadence": MINUTE,
            tag: day.isoformat(),
            f"{MINE}.champion": champion,
            "mlflow.note.content": ABOUT.format(day=day),
        }
        run_id = client.create_run(registry.experiment_id, run_name=day_name(day), tags=tags).info.run_id
    else:
        client.log_batch(run_id, tags=[RunTag(f"{MINE}.champion", champion)])
    return Day(registry, run_id, day)


def _day_runs(registry: Registry, condition: str) -> list[Run]:
    """Day runs, newest first. The condition should match few runs, as MLflow loads all outputs of each."""
    query = f"tags.`{MINE}.cadence` = '{MINUTE}' and {condition}"
    return list(registry.client.search_runs([registry.experiment_id], query, order_by=["attributes.start_time DESC"], max_results=20))


def _lead(minutes: Sequence[Minute]) -> str:
    """The leading metric of the given minutes."""
    return leading({row.metric for minute in minutes for row in minute.rows if row.segment == "all"})


def _means(minutes: Sequence[Minute], metrics: Collection[str]) -> dict[str, float]:
    """Means of the overall metrics by `model/metric`, weighted by the number of events."""
    sums: dict[str, tuple[float, int]] = {}
    for row in (row for minute in minutes for row in minute.rows if row.segment == "all" and row.metric in metrics):
        if row.value is not None:
            total, n = sums.get(metric_name(row), (0.0, 0))
            sums[metric_name(row)] = total + row.value * row.n_events, n + row.n_events
    return {name: total / n for name, (total, n) in sums.items() if n}


def _by_hour(minutes: Sequence[Minute], models: Sequence[str], lead: str) -> Figure:
    """The leading metric of each model by hour."""
    hours = {hour: list(found) for hour, found in groupby(minutes, key=lambda minute: minute.evaluated_at.hour)}
    means = [_means(found, [lead]) for found in hours.values()]
    values = {model: [mean.get(f"{model}/{lead}") for mean in means] for model in models}
    return hour_curves(list(hours), [sum(map(_n_events, found)) for found in hours.values()], values, lead)


def _n_events(minute: Minute) -> float:
    return float(max((row.n_events for row in minute.rows if row.segment == "all"), default=0))


def _ms(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp() * 1000)


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC).replace(tzinfo=None)
