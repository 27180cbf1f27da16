"""The live model is loaded from the files that its publication names, and from the registry only where these fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from models.errors import UserError
from tasks.lake import Lake
from tasks.live import load_live
from tasks.publish.night import publish_night
from tasks.publish.publication import Files
from tasks.registry.integrity import digest_of
from tasks.registry.versions import Registry, find_version
from tests.tasks.fruits import ITEMS, save_checkpoint
from tests.tasks.publish.test_night import WEIGHTS, add_events, provenance, ranked, shown


def publish(lake: Lake, version: str, files: Files | None) -> None:
    add_events(lake, ("u", "a", "view", 1))
    publish_night(lake, replace(shown(ranked({"u": [1]}), provenance(lake, version)), checkpoint=files), WEIGHTS)


def no_registry() -> Registry:
    raise AssertionError("the registry was opened")


def test_the_files_of_the_publication_are_loaded_without_the_registry(lake: Lake, tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path / "checkpoint")
    publish(lake, "7", Files(folder, digest_of(folder)))
    version, checkpoint = load_live(lake, no_registry)
    assert (version, checkpoint.catalog.item_ids) == ("7", ITEMS)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["moved away", "changed", "not recorded"])
def test_if_the_files_are_gone_or_changed_the_registry_is_asked(
    lake: Lake, registry: Registry, register_one: Callable[[], str], tmp_path: Path, what: str
) -> None:
    version = register_one()
    folder = save_checkpoint(tmp_path / "checkpoint", seed=8)
    files = Files(folder, digest_of(folder))
    publish(lake, version, None if what == "not recorded" else files)
    if what == "moved away":
        folder.rename(tmp_path / "elsewhere")
    if what == "changed":
        (folder / "live.safetensors").write_bytes(b"nothing")
    asked = iter([registry])
    found, checkpoint = load_live(lake, lambda: next(asked))
    assert (found, list(asked)) == (version, [])
    assert checkpoint.catalog.item_ids == ITEMS
    assert find_version(registry, version).checkpoint_folder.is_dir()


def test_before_the_first_publication_the_command_for_it_is_named(lake: Lake) -> None:
    with pytest.raises(UserError, match="nothing has been published yet; minutehand nightly"):
        load_live(lake, no_registry)
