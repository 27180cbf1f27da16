"""The increments of a day: small versions that go back to a night's champion, and one run with the curves of all minutes.

The newest row of recs.publications says which version is live; the alias `live` follows it. All of this is called under
the publishing turn, one process at a time. A minute that was killed leaves one of these, and `reconcile_live` mends it:

| killed                                 | left behind                       | mended by                                   |
| -------------------------------------- | --------------------------------- | ------------------------------------------- |
| while the increment was saved          | a logged model without a version  | it is deleted, files included               |
| before its lists were published        | a version newer than the live one | it is deleted; the next run learns it again |
| after the lists were published         | an alias one version behind       | the alias is set                            |
| before its figures were in the run     | a gap in the curves               | `Day.metrics` logs what eval.prequential has |
| the same, and the next day came        | a gap at the end of that day      | `close_days` does, before it ends the run    |
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import mlflow
from mlflow.entities import LoggedModel, LoggedModelOutput, Metric, Run, RunTag
from mlflow.models import Model
from mlflow.utils.file_utils import local_file_uri_to_path

from models.increment import Verdict
from models.results import MetricRow
from tasks.feed import Watermarks
from tasks.lake import Lake, reading, statement
from tasks.mlflow_text import metric_name, named
from tasks.registry import (
    CHAMPION,
    LARGEST_BATCH,
    LIVE,
    MINE,
    Registry,
    RegistryError,
    Version,
    aliases,
    cadence_of,
    find_version,
    logged_models,
    model_id_of,
    versions,
)
from tasks.registry_upkeep import delete_model, delete_versions, prune

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


@dataclass(frozen=True)
class Mended:
    """What a killed minute had left behind."""

    deleted_versions: tuple[str, ...]
    deleted_models: tuple[str, ...]
    alias_was: str | None

    @property
    def told(self) -> list[str]:
        """A sentence for each kind of thing found."""
        found = {
            f"version {', '.join(self.deleted_versions)} was not published; deleted, its events are learnt again": self.deleted_versions,
            f"{len(self.deleted_models)} half-saved increments are deleted": self.deleted_models,
            f"the alias `{LIVE}` was behind, at version {self.alias_was}": self.alias_was,
        }
        return [text for text, is_there in found.items() if is_there]


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
        run_id = client.create_run(registry.experiment_id, run_name=f"minutes-of-{day}", tags=tags).info.run_id
    else:
        client.log_batch(run_id, tags=[RunTag(f"{MINE}.champion", champion)])
    return Day(registry, run_id, day)


def register_increment(
    day: Day, checkpoint_folder: Path, parent: Version, snapshot: int, tags: Mapping[str, object] | None = None
) -> Version:
    """Put a checkpoint into the registry as an increment of its parent. The folder is moved where artifacts are on this machine.

    snapshot: the events up to it are in the weights. The increment is packed as its parent is: the same code, signature
    and requirements, and another checkpoint. It has no alias yet.
    """
    registry, client = day.registry, day.registry.client
    known = {"cadence": MINUTE, "parent": parent.version, CHAMPION: parent.champion, "snapshot": snapshot, **(tags or {})}
    texts = {name: str(value) for name, value in known.items()}
    model = client.create_logged_model(registry.experiment_id, registry.model_name, day.run_id, tags=texts, model_type="recommender")
    is_here = model.artifact_location.startswith(("file:", "/"))
    target = Path(local_file_uri_to_path(model.artifact_location)) if is_here else registry.downloads / model.model_id
    _pack(model, day.run_id, checkpoint_folder, _folder(parent), target)
    if not is_here:
        client.log_model_artifacts(model.model_id, str(target))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(day.run_id, [LoggedModelOutput(model.model_id, step=0)])
    mlflow.set_tracking_uri(registry.tracking_uri)  # MLflow looks up `models:/` at the address of the process
    version = client.create_model_version(
        *(registry.model_name, f"models:/{model.model_id}", day.run_id), tags=texts, model_id=model.model_id
    ).version
    return Version(str(version), day.run_id, target / "artifacts" / "checkpoint", texts)


def keep(
    day: Day, verdict: Verdict, save: Callable[[], None], folder: Path, parent: Version, before: Watermarks, snapshot: int
) -> tuple[Version, Watermarks]:
    """Register what was learnt up to a snapshot, which `save` writes to the folder; gives the version to publish with its watermarks.

    Where the gate discards the update, that is the parent, and the events stay due.
    """
    if not verdict.passed:
        figures = "\n".join(f"- {name}: {value:.6g}" for name, value in verdict.figures.items())
        day.discarded(datetime.now(UTC), f"Version {parent.version} stays, and the events stay due: {verdict.reason}\n\n{figures}\n")
        return parent, Watermarks(snapshot, before.learnt)
    save()
    return register_increment(day, folder, parent, snapshot, verdict.figures), Watermarks(snapshot, snapshot)


def told(version: Version, verdict: Verdict, rows: Sequence[MetricRow], n_users: int) -> str:
    """One run in a line."""
    overall = [row for row in rows if (row.segment, row.metric) == ("all", "ndcg_at_10") and row.value is not None]
    figures = ", ".join(f"{row.model} {row.value:.4f}" for row in overall)
    predicted = f"{overall[0].n_events} new events (NDCG@10 before they were learnt: {figures})" if overall else "no new event"
    outcome = verdict.reason if verdict.passed else f"THE UPDATE IS DISCARDED: {verdict.reason}"
    return f"{predicted}; {outcome}; {n_users} lists by version {version.version}"


def publish_alias(registry: Registry, version: str) -> str | None:
    """Let the alias `live` point to a version; gives the one that it was taken from, None where it was there already."""
    now = aliases(registry).get(LIVE)
    if now == version:
        return None
    registry.client.set_registered_model_alias(registry.model_name, LIVE, version)
    return now


def find_live(registry: Registry, version: str) -> tuple[Version, Version]:
    """The live version and the champion that it goes back to."""
    live = find_version(registry, version)
    return live, live if live.champion == version else find_version(registry, live.champion)


def reconcile_live(registry: Registry, live_version: str, is_published: Callable[[str], bool]) -> Mended:
    """Mend what a killed minute left behind; live_version is that of the newest row of recs.publications, which is_published asks.

    Increments newer than it that no list was made by never will be, for only the holder of the publishing turn makes any.
    """
    known = versions(registry)
    if live_version not in {str(found.version) for found in known}:
        raise RegistryError(
            f"version {live_version} made the lists, but is not in the registry; bring it back, or run `minutehand nightly` for another"
        )
    newer = [found for found in known if cadence_of(found) == MINUTE and int(found.version) > int(live_version)]
    doomed = [found for found in newer if not is_published(str(found.version))]
    delete_versions(registry, doomed)
    registered = {model_id_of(found) for found in known}
    orphans = [model for model in logged_models(registry) if model.tags.get("cadence") == MINUTE and model.model_id not in registered]
    for model in orphans:
        shutil.rmtree(registry.downloads / model.model_id, ignore_errors=True)
        delete_model(registry.client, model)
    was = publish_alias(registry, live_version)
    return Mended(tuple(str(found.version) for found in doomed), tuple(model.model_id for model in orphans), was)


def prune_increments(registry: Registry, keep: int, live_version: str) -> list[str]:
    """Delete increments but for the newest `keep`, the live one and those with an alias; gives the deleted."""
    return prune(registry, keep, {live_version}, cadence=MINUTE)


def _day_runs(registry: Registry, condition: str) -> list[Run]:
    """Runs of days, the newest first. MLflow loads all that each has put out, so they should be few: those that run, or that of one day."""
    query = f"tags.`{MINE}.cadence` = '{MINUTE}' and {condition}"
    return list(registry.client.search_runs([registry.experiment_id], query, order_by=["attributes.start_time DESC"], max_results=20))


def _folder(version: Version) -> Path:
    """The packed model around a version's checkpoint."""
    return next(folder for folder in version.checkpoint_folder.parents if (folder / "MLmodel").is_file())


def _pack(model: LoggedModel, run_id: str, checkpoint_folder: Path, parent: Path, target: Path) -> None:
    """The parent's packed model with another checkpoint; its other files are shared by hard links."""
    shutil.copytree(
        parent,
        target,
        copy_function=_link,
        ignore=lambda folder, names: {"MLmodel", "artifacts", "__pycache__"} & set(names) if Path(folder) == parent else {"__pycache__"},
    )
    (target / "artifacts").mkdir()
    shutil.move(checkpoint_folder, target / "artifacts" / "checkpoint")
    packed = Model.load(str(parent))
    packed.artifact_path, packed.run_id = model.artifact_location, run_id
    packed.model_id = packed.model_uuid = model.model_id
    packed.utc_time_created = str(datetime.now(UTC).replace(tzinfo=None))
    packed.flavors["python_function"]["artifacts"] = {"checkpoint": {"path": "artifacts/checkpoint", "uri": str(checkpoint_folder)}}
    packed.save(str(target / "MLmodel"))


def _link(source: str, target: str) -> None:
    """A hard link, or a copy where the file system knows none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


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
