"""Removes leftovers of interrupted nights and prunes old model versions.

`reconcile`, at the start of each nightly run, repairs the leftovers of a killed one:

| killed                        | left behind                            | repair                                           |
| ----------------------------- | -------------------------------------- | ------------------------------------------------ |
| while training                | a run with the status RUNNING          | the run is ended as KILLED                       |
| while the model was saved     | a logged model without a version       | it is deleted with its files                     |
| before the gate               | a version with the alias `challenger`  | the next version takes the alias; `prune`        |
| within or after the promotion | an unpublished champion                | `Reconciled.unpublished` names it; publish it    |
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities import LoggedModel
from mlflow.entities.model_registry import ModelVersion
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from tasks.registry.integrity import DAMAGED
from tasks.registry.night_run import end_dead_runs
from tasks.registry.versions import CHAMPION, Registry, aliases, all_versions, cadence_of, logged_models, model_id_of, running_runs


@dataclass(frozen=True)
class Reconciled:
    """Repairs after killed nights; unpublished: the champion, if the live version does not descend from it."""

    ended_runs: tuple[str, ...]
    deleted_models: tuple[str, ...]
    unpublished: str | None

    @property
    def messages(self) -> list[str]:
        """One sentence per kind of repair; empty after a night that finished."""
        found = {
            f"ended run {', '.join(self.ended_runs)}, whose process was killed": self.ended_runs,
            f"deleted {len(self.deleted_models)} partly saved models": self.deleted_models,
            f"version {self.unpublished} became the champion, but was not published; this night publishes": self.unpublished,
        }
        return [text for text, is_there in found.items() if is_there]


def reconcile(registry: Registry, live_version: str | None) -> Reconciled:
    """Repair the leftovers of killed nights.

    live_version: the model version in the newest row of recs.publications. If the champion alias is missing, the version that
    the live one descends from gets it again.
    """
    ended = end_dead_runs(registry)
    deleted = _delete_unregistered(registry)
    now = aliases(registry).get(CHAMPION)
    known = all_versions(registry)
    origins = {str(found.version): found.tags.get(CHAMPION, str(found.version)) for found in known if DAMAGED not in found.tags}
    origin = None if live_version is None else origins.get(live_version, live_version)
    if now is None and origin in origins:
        registry.client.set_registered_model_alias(registry.model_name, CHAMPION, origin)
        now = origin
    return Reconciled(ended, deleted, now if now != origin else None)


def _delete_unregistered(registry: Registry) -> tuple[str, ...]:
    """Delete logged models without a version, unless their run is still running."""
    running = {run.info.run_id for run in running_runs(registry)}
    registered = {model_id_of(found) for found in all_versions(registry)}
    orphans = [model for model in logged_models(registry) if model.model_id not in registered and model.source_run_id not in running]
    for model in orphans:
        delete_model(registry.client, model)
    return tuple(model.model_id for model in orphans)


def prune(registry: Registry, keep: int, spare: Collection[str] = (), *, cadence: str = "nightly") -> list[str]:
    """Delete old versions of a cadence with their files; returns the deleted versions.

    Keeps the newest `keep`, the versions in `spare`, those with an alias, and the champions that those with an alias descend from.
    """
    every, named = all_versions(registry), aliases(registry).values()
    held = {*named, *spare, *(found.tags.get(CHAMPION) for found in every if str(found.version) in named)}
    newest_first = sorted((found for found in every if cadence_of(found) == cadence), key=lambda found: int(found.version), reverse=True)
    outdated = [found for found in newest_first[keep:] if str(found.version) not in held]
    delete_versions(registry, outdated)
    return [str(found.version) for found in outdated]


def delete_versions(registry: Registry, unwanted: Sequence[ModelVersion]) -> None:
    """Delete versions with their files. The files go first: if the process is killed in between, the next call finds the version."""
    models = {model.model_id: model for model in logged_models(registry)} if unwanted else {}
    for found in unwanted:
        shutil.rmtree(registry.downloads / model_id_of(found), ignore_errors=True)
        if model_id_of(found) in models:
            delete_model(registry.client, models[model_id_of(found)])
        registry.client.delete_model_version(registry.model_name, str(found.version))


def delete_model(client: MlflowClient, model: LoggedModel) -> None:
    """Delete a model, its files first. They are in the subfolder `artifacts` of the model's own folder, which is deleted too."""
    own = model.artifact_location.removesuffix("/artifacts")
    location = own if own.endswith(model.model_id) else model.artifact_location
    get_artifact_repository(location, client.tracking_uri).delete_artifacts()
    client.delete_logged_model(model.model_id)
