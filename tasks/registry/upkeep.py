"""What must not stay in the registry: the remains of killed nights, and versions that are too many.

A night that was killed leaves one of these, and `reconcile` at the start of the next one mends it:

| killed                        | left behind                            | mended by                                        |
| ----------------------------- | -------------------------------------- | ------------------------------------------------ |
| while training                | a run that claims to be running        | the run is ended as KILLED                       |
| while the model was saved     | a logged model without a version       | it is deleted, files included                    |
| before the gate               | a version with the alias `challenger`  | the next version takes the alias; `prune`        |
| within or after the promotion | a champion that nobody published       | `Reconciled.unpublished` says so: publish it     |
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
    """What killed nights had left behind; unpublished is the champion if what is live does not go back to it."""

    ended_runs: tuple[str, ...]
    deleted_models: tuple[str, ...]
    unpublished: str | None

    @property
    def messages(self) -> list[str]:
        """A sentence for each kind of thing found; empty after a night that came to its end."""
        found = {
            f"run {', '.join(self.ended_runs)} was killed; it is ended": self.ended_runs,
            f"{len(self.deleted_models)} half-saved models are deleted": self.deleted_models,
            f"version {self.unpublished} became the champion, but was not published; this night publishes": self.unpublished,
        }
        return [text for text, is_there in found.items() if is_there]


def reconcile(registry: Registry, live_version: str | None) -> Reconciled:
    """Mend what killed nights left behind.

    live_version: the model version of the newest row of recs.publications. Where the champion alias was lost, the version
    that the live one goes back to gets it again.
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
    """Delete logged models that no version names, unless their run still goes on."""
    running = {run.info.run_id for run in running_runs(registry)}
    registered = {model_id_of(found) for found in all_versions(registry)}
    orphans = [model for model in logged_models(registry) if model.model_id not in registered and model.source_run_id not in running]
    for model in orphans:
        delete_model(registry.client, model)
    return tuple(model.model_id for model in orphans)


def prune(registry: Registry, keep: int, spare: Collection[str] = (), *, cadence: str = "nightly") -> list[str]:
    """Delete versions of a cadence without an alias, files included, but for the newest `keep` and those to spare; gives the deleted.

    What a kept version with an alias goes back to is spared too.
    """
    every, named = all_versions(registry), aliases(registry).values()
    held = {*named, *spare, *(found.tags.get(CHAMPION) for found in every if str(found.version) in named)}
    newest_first = sorted((found for found in every if cadence_of(found) == cadence), key=lambda found: int(found.version), reverse=True)
    doomed = [found for found in newest_first[keep:] if str(found.version) not in held]
    delete_versions(registry, doomed)
    return [str(found.version) for found in doomed]


def delete_versions(registry: Registry, doomed: Sequence[ModelVersion]) -> None:
    """Delete versions, files included. The files go first: killed in between, the next call still finds the version."""
    models = {model.model_id: model for model in logged_models(registry)} if doomed else {}
    for found in doomed:
        shutil.rmtree(registry.downloads / model_id_of(found), ignore_errors=True)
        if model_id_of(found) in models:
            delete_model(registry.client, models[model_id_of(found)])
        registry.client.delete_model_version(registry.model_name, str(found.version))


def delete_model(client: MlflowClient, model: LoggedModel) -> None:
    """Files first. They lie in the folder `artifacts` of the model's own folder, which goes too."""
    own = model.artifact_location.removesuffix("/artifacts")
    location = own if own.endswith(model.model_id) else model.artifact_location
    get_artifact_repository(location, client.tracking_uri).delete_artifacts()
    client.delete_logged_model(model.model_id)
