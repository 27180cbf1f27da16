"""Increments: the small versions of minute runs, descended from a nightly champion, and the repair after a killed run.

The newest row of recs.publications names the live version; the alias `live` follows it. Callers hold the publishing lock,
so one process runs this code at a time. `reconcile_live` repairs the leftovers of a killed minute run:

| killed                                 | left behind                       | repair                                          |
| -------------------------------------- | --------------------------------- | ----------------------------------------------- |
| while saving the increment             | a logged model without a version  | it is deleted with its files                    |
| before publishing its lists            | a version newer than the live one | it is deleted; the next run learns its events   |
| after publishing its lists             | an alias one version behind       | the alias is set                                |
| before logging its metrics             | a gap in the curves               | `Day.metrics` logs the rows of eval.prequential |
| before logging them, and the day ended | a gap at the end of that day      | `close_days` logs them, then ends the run       |
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import mlflow
from mlflow.entities import LoggedModel, LoggedModelOutput
from mlflow.models import Model
from mlflow.utils.file_utils import local_file_uri_to_path

from models.online.gate import UpdateDecision
from models.results import MetricRow
from tasks.registry.day_run import MINUTE, Day
from tasks.registry.errors import DamagedError
from tasks.registry.integrity import DIGEST, digest_of
from tasks.registry.names import CHAMPION, EXPERIMENT, LIVE, leading, moment_name
from tasks.registry.upkeep import delete_model, delete_versions, prune
from tasks.registry.versions import (
    Registry,
    RegistryError,
    Version,
    aliases,
    all_versions,
    cadence_of,
    find_version,
    logged_models,
    model_id_of,
    newest_whole,
)
from tasks.watermarks import Watermarks

logger = logging.getLogger("minutehand.registry")


@dataclass(frozen=True)
class Repairs:
    """Repairs after a killed minute run."""

    deleted_versions: tuple[str, ...]
    deleted_models: tuple[str, ...]
    alias_was: str | None

    @property
    def messages(self) -> list[str]:
        """One sentence per kind of repair."""
        found = {
            f"deleted unpublished version {', '.join(self.deleted_versions)}; its events are learnt again": self.deleted_versions,
            f"deleted {len(self.deleted_models)} partly saved increments": self.deleted_models,
            f"moved the alias `{LIVE}` from version {self.alias_was} to the live version": self.alias_was,
        }
        return [text for text, is_there in found.items() if is_there]


def register_increment(
    day: Day, checkpoint_folder: Path, parent: Version, snapshot: int, tags: Mapping[str, object] | None = None, reason: str = ""
) -> Version:
    """Register a checkpoint as an increment of its parent. If artifacts are on this machine, the folder is moved, not copied.

    snapshot: the weights include the events up to it. reason: the verdict of the gate. The increment has the code, signature and
    requirements of its parent, and its own checkpoint. It has no alias yet.
    """
    registry, client = day.registry, day.registry.client
    known = {"cadence": MINUTE, "parent": parent.version, CHAMPION: parent.champion, "snapshot": snapshot, **(tags or {})}
    known[DIGEST] = digest_of(checkpoint_folder)
    texts = {name: str(value) for name, value in known.items()}
    model = client.create_logged_model(registry.experiment_id, registry.model_name, day.run_id, tags=texts, model_type="recommender")
    is_here = model.artifact_location.startswith(("file:", "/"))
    target = Path(local_file_uri_to_path(model.artifact_location)) if is_here else registry.downloads / model.model_id
    _pack(model, day.run_id, checkpoint_folder, _folder(parent), target)
    if not is_here:
        client.log_model_artifacts(model.model_id, str(target))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(day.run_id, [LoggedModelOutput(model.model_id, step=0)])
    mlflow.set_tracking_uri(registry.tracking_uri)  # MLflow resolves `models:/` with the tracking URI of the process
    version = client.create_model_version(
        *(registry.model_name, f"models:/{model.model_id}", day.run_id),
        tags=texts,
        model_id=model.model_id,
        description=f"accepted: {reason or 'not checked'}; {moment_name(MINUTE, datetime.now(UTC))}, based on version {parent.version}",
    ).version
    return Version(str(version), day.run_id, target / "artifacts" / "checkpoint", texts)


def keep(
    day: Day, verdict: UpdateDecision, save: Callable[[], None], folder: Path, parent: Version, before: Watermarks, snapshot: int
) -> tuple[Version, Watermarks]:
    """Register the update learnt up to a snapshot; returns the version to publish and the watermarks after its publish.

    save: writes the checkpoint to the folder. If the gate discards the update, the version is the parent, and the events stay due.
    """
    if not verdict.passed:
        figures = "\n".join(f"- {name}: {value:.6g}" for name, value in verdict.figures.items())
        day.discarded(datetime.now(UTC), f"Version {parent.version} stays live, and the events stay due: {verdict.reason}\n\n{figures}\n")
        return parent, Watermarks(snapshot, before.learnt)
    save()
    return register_increment(day, folder, parent, snapshot, verdict.figures, verdict.reason), Watermarks(snapshot, snapshot)


def describe_minute(version: Version, verdict: UpdateDecision, rows: Sequence[MetricRow], n_users: int) -> str:
    """One line about a minute run."""
    lead = leading({row.metric for row in rows if row.segment == "all"})
    overall = [row for row in rows if (row.segment, row.metric) == ("all", lead) and row.value is not None]
    figures = ", ".join(f"{row.model} {row.value:.4f}" for row in overall)
    predicted = f"{overall[0].n_events} new events (NDCG@10 before they were learnt: {figures})" if overall else "no new event"
    outcome = verdict.reason if verdict.passed else f"THE UPDATE IS DISCARDED: {verdict.reason}"
    return f"{predicted}; {outcome}; {n_users} lists by version {version.version}"


def publish_alias(registry: Registry, version: str) -> str | None:
    """Set the alias `live` to a version; returns its previous version, or None if nothing changed."""
    now = aliases(registry).get(LIVE)
    if now == version:
        return None
    registry.client.set_registered_model_alias(registry.model_name, LIVE, version)
    return now


def follow_experiment(registry: Registry, version: str | None) -> None:
    """Set the alias of the version that makes the lists of an experiment's challenger; None deletes it."""
    now = aliases(registry).get(EXPERIMENT)
    if version is None and now is not None:
        registry.client.delete_registered_model_alias(registry.model_name, EXPERIMENT)
    elif version is not None and now != version:
        registry.client.set_registered_model_alias(registry.model_name, EXPERIMENT, version)


def find_live(registry: Registry, version: str) -> tuple[Version, Version]:
    """The live version and the champion that it descends from.

    A damaged live version is replaced by the newest intact version, a damaged champion by the live version. Raises RegistryError if no
    version is intact.
    """
    try:
        live = find_version(registry, version)
    except DamagedError as error:
        successor = newest_whole(registry, lambda found: str(found.version) != version)
        if successor is None:
            raise RegistryError(f"{error}; no other version is intact: run `minutehand nightly` to make one") from error
        logger.warning("%s; version %s replaces it, and learns its events again", error, successor.version)
        live = successor
    if live.champion == live.version:
        return live, live
    try:
        return live, find_version(registry, live.champion)
    except DamagedError as error:
        logger.warning("%s; updates are kept close to version %s instead", error, live.version)
        return live, live


def reconcile_live(registry: Registry, live_version: str, is_published: Callable[[str], bool]) -> Repairs:
    """Repair the leftovers of a killed minute run.

    live_version: the version in the newest row of recs.publications. is_published: whether a version is in any row. A newer increment
    without a publication is an orphan: only the lock holder, our caller, could publish it.
    """
    known = all_versions(registry)
    if live_version not in {str(found.version) for found in known}:
        raise RegistryError(
            f"version {live_version} made the lists, but is not in the registry; restore it, or run `minutehand nightly` to make another"
        )
    newer = [found for found in known if cadence_of(found) == MINUTE and int(found.version) > int(live_version)]
    unpublished = [found for found in newer if not is_published(str(found.version))]
    delete_versions(registry, unpublished)
    registered = {model_id_of(found) for found in known}
    orphans = [model for model in logged_models(registry) if model.tags.get("cadence") == MINUTE and model.model_id not in registered]
    for model in orphans:
        shutil.rmtree(registry.downloads / model.model_id, ignore_errors=True)
        delete_model(registry.client, model)
    was = publish_alias(registry, live_version)
    return Repairs(tuple(str(found.version) for found in unpublished), tuple(model.model_id for model in orphans), was)


def prune_increments(registry: Registry, keep: int, live_version: str, spare: Collection[str] = ()) -> list[str]:
    """Delete all increments except the newest `keep`, the live one, those in spare and those with an alias; returns those deleted."""
    return prune(registry, keep, {live_version, *spare}, cadence=MINUTE)


def _folder(version: Version) -> Path:
    """The packed model that contains a version's checkpoint."""
    return next(folder for folder in version.checkpoint_folder.parents if (folder / "MLmodel").is_file())


def _pack(model: LoggedModel, run_id: str, checkpoint_folder: Path, parent: Path, target: Path) -> None:
    """Pack a checkpoint like its parent; all other files are hard links to the parent's files."""
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
    """Hard-link a file, or copy it if the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
