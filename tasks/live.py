"""Loads the live model version without MLflow, if its files are where the publication says."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from models.errors import UserError
from models.version import checkpoint as checkpoints
from models.version.checkpoint import Checkpoint
from tasks.lake import Lake
from tasks.publish.pointer import live_files
from tasks.publish.publication import Files
from tasks.registry.errors import DamagedError
from tasks.registry.integrity import DIGEST, demand_whole

if TYPE_CHECKING:
    from tasks.registry.versions import Registry

log = logging.getLogger("minutehand.live")


def load_live(lake: Lake, open_registry: Callable[[], Registry]) -> tuple[str, Checkpoint]:
    """The live version and its checkpoint, without the weights of before the hold-out.

    open_registry is called only if the recorded files are missing or changed, or if an older version of minutehand published: it imports
    MLflow, which takes seconds. Raises UserError if nothing has been published, and DamagedError if the registry has no intact copy.
    """
    found = live_files(lake)
    if found is None:
        raise UserError("nothing has been published yet; minutehand nightly trains a model and publishes lists")
    return found[0], load_version(*found, open_registry)


def load_version(version: str, files: Files | None, open_registry: Callable[[], Registry]) -> Checkpoint:
    """The checkpoint of a version, as `load_live`. files: where they were when it was published."""
    if files is not None and files.digest is not None and files.folder.is_dir():
        try:
            demand_whole(f"version {version}", files.folder, {DIGEST: files.digest})
            return checkpoints.load(files.folder, with_past=False)
        except DamagedError as error:
            log.warning("%s; looking for it in the registry", error)
    from tasks.registry.versions import find_version

    return checkpoints.load(find_version(open_registry(), version).checkpoint_folder, with_past=False)
