"""Checks that the files of a model version are unchanged since registration."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import yaml

from tasks.registry.errors import DamagedError, RegistryError
from tasks.registry.names import NIGHTLY

DIGEST, DAMAGED, NEXT_DIGEST = "sha256", "damaged", "sha256.next"
"""Tags of a version: the digest of its checkpoint, the message about its damage, and the digest after a change that is under way."""


def may_be_champion(tags: Mapping[str, str]) -> bool:
    """Whether a version may replace a damaged champion: a nightly version that was promoted."""
    return tags.get("gate") == "promoted" and tags.get("cadence", NIGHTLY) == NIGHTLY


def checkpoint_in(what: str, model: Path) -> Path:
    """The checkpoint folder within a model folder. what: name of the version, for errors.

    Raises DamagedError if the MLmodel file is missing or unreadable, and RegistryError if the folder has another kind of model.
    """
    if not (model / "MLmodel").is_file():
        raise DamagedError(f"{what} is damaged: its files are not in {model}")
    try:
        described = yaml.safe_load((model / "MLmodel").read_text(encoding="utf-8"))
        artifacts = described["flavors"].get("python_function", {}).get("artifacts") or {}
    except (yaml.YAMLError, UnicodeDecodeError, AttributeError, KeyError, TypeError, OSError) as error:
        raise DamagedError(f"{what} is damaged: {model / 'MLmodel'} cannot be read") from error
    if "checkpoint" not in artifacts:
        raise RegistryError(f"{what} is not a minutehand model (no checkpoint in {model}); set the alias to another version in MLflow")
    return model / str(artifacts["checkpoint"]["path"])


def digest_of(folder: Path, instead: Mapping[str, Path] | None = None) -> str:
    """One SHA-256 over the names and contents of all files of a checkpoint. instead: files that count in place of those of some names."""
    whole = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        with (instead or {}).get(file.relative_to(folder).as_posix(), file).open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        whole.update(f"{file.relative_to(folder).as_posix()}\0{content}\n".encode())
    return whole.hexdigest()


def demand_whole(what: str, folder: Path, tags: Mapping[str, str]) -> None:
    """Raises DamagedError if the checkpoint changed since registration. A version without a stored digest passes."""
    if DIGEST not in tags:
        return
    try:
        found = digest_of(folder)
    except OSError as error:
        raise DamagedError(f"{what} is damaged: {folder} cannot be read ({error.strerror or error})") from error
    if found not in (tags[DIGEST], tags.get(NEXT_DIGEST)):
        raise DamagedError(f"{what} is damaged: a file in {folder} is truncated, missing or changed since registration")
