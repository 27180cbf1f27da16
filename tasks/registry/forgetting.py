"""Takes erased people out of model versions: their windows in replay memories, and old versions whose weights have seen them.

The file of a memory is replaced while others may load it. Before that, a tag says which digest the files will have, so that a version is
intact at every moment; a run after a kill finds the tag and goes on.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from safetensors.torch import load_file, save_file

from models.version.online_state import OnlineState
from tasks.registry.errors import DamagedError, RegistryError
from tasks.registry.integrity import DIGEST, NEXT_DIGEST, checkpoint_in, digest_of
from tasks.registry.names import CHAMPION, EXPERIMENT, PREVIOUS
from tasks.registry.upkeep import delete_versions
from tasks.registry.versions import Registry, address_of, aliases, all_versions, download, local_model, model_id_of

logger = logging.getLogger("minutehand.erasure")
ONLINE = "online.safetensors"
EXAMPLES = ("input_example.json", "serving_input_example.json")
REWRITTEN = "erasure"
"""Tag of a version whose training snapshot, or whose memory, an erasure has rewritten."""


def forget(registry: Registry, owners: Collection[int], why: str, on_change: Callable[[str, str], None]) -> dict[str, int]:
    """Take the windows of some owners out of every version; returns the numbers of versions and of windows.

    why: what the versions say afterwards. on_change: is called with the digests of a version before and after the change, when its files
    have changed. Files in an object store, or on a server, are downloaded again, and replaced there before the download changes.
    """
    counts = {"versions": 0, "windows": 0, "unreachable": 0}
    for found in all_versions(registry):
        folder = _folder(registry, found)
        if folder is None:
            counts["unreachable"] += 1
            continue
        replace_file = partial(_replace, registry, found)
        n_windows = _forget_in(registry, found, folder, owners, on_change, replace_file)
        _neutral_examples(folder, replace_file)
        registry.client.set_model_version_tag(registry.model_name, str(found.version), REWRITTEN, why)
        counts["versions"] += 1
        counts["windows"] += n_windows
    return counts


def is_trained_since(registry: Registry, version: str, snapshot: int) -> bool:
    """Whether the night behind a version was trained on a snapshot from this one on."""
    tags = {str(found.version): found.tags for found in all_versions(registry)}
    champion = tags.get(version, {}).get(CHAMPION, version)
    return int(tags.get(champion, {}).get("snapshot", -1)) >= snapshot


def retire(registry: Registry, snapshot: int, live_version: str) -> list[str]:
    """Delete the versions that descend from a night before a snapshot, except the live one; returns the deleted versions.

    Without its version, the challenger of an experiment gives way to the one that the night has trained in its place, or to the control.
    """
    every = all_versions(registry)
    tags = {str(found.version): found.tags for found in every}
    old = [
        found
        for found in every
        if str(found.version) != live_version
        and int(tags.get(found.tags.get(CHAMPION, str(found.version)), {}).get("snapshot", -1)) < snapshot
    ]
    gone = {str(found.version) for found in old}
    for alias, version in aliases(registry).items():
        if version in gone and alias in (PREVIOUS, EXPERIMENT):
            registry.client.delete_registered_model_alias(registry.model_name, alias)
    named = set(aliases(registry).values())
    retired = [found for found in old if str(found.version) not in named]
    delete_versions(registry, retired)
    return [str(found.version) for found in retired]


def _folder(registry: Registry, found: ModelVersion) -> Path | None:
    """The checkpoint of a version, downloaded if it is elsewhere; None if it is broken or out of reach."""
    model = local_model(registry, found)
    try:
        if model is None:
            shutil.rmtree(registry.downloads / model_id_of(found), ignore_errors=True)
            model = download(registry, found)
        return checkpoint_in(f"version {found.version}", model)
    except (DamagedError, RegistryError, MlflowException, OSError):
        return None


def _replace(registry: Registry, found: ModelVersion, fresh: Path, file: Path) -> None:
    """Put a new file in the place of one of a version; first where the artifacts are, if that is not this machine."""
    if local_model(registry, found) is None:
        model = registry.downloads / model_id_of(found)
        with tempfile.TemporaryDirectory() as folder:
            named = Path(folder) / file.name
            shutil.copyfile(fresh, named)
            inside = file.parent.relative_to(model).as_posix()
            store = get_artifact_repository(address_of(registry, found), registry.tracking_uri)
            store.log_artifact(str(named), None if inside == "." else inside)
    os.replace(fresh, file)


def _forget_in(
    registry: Registry,
    found: ModelVersion,
    folder: Path,
    owners: Collection[int],
    on_change: Callable[[str, str], None],
    replace_file: Callable[[Path, Path], None],
) -> int:
    """Take windows out of one version; returns their number."""
    client, name, version, tags = registry.client, registry.model_name, str(found.version), dict(found.tags)
    fresh = folder.parent / f"{ONLINE}.fresh"  # not in the folder of the checkpoint, whose files all count for its digest
    n_gone, before = 0, tags.get(DIGEST)
    if (folder / ONLINE).exists():
        described = json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))
        state = OnlineState.from_tensors(load_file(folder / ONLINE), len(described["kinds"]))
        kept = state.without(owners)
        n_gone = state.memory.n_windows - kept.memory.n_windows
        if n_gone:
            save_file({key: value.contiguous() for key, value in kept.tensors().items()}, fresh)
            after = digest_of(folder, {ONLINE: fresh})
            if before is not None:
                client.set_model_version_tag(name, version, NEXT_DIGEST, after)
            replace_file(fresh, folder / ONLINE)
            tags[NEXT_DIGEST] = after
    if before is not None and NEXT_DIGEST in tags:
        after = digest_of(folder)
        on_change(before, after)
        client.set_model_version_tag(name, version, DIGEST, after)
        client.delete_model_version_tag(name, version, NEXT_DIGEST)
    return n_gone


def _neutral_examples(folder: Path, replace_file: Callable[[Path, Path], None]) -> None:
    """Replace the input examples of a model, which are histories of people, by one of an item without a person."""
    model = next((parent for parent in folder.parents if (parent / "MLmodel").is_file()), None)
    if model is None:
        return
    described = json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))
    values = {"item_ids": described["item_ids"][:1], "event_types": described["kinds"][:1], "occurred_at": ["2026-01-01T00:00:00"]}
    for name in EXAMPLES:
        file = model / name
        if not file.exists():
            continue
        example = json.loads(file.read_text(encoding="utf-8"))
        table = example.get("dataframe_split", example)
        table["data"] = [[values.get(column, []) for column in table["columns"]]]
        if "index" in table:
            table["index"] = [0]
        fresh = file.with_name(f"{name}.fresh")
        fresh.write_text(json.dumps(example), encoding="utf-8")
        replace_file(fresh, file)
