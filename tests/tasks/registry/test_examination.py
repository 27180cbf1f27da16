"""Finding damaged versions without MLflow and without a change to its store."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from tasks.registry.day_run import open_day
from tasks.registry.examination import Examined, examine_versions
from tasks.registry.increments import publish_alias, register_increment
from tasks.registry.upkeep import delete_versions
from tasks.registry.versions import Registry, all_versions, find_version, promote
from tests.tasks.fruits import save_checkpoint
from tests.tasks.registry.test_integrity import DAMAGES, Damage, cut

BACKUP = "; restore the folder from a backup to keep it"


def examine(registry: Registry, store: Path, seconds: float = 60.0) -> Examined:
    return examine_versions(store / "mlflow.db", registry.model_name, store / registry.model_name, seconds)


def remedies(registry: Registry, store: Path) -> dict[str, str]:
    """The remedy of each damaged version."""
    return {damage.problem.split()[1]: damage.remedy for damage in examine(registry, store).damages}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_each_kind_of_damage_is_reported_and_nothing_is_written_to_the_store(
    registry: Registry, register_one: Callable[[], str], store: Path, damage: Damage
) -> None:
    whole, damaged = register_one(), register_one()
    assert examine(registry, store) == Examined(2, 2, ())
    damage(find_version(registry, damaged).checkpoint_folder)
    (found,) = examine(registry, store).damages
    assert found.problem.startswith(f"version {damaged} of {registry.model_name} is damaged: ")
    assert (found.remedy, found.stops) == ("nothing to do: it is never loaded, and upkeep will delete it", False)
    assert "damaged" not in registry.client.get_model_version(registry.model_name, damaged).tags
    assert find_version(registry, whole).version == whole


def test_the_remedy_states_the_effect_on_the_next_minute_run_and_the_next_night(
    registry: Registry, register_one: Callable[[], str], store: Path, tmp_path: Path
) -> None:
    first, second, refused = register_one(), register_one(), register_one()
    promote(registry, first)
    promote(registry, second)
    live = register_increment(
        open_day(registry, date(2026, 11, 21), second), save_checkpoint(tmp_path / "1"), find_version(registry, second), 2
    )
    publish_alias(registry, live.version)
    cut(find_version(registry, second).checkpoint_folder)
    expected = {second: f"the next night uses version {first} as the champion{BACKUP}"}
    assert remedies(registry, store) == expected
    cut(find_version(registry, first).checkpoint_folder)
    expected = {second: f"the next night has no champion to compare with{BACKUP}", first: "nothing to do"}
    assert {version: remedy.split(":")[0] for version, remedy in remedies(registry, store).items()} == expected
    cut(live.checkpoint_folder)
    assert remedies(registry, store)[live.version] == f"the next minute run continues with version {refused}{BACKUP}"
    cut(find_version(registry, refused).checkpoint_folder)
    stopping = {damage.problem.split()[1]: damage.remedy for damage in examine(registry, store).damages if damage.stops}
    assert stopping == {live.version: "no other version is intact: restore the folder from a backup, or run `minutehand nightly`"}


def test_a_live_champion_has_both_effects_and_the_champion_of_a_live_increment_has_its_own(
    registry: Registry, register_one: Callable[[], str], store: Path, tmp_path: Path
) -> None:
    first, second = register_one(), register_one()
    promote(registry, first)
    promote(registry, second)
    publish_alias(registry, second)
    cut(find_version(registry, second).checkpoint_folder)
    minute = f"the next minute run continues with version {first}"
    night = f"the next night uses version {first} as the champion"
    assert remedies(registry, store) == {second: f"{minute} and {night}{BACKUP}"}
    live = register_increment(
        open_day(registry, date(2026, 11, 22), first), save_checkpoint(tmp_path / "1"), find_version(registry, first), 2
    )
    publish_alias(registry, live.version)
    cut(find_version(registry, first).checkpoint_folder)
    assert remedies(registry, store)[first] == f"minute runs continue, and keep their updates close to the live version instead{BACKUP}"


def test_deleted_versions_are_left_out_and_the_version_in_use_is_checked_before_time_runs_out(
    registry: Registry, register_one: Callable[[], str], store: Path
) -> None:
    used, *others = (register_one() for _ in range(4))
    promote(registry, used)
    delete_versions(registry, [found for found in all_versions(registry) if str(found.version) == others[0]])
    for version in (used, others[1]):
        cut(find_version(registry, version).checkpoint_folder)
    found = examine(registry, store, seconds=0)
    assert (found.n_versions, found.n_checked, len(found.damages)) == (3, 1, 1)
    assert found.damages[0].problem.startswith(f"version {used} of ")


def test_a_moved_store_is_examined_at_its_new_location(
    registry: Registry, register_one: Callable[[], str], store: Path, tmp_path: Path
) -> None:
    version = register_one()
    checkpoint = find_version(registry, version).checkpoint_folder.relative_to(store)
    moved = tmp_path / "moved"
    shutil.copytree(store / registry.model_name, moved / registry.model_name)
    with closing(sqlite3.connect(store / "mlflow.db")) as source, closing(sqlite3.connect(moved / "mlflow.db")) as copied:
        source.backup(copied)
    cut(moved / checkpoint)
    assert [damage.problem.split()[1] for damage in examine(registry, moved).damages] == [version]
    assert examine(registry, store).damages == ()


def test_a_store_without_models_has_no_damage(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "mlflow.db").close()
    (tmp_path / "mlflow.db").touch()
    assert examine_versions(tmp_path / "mlflow.db", "minutehand", tmp_path / "artifacts", 1) == Examined(0, 0, ())
