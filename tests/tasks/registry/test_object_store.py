"""Model versions whose files are in an object store: the files on this machine are only a cache."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tasks import store
from tasks.registry.errors import DamagedError
from tasks.registry.night_run import register, start_night
from tasks.registry.upkeep import prune
from tasks.registry.versions import Registry, artifact_location, find_version, open_registry
from tasks.store import Bucket
from tasks.store import environment as store_environment
from tests.stores import names
from tests.tasks.fruits import EXAMPLE, ROWS

pytestmark = pytest.mark.extras


@pytest.fixture
def registry(store: Path, bucket: Bucket, tmp_path: Path, request: pytest.FixtureRequest) -> Registry:
    os.environ.update(store_environment(bucket.config))  # the fixture home takes it out again
    return open_registry(f"sqlite:///{store / 'mlflow.db'}", request.node.name, tmp_path / "artifacts", f"{bucket}mlflow/")


def registered(registry: Registry, checkpoint: Path) -> str:
    with start_night(registry, "night", {}, 1, None, {}) as night:
        return register(night, checkpoint, ROWS, EXAMPLE)


def test_a_version_is_kept_in_the_store_and_found_again_without_its_cache(registry: Registry, checkpoint: Path, bucket: Bucket) -> None:
    version = registered(registry, checkpoint)
    assert artifact_location(registry) == f"{bucket}mlflow"
    first = find_version(registry, version).checkpoint_folder
    assert first.is_relative_to(registry.downloads)
    shutil.rmtree(registry.downloads)
    assert find_version(registry, version).checkpoint_folder == first
    assert not [path for path in registry.downloads.parent.iterdir() if path.name != "downloads"]


def test_a_cache_that_differs_is_fetched_again_and_objects_that_differ_are_damage(
    registry: Registry, checkpoint: Path, bucket: Bucket
) -> None:
    version = registered(registry, checkpoint)
    cached = find_version(registry, version).checkpoint_folder / "checkpoint.json"
    whole = cached.read_bytes()
    cached.write_bytes(b"{}")
    assert find_version(registry, version).checkpoint_folder.joinpath("checkpoint.json").read_bytes() == whole
    (name,) = (name for name in names(bucket) if name.endswith("checkpoint.json"))
    store.write(bucket, name, b"{}")
    cached.write_bytes(b"{}")
    with pytest.raises(DamagedError, match="changed since registration"):
        find_version(registry, version)


def test_pruning_deletes_the_objects_of_a_version_and_its_cache(registry: Registry, checkpoint: Path, bucket: Bucket) -> None:
    first, second = registered(registry, checkpoint), registered(registry, checkpoint)
    find_version(registry, first)
    before = len([name for name in names(bucket) if name.endswith("checkpoint.json")])
    assert prune(registry, 1) == [first]
    assert (before, len([name for name in names(bucket) if name.endswith("checkpoint.json")])) == (2, 1)
    assert list(registry.downloads.iterdir()) == []
    find_version(registry, second)
