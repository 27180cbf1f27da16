"""Model versions and their runs in MLflow.

The alias `champion` is the winner of the last night. The newest row of recs.publications names the live version: the
champion, or an increment that descends from it (tasks/registry/increments.py). The alias `live` follows that row.
"""

from __future__ import annotations

import logging
import shutil
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
from mlflow.store.entities import PagedList
from mlflow.utils.file_utils import local_file_uri_to_path

from models.errors import without_secrets
from tasks.registry.errors import DamagedError, RegistryError
from tasks.registry.integrity import DAMAGED, DIGEST, checkpoint_in, demand_whole, may_be_champion
from tasks.registry.moved_store import follow_artifacts
from tasks.registry.names import CHALLENGER, CHAMPION, MINE, NIGHTLY, PREVIOUS
from tasks.registry.pages import views

logger = logging.getLogger("minutehand.registry")
Found = TypeVar("Found")
LARGEST_BATCH, LONGEST_TAG = 90, 500


@dataclass(frozen=True)
class Registry:
    """Address of a registry, not a connection: safe to pass to tasks and processes."""

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
    def digest(self) -> str | None:
        """The digest of the files at registration; None in older versions."""
        return self.tags.get(DIGEST)

    @property
    def champion(self) -> str:
        """The nightly version that this one descends from; itself, unless it is an increment."""
        return self.tags.get(CHAMPION, self.version)


def open_registry(tracking_uri: str, model_name: str, artifact_root: Path | None = None, location: str = "") -> Registry:
    """The registry at an MLflow tracking URI, with its experiment and registered model.

    artifact_root: folder for the artifacts of a new experiment; an MLflow server (http) has its own. location: address in an object
    store for them instead. Models that are not on this machine are downloaded to artifact_root, or to a temporary folder if there is none.
    """
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    downloads = (artifact_root or Path(tempfile.gettempdir()) / MINE).resolve() / "downloads"
    try:
        _open_store(tracking_uri, model_name, artifact_root)
        client = MlflowClient(tracking_uri, tracking_uri)
        is_server = tracking_uri.startswith(("http:", "https:"))
        here = artifact_root.resolve().as_uri() if artifact_root is not None and not is_server else None
        experiment_id = _open_experiment(client, model_name, location.rstrip("/") or here)
        _open_model(client, model_name)
    except (MlflowException, sqlite3.Error, OSError) as error:
        raise RegistryError(
            f"cannot open the MLflow store at {without_secrets(tracking_uri)}: {without_secrets(str(error))}; "
            "check MINUTEHAND_REGISTRY__TRACKING_URI, whether the store is running, and whether it belongs to this MLflow version"
        ) from error
    return Registry(tracking_uri, model_name, experiment_id, downloads)


def _open_store(uri: str, name: str, artifact_root: Path | None) -> None:
    """Prepare a SQLite store: WAL mode, so that readers such as the UI and the writer do not block each other; moved addresses."""
    if uri.startswith("sqlite:///"):
        path = Path(uri.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as con:
            con.execute("pragma journal_mode = wal")
        if artifact_root is not None:
            follow_artifacts(path, name, artifact_root)


def _open_experiment(client: MlflowClient, name: str, location: str | None) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
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
    for tag, view in views().items():
        if found.tags.get(tag) != view:
            client.set_experiment_tag(found.experiment_id, tag, view)
    return str(found.experiment_id)


def _open_model(client: MlflowClient, name: str) -> None:
    if not client.search_registered_models(f"name = '{name}'", max_results=1):
        try:
            client.create_registered_model(
                name, description="Ranks the items a user may want next. `live` makes the current lists, `champion` won last night."
            )
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def log_params(client: MlflowClient, run_id: str, params: Mapping[str, str]) -> None:
    """Log flattened settings, in batches that MLflow accepts."""
    known = [Param(name, text) for name, text in params.items()]
    for begin in range(0, len(known), LARGEST_BATCH):
        client.log_batch(run_id, params=known[begin : begin + LARGEST_BATCH])


def aliases(registry: Registry) -> dict[str, str]:
    """The version of each alias. Avoids get_registered_model, which loads all versions, also deleted ones."""
    found = registry.client.search_registered_models(f"name = '{registry.model_name}'", max_results=1)
    return {alias: str(version) for model in found for alias, version in model.aliases.items()}


def champion(registry: Registry) -> Version | None:
    """The winner of the last night, with its checkpoint on this machine; None before the first promotion.

    If the champion is damaged, it is marked, and the newest intact version that was once promoted gets the alias; None if there is none.
    """
    version = aliases(registry).get(CHAMPION)
    if version is None:
        return None
    try:
        return find_version(registry, version)
    except DamagedError as error:
        successor = newest_whole(registry, lambda found: may_be_champion(found.tags))
        client, name = registry.client, registry.model_name
        if successor is None:
            logger.warning("%s; there is no other champion to compare with", error)
            client.delete_registered_model_alias(name, CHAMPION)
        else:
            logger.warning("%s; version %s is the champion again", error, successor.version)
            client.set_registered_model_alias(name, CHAMPION, successor.version)
        return successor


def newest_whole(registry: Registry, may_be: Callable[[ModelVersion], bool]) -> Version | None:
    """The newest intact version that may_be accepts; damaged versions found on the way are marked."""
    for found in sorted(all_versions(registry), key=lambda found: int(found.version), reverse=True):
        if DAMAGED not in found.tags and may_be(found):
            try:
                return find_version(registry, str(found.version))
            except DamagedError as error:
                logger.warning("%s", error)
    return None


def find_version(registry: Registry, version: str) -> Version:
    """A version with its checkpoint, which is downloaded once if the artifacts are not on this machine.

    If the files are not the registered ones, marks the version and raises DamagedError.
    """
    known = {str(found.version): found for found in all_versions(registry)}
    if version not in known:
        there = ", ".join(sorted(known, key=int)) or "none yet"
        raise RegistryError(f"no version {version!r} of {registry.model_name} (found: {there}); `minutehand status` names the live one")
    found = known[version]
    what = f"version {version} of {registry.model_name}"
    try:
        folder = _whole_checkpoint(registry, what, found)
    except DamagedError as error:
        registry.client.set_model_version_tag(registry.model_name, version, DAMAGED, str(error)[:LONGEST_TAG])
        raise
    return Version(version, str(found.run_id), folder, dict(found.tags))


def _whole_checkpoint(registry: Registry, what: str, found: ModelVersion) -> Path:
    """The checkpoint of a version. A download that differs from the registered files is old or cut, and is repeated once."""
    local = local_model(registry, found)
    model = local or download(registry, found)
    try:
        folder = checkpoint_in(what, model)
        demand_whole(what, folder, found.tags)
    except DamagedError:
        if local is not None:
            raise
        shutil.rmtree(model, ignore_errors=True)
        folder = checkpoint_in(what, download(registry, found))
        demand_whole(what, folder, found.tags)
    return folder


def local_model(registry: Registry, found: ModelVersion) -> Path | None:
    """The folder of a version whose artifacts are on this machine; None if they are elsewhere."""
    uri = address_of(registry, found)
    return Path(local_file_uri_to_path(uri)) if uri.startswith(("file:", "/")) else None


def address_of(registry: Registry, found: ModelVersion) -> str:
    """The address of the artifacts of a version."""
    return str(registry.client.get_model_version_download_uri(registry.model_name, str(found.version)))


def download(registry: Registry, found: ModelVersion) -> Path:
    """Download the model files once, atomically. The folder is named by model id, as version numbers may be reused."""
    target = registry.downloads / model_id_of(found)
    if not target.exists():
        registry.downloads.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=registry.downloads) as folder:
            path = mlflow.artifacts.download_artifacts(
                address_of(registry, found), dst_path=f"{folder}/model", tracking_uri=registry.tracking_uri
            )
            try:
                Path(path).rename(target)
            except OSError:
                if not target.exists():  # else another process was faster
                    raise
    return target


def artifact_location(registry: Registry) -> str:
    """Where the experiment keeps its artifacts."""
    return str(registry.client.get_experiment(registry.experiment_id).artifact_location)


def promote(registry: Registry, version: str, reason: str = "") -> None:
    """Make a version the champion and the old champion `previous`; a champion exists at every moment."""
    client, name, now = registry.client, registry.model_name, aliases(registry)
    if CHAMPION in now and now[CHAMPION] != version:
        client.set_registered_model_alias(name, PREVIOUS, now[CHAMPION])
    client.set_registered_model_alias(name, CHAMPION, version)
    if now.get(CHALLENGER) == version:
        client.delete_registered_model_alias(name, CHALLENGER)
    note(registry, version, "promoted", reason)


def keep_champion(registry: Registry, version: str) -> None:
    """Give the alias `champion` to the version that the live one descends from, if another has it."""
    if aliases(registry).get(CHAMPION) != version:
        registry.client.set_registered_model_alias(registry.model_name, CHAMPION, version)


def refuse(registry: Registry, version: str, reason: str) -> None:
    """Record on a version why it was refused; it stays the challenger until the next one."""
    note(registry, version, "refused", reason)


def keep_as_challenger(registry: Registry, version: str, reason: str) -> None:
    """Record on a version that it passed the gate, but was not to go live."""
    note(registry, version, "passed", reason)


def note(registry: Registry, version: str, outcome: str, reason: str) -> None:
    """Record on a version what became of it."""
    client = registry.client
    client.set_model_version_tag(registry.model_name, version, "gate", outcome)
    client.update_model_version(registry.model_name, version, f"{outcome}: {reason}" if reason else outcome)


def snapshots(registry: Registry) -> set[int]:
    """The training snapshots of all versions with an alias."""
    held = set(aliases(registry).values())
    tags = [found.tags.get("snapshot") for found in all_versions(registry) if str(found.version) in held]
    return {int(tag) for tag in tags if tag is not None}


def unpublished_snapshot(registry: Registry, live_version: str | None) -> int | None:
    """Training snapshot of an unpublished champion, from which it still has to learn; None if the live version descends from the champion.

    A night that is killed between promotion and publish leaves an unpublished champion.
    """
    known = {str(found.version): found for found in all_versions(registry)}
    promoted = aliases(registry).get(CHAMPION)
    live = known.get(live_version or "")
    if promoted is None or (live is not None and live.tags.get(CHAMPION, live_version) == promoted):
        return None
    return int(known[promoted].tags["snapshot"])


def cadence_of(found: ModelVersion) -> str:
    """The kind of run that made a version: `nightly` or `minute`."""
    return str(found.tags.get("cadence", NIGHTLY))


def model_id_of(found: ModelVersion) -> str:
    """Id of the logged model of a version; MLflow has it only in the source."""
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
