"""Model versions and the runs that made them, in MLflow.

The alias `champion` is the winner of the last night. The newest row of recs.publications says which version is live: the
champion, or an increment that goes back to it (tasks/increments.py); the alias `live` follows that row.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import mlflow
import mlflow.artifacts
import mlflow.pyfunc
from mlflow import MlflowClient
from mlflow.entities import Dataset as DatasetEntity
from mlflow.entities import DatasetInput, InputTag, LoggedModel, LoggedModelOutput, Metric, Param, Run, RunTag, ViewType
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.store.entities import PagedList
from mlflow.utils.file_utils import local_file_uri_to_path

from models.errors import UserError
from models.results import MetricRow
from tasks.mlflow_text import LONGEST_PARAM, flatten, named, note, slug, without_secrets
from tasks.packing import pack

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Found = TypeVar("Found")
CHAMPION, CHALLENGER, PREVIOUS, LIVE = "champion", "challenger", "previous", "live"
MINE = "minutehand"
LARGEST_BATCH = 90
DEAD_AFTER_HOURS = 24


class RegistryError(UserError):
    """The registry cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Registry:
    """An address, not a connection: safe to pass to tasks and processes."""

    tracking_uri: str
    model_name: str
    experiment_id: str
    downloads: Path

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.tracking_uri, self.tracking_uri)


@dataclass(frozen=True)
class Version:
    """A registered model version; checkpoint_folder is on this machine."""

    version: str
    run_id: str
    checkpoint_folder: Path
    tags: Mapping[str, str]

    @property
    def champion(self) -> str:
        """The night's version that this one goes back to: itself, unless it is an increment."""
        return self.tags.get(CHAMPION, self.version)


@dataclass(frozen=True)
class Night:
    """The MLflow run of one night, as an address; every method writes at once."""

    registry: Registry
    run_id: str
    run_name: str
    snapshot: int

    @property
    def page(self) -> str:
        """The run's page, to be put behind the address of an MLflow UI; without the word at its end the menu is that for chatbots."""
        return f"/#/experiments/{self.registry.experiment_id}/runs/{self.run_id}?workflowType=machine_learning"

    def epoch(self, epoch: int, loss: float, validation_ndcg: float | None, seconds: float) -> None:
        """One point of each training curve."""
        values = {"train/loss": loss, "validation/ndcg_at_10": validation_ndcg, "train/epoch_seconds": seconds}
        self._log(values, step=epoch)

    def stage_seconds(self, stage: str, seconds: float) -> None:
        """How long a stage of the flow took."""
        self._log({f"seconds/{slug(stage)}": seconds})

    def metrics(self, rows: Sequence[MetricRow]) -> None:
        """The evaluation, as `model/metric` over all events and `model/metric_segment` within a segment."""
        self._log(named(rows))

    def figures(self, figures: Mapping[str, Figure]) -> None:
        """Figures by name, as PNG."""
        for name, figure in figures.items():
            self.registry.client.log_figure(self.run_id, figure, f"figures/{name}.png", save_kwargs={"dpi": 130})

    def report(self, markdown: str) -> None:
        """The report as an artifact and, cut to what fits there, as the run's description."""
        client = self.registry.client
        client.log_text(self.run_id, markdown, "report.md")
        client.set_tag(self.run_id, "mlflow.note.content", note(markdown))

    def tag(self, tags: Mapping[str, object]) -> None:
        """More about the run, under `minutehand.`."""
        self.registry.client.log_batch(self.run_id, tags=[RunTag(f"{MINE}.{name}", str(value)) for name, value in tags.items()])

    def _log(self, values: Mapping[str, float | None], step: int = 0, model_id: str | None = None) -> None:
        now = now_ms()
        metrics = [
            Metric(name, value, now, step, model_id=model_id, run_id=self.run_id if model_id else None)
            for name, value in values.items()
            if value is not None
        ]
        for begin in range(0, len(metrics), LARGEST_BATCH):
            self.registry.client.log_batch(self.run_id, metrics=metrics[begin : begin + LARGEST_BATCH])


def open_registry(tracking_uri: str, model_name: str, artifact_root: Path | None = None) -> Registry:
    """The registry at an MLflow tracking URI, with its experiment and registered model.

    artifact_root: folder for the artifacts of a new experiment; an MLflow server (http) knows its own. Models of such a
    server are downloaded under it, or under the folder for temporary files where none is given.
    """
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    downloads = (artifact_root or Path(tempfile.gettempdir()) / MINE).resolve() / "downloads"
    try:
        _write_ahead(tracking_uri)
        client = MlflowClient(tracking_uri, tracking_uri)
        is_server = tracking_uri.startswith(("http:", "https:"))
        experiment_id = _open_experiment(client, model_name, None if is_server else artifact_root)
        _open_model(client, model_name)
    except (MlflowException, sqlite3.Error, OSError) as error:
        raise RegistryError(
            f"cannot open the MLflow store at {without_secrets(tracking_uri)}: {error}; "
            "check MINUTEHAND_REGISTRY__TRACKING_URI, and whether the store is up and of this MLflow version"
        ) from error
    return Registry(tracking_uri, model_name, experiment_id, downloads)


def _write_ahead(uri: str) -> None:
    """Readers of a SQLite store, such as the UI, do not wait for its writer, nor it for them."""
    if uri.startswith("sqlite:///"):
        path = Path(uri.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as con:
            con.execute("pragma journal_mode = wal")


def _open_experiment(client: MlflowClient, name: str, artifact_root: Path | None) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        location = artifact_root.resolve().as_uri() if artifact_root else None
        try:
            client.create_experiment(name, artifact_location=location, tags={"mlflow.experimentKind": "custom_model_development"})
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was faster
                raise
        found = client.get_experiment_by_name(name)
    if found is None:
        raise RegistryError(f"MLflow created no experiment {name!r}; choose another name by MINUTEHAND_REGISTRY__MODEL_NAME")
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _open_model(client: MlflowClient, name: str) -> None:
    if not client.search_registered_models(f"name = '{name}'", max_results=1):
        try:
            client.create_registered_model(name, description="Ranks the items a user may want next; `champion` is the live one.")
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


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
) -> Iterator[Night]:
    """The run of one night: FINISHED at the end of the block, FAILED after an error, KILLED after an interruption.

    params: settings, nested as they are. dataset: n_events, n_users, n_items, since, until of the snapshot.
    """
    end_dead_runs(registry)
    client = registry.client
    tags = {
        "mlflow.source.name": MINE,
        "mlflow.source.type": "JOB",
        f"{MINE}.cadence": "nightly",
        f"{MINE}.snapshot": snapshot,
        f"{MINE}.process": _this_process(),
        f"{MINE}.flow_run_id": flow_run_id,
        "mlflow.source.git.commit": git_revision,
    }
    known = {name: str(value) for name, value in tags.items() if value is not None}
    run_id = client.create_run(registry.experiment_id, run_name=run_name, tags=known).info.run_id
    status = "FAILED"
    try:
        log_params(client, run_id, flatten(params))
        client.log_inputs(run_id, [_lake_input(lake_uri, snapshot, dataset)])
        yield Night(registry, run_id, run_name, snapshot)
        status = "FINISHED"
    except Exception as error:
        client.set_tag(run_id, f"{MINE}.error", f"{type(error).__name__}: {error}"[:LONGEST_PARAM])
        raise
    except BaseException:
        status = "KILLED"
        raise
    finally:
        client.set_terminated(run_id, status)


def log_params(client: MlflowClient, run_id: str, params: Mapping[str, str]) -> None:
    """Log flattened settings, in batches of the size that MLflow takes."""
    known = [Param(name, text) for name, text in params.items()]
    for begin in range(0, len(known), LARGEST_BATCH):
        client.log_batch(run_id, params=known[begin : begin + LARGEST_BATCH])


def _lake_input(lake_uri: str, snapshot: int, dataset: Mapping[str, Any]) -> DatasetInput:
    """The snapshot as an MLflow dataset whose digest is its number."""
    source = {"uri": without_secrets(lake_uri), "snapshot": snapshot, "read with": f"raw.events at (version => {snapshot})"}
    entity = DatasetEntity("raw.events", str(snapshot), "ducklake", json.dumps(source), profile=json.dumps(dict(dataset), default=str))
    return DatasetInput(entity, [InputTag("mlflow.data.context", "training")])


def end_dead_runs(registry: Registry) -> tuple[str, ...]:
    """End the nights whose process is gone as KILLED; gives their names."""
    tag = f"{MINE}.process"
    dead = [run for run in running_runs(registry) if tag in run.data.tags and _is_dead(run.data.tags[tag], run.info.start_time)]
    for run in dead:
        registry.client.set_terminated(run.info.run_id, "KILLED")
    return tuple(run.info.run_name for run in dead)


def _this_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def _started(pid: int) -> str:
    """When a process started, in ticks; tells it from a later one of the same number. Empty where the system does not say."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _is_dead(process: str, start_ms: int) -> bool:
    """Whether a run's process is gone; one of another machine is believed for a day."""
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


def register(night: Night, checkpoint_folder: Path, rows: Sequence[MetricRow], example: Sequence[Mapping[str, Any]]) -> str:
    """Put a checkpoint into the registry as the new `challenger`; gives its version.

    rows: the evaluation; the model's own figures over all events become tags of the version. example: two histories of
    item_ids, event_types and occurred_at, kept beside the model as its input example.
    """
    registry, client = night.registry, night.registry.client
    before = [str(found.version) for found in versions(registry) if found.run_id == night.run_id]
    if before:  # a second try, after the first lost its way behind this point
        client.set_registered_model_alias(registry.model_name, CHALLENGER, before[0])
        return before[0]
    own = [row for row in rows if row.model == MINE]
    overall = {row.metric: row.value for row in own if row.segment == "all" and row.value is not None}
    tags = {"cadence": "nightly", "snapshot": str(night.snapshot), **{name: f"{value:.6f}" for name, value in overall.items()}}
    model = client.create_logged_model(registry.experiment_id, registry.model_name, night.run_id, tags=tags, model_type="recommender")
    with tempfile.TemporaryDirectory(prefix=MINE) as folder:
        packed = Path(folder) / "model"
        pack(model, night.run_id, checkpoint_folder, example, packed)
        client.log_model_artifacts(model.model_id, str(packed))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(night.run_id, [LoggedModelOutput(model.model_id, step=0)])
    night._log(named(own), model_id=model.model_id)
    mlflow.set_tracking_uri(registry.tracking_uri)  # MLflow looks up `models:/` at the address of the process
    version = client.create_model_version(
        *(registry.model_name, f"models:/{model.model_id}", night.run_id), tags=tags, model_id=model.model_id
    ).version
    client.set_registered_model_alias(registry.model_name, CHALLENGER, version)
    return str(version)


def aliases(registry: Registry) -> dict[str, str]:
    """The version behind each alias."""
    return {alias: str(version) for alias, version in registry.client.get_registered_model(registry.model_name).aliases.items()}


def champion(registry: Registry) -> Version | None:
    """The version that is meant to be live, its checkpoint on this machine; None before the first promotion."""
    version = aliases(registry).get(CHAMPION)
    return None if version is None else find_version(registry, version)


def find_version(registry: Registry, version: str) -> Version:
    """A version with its checkpoint: where it lies if the artifacts are on this machine, else downloaded once."""
    known = {str(found.version): found for found in versions(registry)}
    if version not in known:
        there = ", ".join(sorted(known, key=int)) or "none yet"
        raise RegistryError(f"no version {version!r} of {registry.model_name} (found: {there}); `minutehand status` names the live one")
    found = known[version]
    uri = registry.client.get_model_version_download_uri(registry.model_name, version)
    model = Path(local_file_uri_to_path(uri)) if uri.startswith(("file:", "/")) else _download(registry, found, uri)
    return Version(version, str(found.run_id), model / _checkpoint_in(model, found), dict(found.tags))


def _checkpoint_in(model: Path, found: ModelVersion) -> str:
    """Where the checkpoint lies within the files of a model."""
    what = f"{found.name} version {found.version}"
    if not (model / "MLmodel").is_file():
        raise RegistryError(f"the files of {what} are not in {model}; bring that folder back, or delete the version in MLflow")
    artifacts = Model.load(str(model)).flavors.get("python_function", {}).get("artifacts") or {}
    if "checkpoint" not in artifacts:
        raise RegistryError(f"{what} is no model of minutehand (no checkpoint in {model}); set the alias to another version in MLflow")
    return str(artifacts["checkpoint"]["path"])


def _download(registry: Registry, found: ModelVersion, uri: str) -> Path:
    """The model's files, named by the model, so that a version number used again finds no stranger's; whole or absent."""
    target = registry.downloads / model_id_of(found)
    if not target.exists():
        registry.downloads.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=registry.downloads) as folder:
            path = mlflow.artifacts.download_artifacts(uri, dst_path=folder, tracking_uri=registry.tracking_uri)
            Path(path).rename(target)
    return target


def promote(registry: Registry, version: str, reason: str = "") -> None:
    """Make a version the champion and the champion before it `previous`; there is a champion at every moment."""
    client, name, now = registry.client, registry.model_name, aliases(registry)
    if CHAMPION in now and now[CHAMPION] != version:
        client.set_registered_model_alias(name, PREVIOUS, now[CHAMPION])
    client.set_registered_model_alias(name, CHAMPION, version)
    if now.get(CHALLENGER) == version:
        client.delete_registered_model_alias(name, CHALLENGER)
    _note(registry, version, "promoted", reason)


def refuse(registry: Registry, version: str, reason: str) -> None:
    """Note on a version why it did not become the champion; it stays the challenger until the next one."""
    _note(registry, version, "refused", reason)


def _note(registry: Registry, version: str, outcome: str, reason: str) -> None:
    client = registry.client
    client.set_model_version_tag(registry.model_name, version, "gate", outcome)
    client.update_model_version(registry.model_name, version, f"{outcome}: {reason}" if reason else outcome)


def snapshots(registry: Registry) -> set[int]:
    """The lake snapshots that the versions with an alias were trained on."""
    held = set(aliases(registry).values())
    tags = [found.tags.get("snapshot") for found in versions(registry) if str(found.version) in held]
    return {int(tag) for tag in tags if tag is not None}


def cadence_of(found: ModelVersion) -> str:
    """What made a version: `nightly` or `minute`."""
    return str(found.tags.get("cadence", "nightly"))


def model_id_of(found: ModelVersion) -> str:
    """The logged model behind a version, which MLflow names in its source only."""
    return str(found.source).removeprefix("models:/")


def versions(registry: Registry) -> list[ModelVersion]:
    client, query = registry.client, f"name = '{registry.model_name}'"
    return every_page(lambda token: client.search_model_versions(query, max_results=1000, page_token=token))


def logged_models(registry: Registry) -> list[LoggedModel]:
    client = registry.client
    return every_page(lambda token: client.search_logged_models([registry.experiment_id], page_token=token))


def running_runs(registry: Registry) -> list[Run]:
    client, query = registry.client, "attributes.status = 'RUNNING'"
    return every_page(lambda token: client.search_runs([registry.experiment_id], query, ViewType.ALL, page_token=token))


def every_page(search: Callable[[str | None], PagedList[Found]]) -> list[Found]:
    """All pages of a search."""
    page = search(None)
    found = list(page)
    while page.token:
        page = search(page.token)
        found += page
    return found


def now_ms() -> int:
    return int(time.time() * 1000)
