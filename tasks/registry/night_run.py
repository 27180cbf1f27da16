"""The MLflow run of one night, and registration of its model version."""

from __future__ import annotations

import json
import logging
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.entities import Dataset as DatasetEntity
from mlflow.entities import DatasetInput, InputTag, LoggedModelOutput, Metric, RunTag
from mlflow.exceptions import MlflowException

from models.errors import without_secrets
from models.results import MetricRow
from models.visible import visible
from tasks.figures import (
    Tradeoff,
    accuracy_against_diversity,
    calibration_bars,
    group_bars,
    lorenz_curves,
    segment_bars,
    training_curve,
)
from tasks.process import peak_mib
from tasks.registry.integrity import DIGEST, digest_of
from tasks.registry.names import (
    DIGITS,
    DISTANCE,
    LEADING,
    LONGEST_PARAM,
    NIGHTLY,
    best_baseline,
    figures_of,
    gain_interval,
    gains,
    item_groups_of,
    leading,
    note,
    of_data_and_model,
    segments_of,
    user_groups_of,
    worst_groups,
)
from tasks.registry.packing import pack
from tasks.registry.pages import last_night_view, night_page, nights_page, run_page
from tasks.registry.versions import CHALLENGER, LARGEST_BATCH, MINE, Registry, all_versions, log_params, now_ms, running_runs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from models.evaluation.list_measures import Measured

log = logging.getLogger("minutehand.registry")
DEAD_AFTER_HOURS = 24
PARENT, NIGHT = "mlflow.parentRunId", f"{MINE}.night"
COMPARISON = "comparison"
"""Cadence of the child runs that a night is compared with: its champion and its baselines on the same events, and its own parts."""
BY_SEGMENT, BY_ITEM_GROUP = f"{MINE} by segment", f"{MINE} by item group"
"""Child runs with the figures of our model for segments and groups of users, and for groups of items."""
CURVES = ("validation/ndcg_at_10", "train/loss", "train/epoch_seconds")
GATE, VERDICT, BEST_BASELINE = "gate", "verdict", "best baseline"
"""Tags of a nightly run for people to read, so without a prefix."""


@dataclass(frozen=True)
class NightRun:
    """Handle of the MLflow run of one night; every method writes at once. training_id: id of the child run with live training curves."""

    registry: Registry
    run_id: str
    run_name: str
    snapshot: int
    training_id: str

    @property
    def page(self) -> str:
        """Path of the run's page, relative to the address of an MLflow UI."""
        return run_page(self.registry.experiment_id, self.run_id)

    def epoch(self, epoch: int, loss: float, validation_ndcg: float | None, seconds: float) -> None:
        """Log one point of each training curve. A failing store must not end the training."""
        values = dict(zip(CURVES, (validation_ndcg, loss, seconds), strict=True))
        try:
            replace(self, run_id=self.training_id)._log(values, step=epoch)
        except (MlflowException, OSError) as error:
            log.warning("epoch %d is missing in MLflow: %s", epoch, without_secrets(str(error)))

    def curves(self) -> None:
        """Copy the training curves to this run: after the metrics, as MLflow's pages show the metric that was logged first at the top."""
        client = self.registry.client
        points = [point for name in CURVES for point in client.get_metric_history(self.training_id, name)]
        metrics = [Metric(point.key, point.value, point.timestamp, point.step) for point in points]
        for begin in range(0, len(metrics), LARGEST_BATCH):
            client.log_batch(self.run_id, metrics=metrics[begin : begin + LARGEST_BATCH])

    def metrics(self, rows: Sequence[MetricRow]) -> None:
        """Log the evaluation of the night's model over all events: metrics, gains, and as tags the best baseline and the worst groups."""
        self._log({**figures_of(rows, MINE), **gains(rows)})
        best, tags = best_baseline(rows), worst_groups(rows)
        if best is not None:
            tags[BEST_BASELINE] = f"{best[0]} {best[1]:.4f}"
        self.registry.client.log_batch(self.run_id, tags=[RunTag(name, visible(text)[:LONGEST_PARAM]) for name, text in tags.items()])

    def log_comparisons(self, rows: Sequence[MetricRow]) -> None:
        """Log child runs: each other model with the metric names of the night, so that one chart shows all; segments and groups of ours.

        A segment has the same name for every model. Groups of users and items have runs of their own, as a run has at most 20 metrics.
        """
        client, experiment = self.registry.client, self.registry.experiment_id
        there = {run.info.run_name for run in client.search_runs([experiment], f"tags.`{PARENT}` = '{self.run_id}'")}
        children = {
            BY_SEGMENT: {**segments_of(rows, MINE), **gain_interval(rows), **user_groups_of(rows, MINE)},
            BY_ITEM_GROUP: item_groups_of(rows, MINE),
        }
        for model in dict.fromkeys(row.model for row in rows if row.model != MINE):
            children[model] = {**figures_of(rows, model), **segments_of(rows, model)}
        for name, values in children.items():
            if values and name not in there:  # a retry may find runs that the first attempt created
                tags = {
                    "mlflow.source.name": MINE,
                    "mlflow.source.type": "JOB",
                    "mlflow.note.content": f"`{name}` on the held-out events of {self.run_name}.",
                    f"{MINE}.cadence": COMPARISON,
                    f"{MINE}.process": _this_process(),
                    PARENT: self.run_id,
                    NIGHT: self.run_id,
                }
                run_id = client.create_run(experiment, run_name=name, tags=tags).info.run_id
                replace(self, run_id=run_id)._log(values)
                client.set_terminated(run_id, "FINISHED")
        view = last_night_view(self.run_id, leading(figures_of(rows, MINE)))
        client.set_experiment_tag(experiment, *view)

    def verdict(self, version: str) -> None:
        """Write the verdict of the gate as tags, which MLflow can show as columns."""
        found = self.registry.client.get_model_version(self.registry.model_name, version)
        tags = {GATE: found.tags.get("gate"), VERDICT: found.description, f"{MINE}.version": version}
        self.registry.client.log_batch(self.run_id, tags=[RunTag(name, text[:LONGEST_PARAM]) for name, text in tags.items() if text])

    def compare_versions(self) -> None:
        """Draw accuracy against diversity of all nightly versions, this one included. A failing store must not end the night."""
        try:
            found = [version for version in all_versions(self.registry) if version.tags.get("cadence") == NIGHTLY]
            lead = leading({name for version in found for name in LEADING if name in version.tags})
            points = [
                Tradeoff(str(version.version), float(version.tags[lead]), float(version.tags[DISTANCE]), version.run_id == self.run_id)
                for version in found
                if lead in version.tags and DISTANCE in version.tags
            ]
            self._draw("accuracy-diversity", partial(accuracy_against_diversity, points, lead))
        except (MlflowException, OSError) as error:
            log.warning("no comparison of all versions: %s", without_secrets(str(error)))

    def _draw(self, name: str, draw: Callable[[], Figure]) -> None:
        """Write a figure. One that cannot be drawn must not end the night."""
        try:
            figure = draw()
        except Exception:  # any matplotlib error
            log.warning("the figure %s could not be drawn", name, exc_info=True)
        else:
            self.figures({name: figure})

    def figures(self, figures: Mapping[str, Figure]) -> None:
        """Write figures by name as PNG; not in a folder, as MLflow's page for comparing runs does not show folders."""
        for name, figure in figures.items():
            self.registry.client.log_figure(self.run_id, figure, f"{name}.png", save_kwargs={"dpi": 130})

    def artifact(self, name: str, text: str) -> None:
        """Write a text as an artifact."""
        self.registry.client.log_text(self.run_id, text, name)

    def report(self, markdown: str) -> None:
        """Write the report as an artifact and, cut to the length limit, as the description of the run."""
        client = self.registry.client
        client.log_text(self.run_id, markdown, "report.md")
        lead = leading(client.get_run(self.run_id).data.metrics)
        night, nights = night_page(self.registry.experiment_id, self.run_id, lead), nights_page(self.registry.experiment_id)
        links = f"[Compare with champion and baselines]({night[1:]}), [compare with other nights]({nights[1:]})"
        client.set_tag(self.run_id, "mlflow.note.content", f"{note(markdown)}\n\n{links}")

    def page_for_owners(self, html: str) -> None:
        """Write the report for the owner of the shop as an artifact."""
        self.registry.client.log_text(self.run_id, html, "report.html")

    def _log(self, values: Mapping[str, float | None], step: int = 0, model_id: str | None = None) -> None:
        now = now_ms()
        metrics = [
            Metric(name, round(value, DIGITS), now, step, model_id=model_id, run_id=self.run_id if model_id else None)
            for name, value in values.items()
            if value is not None
        ]
        for begin in range(0, len(metrics), LARGEST_BATCH):
            self.registry.client.log_batch(self.run_id, metrics=metrics[begin : begin + LARGEST_BATCH])


def log_evaluation(
    night: NightRun,
    rows: Sequence[MetricRow],
    loss: Sequence[float],
    validation_ndcg: Sequence[float | None],
    measured: Measured | None = None,
) -> None:
    """Log the evaluation and the training curves, as metrics and as figures. A failed figure must not end the nightly run."""
    night.metrics(rows)
    night.curves()
    night.log_comparisons(rows)
    night._draw("training", partial(training_curve, loss, validation_ndcg))
    night._draw("segments", partial(segment_bars, rows))
    if measured is not None and measured.rows:
        night._draw("groups", partial(group_bars, rows))
        night._draw("exposure", partial(lorenz_curves, measured.lorenz))
    if measured is not None and len(measured.wanted):
        night._draw("calibration", partial(calibration_bars, measured.interests, measured.wanted, measured.shown))


@contextmanager
def start_night(
    registry: Registry,
    run_name: str,
    params: Mapping[str, Any],
    snapshot: int,
    git_revision: str | None,
    dataset: Mapping[str, Any],
    *,
    flow_run_id: str | None = None,
    lake_uri: str = "lake",
) -> Iterator[NightRun]:
    """The run of one night: FINISHED at the end of the block, FAILED after an error, KILLED after an interruption.

    run_name: the name of the flow run in Prefect. params: nested settings; only the groups that define data and model are logged.
    dataset: n_events, n_users, n_items, since, until of the snapshot.
    """
    end_dead_runs(registry)
    client, started = registry.client, time.monotonic()
    tags = {
        "mlflow.source.name": MINE,
        "mlflow.source.type": "JOB",
        f"{MINE}.cadence": NIGHTLY,
        f"{MINE}.snapshot": snapshot,
        f"{MINE}.process": _this_process(),
        f"{MINE}.flow_run_id": flow_run_id,
        "mlflow.source.git.commit": git_revision,
    }
    known = {name: str(value) for name, value in tags.items() if value is not None}
    run_id = client.create_run(registry.experiment_id, run_name=run_name, tags=known).info.run_id
    shown = {"mlflow.note.content": f"Training of {run_name}, in progress.", f"{MINE}.process": _this_process(), PARENT: run_id}
    training_id = client.create_run(registry.experiment_id, run_name="training", tags=shown).info.run_id
    status = "FAILED"
    try:
        client.set_tag(run_id, NIGHT, run_id)
        log_params(client, run_id, of_data_and_model(params, {"snapshot": snapshot, **dataset}))
        client.log_inputs(run_id, [_lake_input(lake_uri, snapshot, dataset)])
        night = NightRun(registry, run_id, run_name, snapshot, training_id)
        yield night
        night._log({"seconds": round(time.monotonic() - started, 1), "peak_mib": peak_mib()})
        status = "FINISHED"
    except Exception as error:
        client.set_tag(run_id, f"{MINE}.error", visible(without_secrets(f"{type(error).__name__}: {error}"))[:LONGEST_PARAM])
        raise
    except BaseException:
        status = "KILLED"
        raise
    finally:
        client.set_terminated(run_id, status)
        client.set_terminated(training_id, status)
        if status == "FINISHED":  # its curves were copied to the night's run; after a failure the child run keeps them
            client.delete_run(training_id)


def _lake_input(lake_uri: str, snapshot: int, dataset: Mapping[str, Any]) -> DatasetInput:
    """The snapshot as an MLflow dataset, with the snapshot number as its digest."""
    source = {"uri": without_secrets(lake_uri), "snapshot": snapshot, "read with": f"raw.events at (version => {snapshot})"}
    entity = DatasetEntity("raw.events", str(snapshot), "ducklake", json.dumps(source), profile=json.dumps(dict(dataset), default=str))
    return DatasetInput(entity, [InputTag("mlflow.data.context", "training")])


def end_dead_runs(registry: Registry) -> tuple[str, ...]:
    """End the runs of dead processes as KILLED; returns their names."""
    tag = f"{MINE}.process"
    dead = [run for run in running_runs(registry) if tag in run.data.tags and _is_dead(run.data.tags[tag], run.info.start_time)]
    for run in dead:
        registry.client.set_terminated(run.info.run_id, "KILLED")
    return tuple(run.info.run_name for run in dead)


def _this_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def _started(pid: int) -> str:
    """Start time of a process in ticks, which distinguishes it from a later process with the same id; empty if unknown."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _is_dead(process: str, start_ms: int) -> bool:
    """Whether the process of a run is dead; a process on another host counts as alive for a day."""
    host, pid, started = process.rsplit(":", 2)
    if host != socket.gethostname():
        return now_ms() - start_ms > DEAD_AFTER_HOURS * 3_600_000
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return _started(int(pid)) != started


def register(night: NightRun, checkpoint_folder: Path, rows: Sequence[MetricRow], example: Sequence[Mapping[str, Any]]) -> str:
    """Register a checkpoint as the new `challenger`; returns its version.

    rows: the evaluation; the model's own metrics over all events become tags of the version. example: two histories of
    item_ids, event_types and occurred_at, saved with the model as its input example.
    """
    registry, client = night.registry, night.registry.client
    before = [str(found.version) for found in all_versions(registry) if found.run_id == night.run_id]
    if before:  # a retry: the first attempt already created the version
        client.set_registered_model_alias(registry.model_name, CHALLENGER, before[0])
        return before[0]
    figures = figures_of(rows, MINE)
    tags = {
        "cadence": NIGHTLY,
        "snapshot": str(night.snapshot),
        DIGEST: digest_of(checkpoint_folder),
        **{name: f"{value:.6f}" for name, value in figures.items()},
    }
    model = client.create_logged_model(registry.experiment_id, registry.model_name, night.run_id, tags=tags, model_type="recommender")
    with tempfile.TemporaryDirectory(prefix=MINE) as folder:
        packed = Path(folder) / "model"
        pack(model, night.run_id, checkpoint_folder, example, packed)
        client.log_model_artifacts(model.model_id, str(packed))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(night.run_id, [LoggedModelOutput(model.model_id, step=0)])
    night._log(figures, model_id=model.model_id)
    mlflow.set_tracking_uri(registry.tracking_uri)  # MLflow resolves `models:/` with the tracking URI of the process
    version = client.create_model_version(
        *(registry.model_name, f"models:/{model.model_id}", night.run_id), tags=tags, model_id=model.model_id
    ).version
    client.set_registered_model_alias(registry.model_name, CHALLENGER, version)
    return str(version)
