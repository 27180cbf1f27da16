"""A store that moved with its home reads, writes and deletes only the files of its new location."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from tasks.registry.night_run import register, start_night
from tasks.registry.upkeep import delete_versions
from tasks.registry.versions import Registry, all_versions, find_version, open_registry
from tests.tasks.fruits import EXAMPLE, ROWS


def copy_of(registry: Registry, store: Path, target: Path) -> Registry:
    """A copy of the store and of the files of its model in another folder."""
    target.mkdir(exist_ok=True)
    with closing(sqlite3.connect(store / "mlflow.db")) as source, closing(sqlite3.connect(target / "mlflow.db")) as copied:
        source.backup(copied)
    if not (target / registry.model_name).exists():
        shutil.copytree(store / registry.model_name, target / registry.model_name)
    return open_registry(f"sqlite:///{target / 'mlflow.db'}", registry.model_name, target / registry.model_name)


def test_a_copied_store_reads_writes_and_deletes_only_its_own_files(
    registry: Registry, register_one: Callable[[], str], checkpoint: Path, store: Path, tmp_path: Path
) -> None:
    first = register_one()
    copy = copy_of(registry, store, tmp_path / "copy")
    assert find_version(copy, first).checkpoint_folder.is_relative_to(tmp_path / "copy")
    with start_night(copy, "night", {}, 1, None, {}) as night:
        second = register(night, checkpoint, ROWS, EXAMPLE)
    assert find_version(copy, second).checkpoint_folder.is_relative_to(tmp_path / "copy")
    delete_versions(copy, [found for found in all_versions(copy) if str(found.version) == first])
    assert {str(found.version) for found in all_versions(copy)} == {second}
    assert find_version(registry, first).checkpoint_folder.is_dir()


def test_a_model_with_files_only_at_the_old_location_keeps_its_address(
    registry: Registry, register_one: Callable[[], str], store: Path, tmp_path: Path
) -> None:
    first, second = register_one(), register_one()
    left = find_version(registry, second).checkpoint_folder.relative_to(store)
    shutil.copytree(store / registry.model_name, tmp_path / "copy" / registry.model_name)
    shutil.rmtree(tmp_path / "copy" / left.parents[2])
    copy = copy_of(registry, store, tmp_path / "copy")
    assert find_version(copy, first).checkpoint_folder.is_relative_to(tmp_path / "copy")
    assert find_version(copy, second).checkpoint_folder.is_relative_to(store)


def test_a_store_that_is_not_next_to_the_artifact_folder_keeps_its_addresses(
    registry: Registry, register_one: Callable[[], str], store: Path, tmp_path: Path
) -> None:
    first = register_one()
    elsewhere = tmp_path / "another" / registry.model_name
    elsewhere.mkdir(parents=True)
    opened = open_registry(registry.tracking_uri, registry.model_name, elsewhere)
    assert replace(opened, downloads=registry.downloads) == registry
    assert find_version(opened, first).checkpoint_folder.is_relative_to(store)
