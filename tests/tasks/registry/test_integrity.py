"""Damaged files of a version are detected at load, and the version is marked and skipped."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from tasks.registry.day_run import open_day
from tasks.registry.errors import DamagedError, RegistryError
from tasks.registry.increments import find_live, register_increment
from tasks.registry.integrity import DAMAGED
from tasks.registry.upkeep import reconcile
from tasks.registry.versions import Registry, aliases, champion, find_version, promote
from tests.tasks.fruits import save_checkpoint

Damage = Callable[[Path], object]


def cut(folder: Path) -> None:
    (folder / "live.safetensors").write_bytes((folder / "live.safetensors").read_bytes()[:1000])


def alter(folder: Path) -> None:
    weights = bytearray((folder / "live.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "live.safetensors").write_bytes(weights)


def rename_items(folder: Path) -> None:
    described = json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))
    described["item_ids"] = described["item_ids"][::-1]
    (folder / "checkpoint.json").write_text(json.dumps(described), encoding="utf-8")


DAMAGES: dict[str, Damage] = {
    "cut": cut,
    "altered by a bit": alter,
    "other item ids": rename_items,
    "without checkpoint": lambda folder: (folder / "checkpoint.json").unlink(),
    "without MLmodel": lambda folder: (folder.parents[1] / "MLmodel").unlink(),
    "MLmodel is garbage": lambda folder: (folder.parents[1] / "MLmodel").write_text("\x00: ["),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_version_is_marked_and_not_loaded(registry: Registry, register_one: Callable[[], str], damage: Damage) -> None:
    version = register_one()
    damage(find_version(registry, version).checkpoint_folder)
    with pytest.raises(DamagedError, match=f"version {version} is damaged|version {version} of .* is damaged"):
        find_version(registry, version)
    tags = registry.client.get_model_version(registry.model_name, version).tags
    assert "is damaged" in tags[DAMAGED]


def test_a_damaged_champion_is_replaced_by_the_previous_champion(registry: Registry, register_one: Callable[[], str]) -> None:
    first, second, refused = register_one(), register_one(), register_one()
    promote(registry, first)
    promote(registry, second)
    cut(find_version(registry, second).checkpoint_folder)
    found = champion(registry)
    assert found is not None
    assert found.version == first
    assert aliases(registry)["champion"] == first
    cut(found.checkpoint_folder)
    assert champion(registry) is None, f"version {refused} never passed the gate"
    assert "champion" not in aliases(registry)
    reconcile(registry, first)
    assert "champion" not in aliases(registry), "a damaged version does not get the alias back"


def test_a_damaged_live_version_is_replaced_by_the_newest_intact_version(
    registry: Registry, register_one: Callable[[], str], tmp_path: Path
) -> None:
    night = register_one()
    promote(registry, night)
    day = open_day(registry, date(2026, 11, 21), night)
    parent = find_version(registry, night)
    older, live = (register_increment(day, save_checkpoint(tmp_path / f"{n}"), parent, 2 + n) for n in range(2))
    alter(live.checkpoint_folder)
    found, anchor = find_live(registry, live.version)
    assert (found.version, anchor.version) == (older.version, night)
    cut(parent.checkpoint_folder)
    found, anchor = find_live(registry, live.version)
    assert (found.version, anchor.version) == (older.version, older.version)
    cut(older.checkpoint_folder)
    with pytest.raises(RegistryError, match="no other version is intact: run `minutehand nightly`"):
        find_live(registry, live.version)
