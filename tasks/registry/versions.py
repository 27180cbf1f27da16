"""Model versions and the runs that made them, in MLflow.

The alias `champion` is the winner of the last night. The newest row of recs.publications says which version is live: the
champion, or an increment that goes back to it (tasks/increments.py); the alias `live` follows that row.
"""

from __future__ import annotations

import logging
import sqlite3
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import mlflow
import mlflow.artifacts
import mlflow.pyfunc
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, Param, Run, ViewType
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.store.entities import PagedList
from mlflow.utils.file_utils import local_file_uri_to_path

from models.errors import without_secrets
from tasks.registry.errors import RegistryError

Found = TypeVar("Found")
CHAMPION, CHALLENGER, PREVIOUS, LIVE = "champion", "challenger", "previous", "live"
MINE = "minutehand"
LARGEST_BATCH = 90


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
            f"cannot open the MLflow store at {without_secrets(tracking_uri)}: {without_secrets(str(error))}; "
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
            client.create_registered_model(
                name, description="Ranks the items a user may want next; `live` makes the lists now, `champion` is that of last night."
            )
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def log_params(client: MlflowClient, run_id: str, params: Mapping[str, str]) -> None:
    """Log flattened settings, in batches of the size that MLflow takes."""
    known = [Param(name, text) for name, text in params.items()]
    for begin in range(0, len(known), LARGEST_BATCH):
        client.log_batch(run_id, params=known[begin : begin + LARGEST_BATCH])


def aliases(registry: Registry) -> dict[str, str]:
    """The version behind each alias. Not by get_registered_model, which loads all versions there ever were, deleted ones included."""
    found = registry.client.search_registered_models(f"name = '{registry.model_name}'", max_results=1)
    return {alias: str(version) for model in found for alias, version in model.aliases.items()}


def champion(registry: Registry) -> Version | None:
    """The version that is meant to be live, its checkpoint on this machine; None before the first promotion."""
    version = aliases(registry).get(CHAMPION)
    return None if version is None else find_version(registry, version)


def find_version(registry: Registry, version: str) -> Version:
    """A version with its checkpoint: where it lies if the artifacts are on this machine, else downloaded once."""
    known = {str(found.version): found for found in all_versions(registry)}
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
    tags = [found.tags.get("snapshot") for found in all_versions(registry) if str(found.version) in held]
    return {int(tag) for tag in tags if tag is not None}


def unpublished_snapshot(registry: Registry, live_version: str | None) -> int | None:
    """The lake snapshot from which a champion will have to learn that no list goes back to; None where the live version does.

    A night that was killed between its promotion and its publish leaves one.
    """
    known = {str(found.version): found for found in all_versions(registry)}
    promoted = aliases(registry).get(CHAMPION)
    live = known.get(live_version or "")
    if promoted is None or (live is not None and live.tags.get(CHAMPION, live_version) == promoted):
        return None
    return int(known[promoted].tags["snapshot"])


def cadence_of(found: ModelVersion) -> str:
    """What made a version: `nightly` or `minute`."""
    return str(found.tags.get("cadence", "nightly"))


def model_id_of(found: ModelVersion) -> str:
    """The logged model behind a version, which MLflow names in its source only."""
    return str(found.source).removeprefix("models:/")


def all_versions(registry: Registry) -> list[ModelVersion]:
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
