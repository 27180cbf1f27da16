"""The settings that a night changed, in MLflow: tags of its run and of its version."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tasks.registry.names import LONGEST_PARAM
from tasks.registry.night_run import NightRun
from tasks.registry.versions import LONGEST_TAG

CHANGES = "changes"


def record_changes(run: NightRun, version: str, changes: Mapping[str, str]) -> None:
    """Write the changes of a night by name: to its run for people, to its version as JSON."""
    if changes:
        client = run.registry.client
        client.set_tag(run.run_id, CHANGES, described(changes)[:LONGEST_PARAM])
        client.set_model_version_tag(run.registry.model_name, version, CHANGES, json.dumps(changes)[:LONGEST_TAG])


def described(changes: Mapping[str, str]) -> str:
    """The changes as people write them."""
    return " ".join(f"{name}={value}" for name, value in changes.items())
