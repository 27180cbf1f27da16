"""Models that were moved to another database and folder are the same versions, and new ones get the next number."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from models.version import checkpoint as checkpoints
from tasks.registry.errors import RegistryError
from tasks.registry.moving import Models, move_models
from tasks.registry.night_run import register, start_night
from tasks.registry.versions import Registry, find_version, open_registry, promote
from tests.tasks.fruits import EXAMPLE, ROWS


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Models:
    artifacts = (tmp_path / "there").as_uri()
    if request.param == "sqlite":
        return Models(f"sqlite:///{tmp_path / 'there' / 'mlflow.db'}", artifacts)
    server, name = f"127.0.0.1:{request.getfixturevalue('postgres_port')}", f"mlflow_{abs(hash(str(tmp_path)))}"
    subprocess.run(["psql", "-q", f"postgresql://minutehand@{server}/postgres", "-c", f"create database {name}"], check=True)
    return Models(f"postgresql+psycopg://minutehand@{server}/{name}", artifacts)


@pytest.mark.slow
def test_moved_models_keep_their_versions_and_files_and_the_next_night_adds_one(
    registry: Registry, register_one: Callable[[], str], checkpoint: Path, target: Models, tmp_path: Path
) -> None:
    promote(registry, register_one())
    kept = find_version(registry, "1")
    moved = move_models(registry.tracking_uri, target, registry.model_name)
    assert (moved.n_versions, moved.n_copied) == (1, moved.n_files)
    assert move_models(registry.tracking_uri, target, registry.model_name).n_copied == 0
    there = open_registry(target.store, registry.model_name, tmp_path / "there")
    found = find_version(there, "1")
    assert (found.run_id, found.tags) == (kept.run_id, kept.tags)
    assert tmp_path / "there" in found.checkpoint_folder.parents
    ours, theirs = (checkpoints.load(each.checkpoint_folder).catalog.item_ids for each in (kept, found))
    assert ours == theirs
    with start_night(there, "night", {}, 1, None, {}) as night:
        assert register(night, checkpoint, ROWS, EXAMPLE) == "2"
    with pytest.raises(RegistryError, match="has 2 runs that this home has not"):
        move_models(registry.tracking_uri, target, registry.model_name)
