"""The model versions for people: what each is, how good, and what the gate said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlflow.entities.model_registry import ModelVersion

from tasks.registry.changes import CHANGES
from tasks.registry.integrity import DAMAGED
from tasks.registry.names import FIGURES, NIGHTLY
from tasks.registry.versions import CHAMPION, Registry, RegistryError, aliases, all_versions, cadence_of

CHECK = "gate."
"""Prefix of the tags with the conditions of the gate."""


@dataclass(frozen=True)
class Model:
    """One version. made_at: UTC without a zone. figures: on the held-out events of its night. changes: settings of its night alone.

    gate: promoted, refused or passed; None for a version of a minute, or if its night ended before the gate. reason: why. checks: the
    conditions of the gate with their numbers, in words. champion: the nightly version that it descends from.
    """

    version: str
    aliases: list[str]
    cadence: str
    champion: str
    snapshot: int | None
    made_at: datetime
    mlflow_run_id: str
    figures: Mapping[str, float]
    gate: str | None
    reason: str | None
    checks: Mapping[str, str]
    changes: Mapping[str, str]
    plan: str | None
    is_damaged: bool


def models(registry: Registry, *, with_minutes: bool = False) -> list[Model]:
    """The versions, newest first: those of nights, and those with an alias; with_minutes: all."""
    named: dict[str, list[str]] = {}
    for alias, version in sorted(aliases(registry).items()):
        named.setdefault(version, []).append(alias)
    found = sorted(all_versions(registry), key=lambda each: -int(each.version))
    shown = [each for each in found if with_minutes or cadence_of(each) == NIGHTLY or str(each.version) in named]
    return [_model(each, named.get(str(each.version), [])) for each in shown]


def find_model(registry: Registry, version: str) -> Model:
    """One version. Raises RegistryError for an unknown one."""
    known = models(registry, with_minutes=True)
    for each in known:
        if each.version == version:
            return each
    there = ", ".join(each.version for each in reversed(known)) or "none yet"
    raise RegistryError(f"no version {version!r} (found: {there}); minutehand models lists them")


def _model(found: ModelVersion, named: list[str]) -> Model:
    tags, version = found.tags, str(found.version)
    snapshot = tags.get("snapshot")
    return Model(
        version=version,
        aliases=named,
        cadence=cadence_of(found),
        champion=tags.get(CHAMPION, version),
        snapshot=None if snapshot is None else int(snapshot),
        made_at=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC).replace(tzinfo=None),
        mlflow_run_id=str(found.run_id),
        figures={name: float(tags[name]) for name in FIGURES if name in tags},
        gate=tags.get("gate"),
        reason=_reason(found),
        checks={name.removeprefix(CHECK): text for name, text in sorted(tags.items()) if name.startswith(CHECK)},
        changes=_changes(tags),
        plan=tags.get("plan"),
        is_damaged=DAMAGED in tags,
    )


def _reason(found: ModelVersion) -> str | None:
    """The description of a version, which the gate writes, without the outcome before it."""
    text, outcome = found.description or "", found.tags.get("gate")
    return None if outcome is None else text.removeprefix(outcome).removeprefix(": ") or None


def _changes(tags: Mapping[str, str]) -> dict[str, Any]:
    try:
        found = json.loads(tags.get(CHANGES, "{}"))
    except json.JSONDecodeError:  # cut at the length limit of a tag
        return {"…": tags[CHANGES]}
    return dict(found)
