"""Upkeep of the registry: what it deletes, what it repairs, and what it keeps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tasks.registry.increments import reconcile_live
from tasks.registry.night_run import start_night
from tasks.registry.upkeep import prune, reconcile
from tasks.registry.versions import Registry, aliases, all_versions, find_version, model_id_of, promote, unpublished_snapshot


def test_an_unregistered_model_of_a_running_night_is_not_deleted(registry: Registry) -> None:
    with start_night(registry, "night", {}, 1, None, {}) as night:
        model = registry.client.create_logged_model(registry.experiment_id, "half", night.run_id)
        assert reconcile(registry, None).deleted_models == ()
    assert reconcile(registry, None).deleted_models == (model.model_id,)
    assert reconcile(registry, None).deleted_models == ()


def test_pruning_deletes_old_versions_with_their_files_and_keeps_versions_in_use(
    registry: Registry, register_one: Callable[[], str], store: Path
) -> None:
    made = [register_one() for _ in range(6)]
    promote(registry, made[0])
    promote(registry, made[1])
    assert prune(registry, keep=2, spare={made[2]}) == [made[3]]
    assert len(list((store / registry.model_name / "models").iterdir())) == 5
    assert prune(registry, keep=2, spare={made[2]}) == []
    assert prune(registry, keep=0) == [made[4], made[2]]
    assert reconcile(registry, made[1]).deleted_models == ()


def test_a_killed_deletion_has_already_deleted_the_downloaded_files(
    registry: Registry, register_one: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        register_one()
    half = registry.client.create_logged_model(registry.experiment_id, "half", tags={"cadence": "minute"}).model_id
    downloaded = [registry.downloads / model_id for model_id in (*map(model_id_of, all_versions(registry)), half)]
    for folder in downloaded:
        folder.mkdir(parents=True)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(MlflowClient, "delete_logged_model", die)
    with pytest.raises(KeyboardInterrupt):
        prune(registry, keep=1)
    with pytest.raises(KeyboardInterrupt):
        reconcile_live(registry, "2", lambda _: False)
    assert [folder.exists() for folder in downloaded] == [True, False, False]


def test_an_unpublished_champion_is_reported_until_it_is_published(registry: Registry, register_one: Callable[[], str]) -> None:
    first, second = register_one(), register_one()
    promote(registry, first)
    promote(registry, second)
    assert reconcile(registry, first).unpublished == second
    assert reconcile(registry, second).unpublished is None
    assert reconcile(registry, None).unpublished == second


def test_an_unpublished_champion_needs_the_snapshots_from_its_own_on(registry: Registry, register_one: Callable[[], str]) -> None:
    first, second = register_one(), register_one()
    assert unpublished_snapshot(registry, None) is None
    promote(registry, first)
    promote(registry, second)
    its_own = int(find_version(registry, second).tags["snapshot"])
    assert unpublished_snapshot(registry, first) == its_own
    assert unpublished_snapshot(registry, None) == its_own
    assert unpublished_snapshot(registry, second) is None


def test_a_lost_champion_alias_is_restored_to_the_live_version(registry: Registry, register_one: Callable[[], str]) -> None:
    version = register_one()
    reconcile(registry, "77")
    assert "champion" not in aliases(registry)
    reconcile(registry, version)
    assert aliases(registry)["champion"] == version
