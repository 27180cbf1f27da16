"""The aliases of a version that a person has made live. They follow the lake, where the newest publication says so.

A run after a kill calls `follow` again: the alias `live` comes last, so the others are right once it is.
"""

from __future__ import annotations

import logging
from typing import Protocol

from tasks.registry.errors import RegistryError
from tasks.registry.increments import publish_alias
from tasks.registry.names import CHAMPION, LIVE
from tasks.registry.versions import Registry, aliases, all_versions, note, promote

logger = logging.getLogger("minutehand.registry")
ROLLED_BACK = "rolled back"


class Promoted(Protocol):
    """What a promotion says: who is live, the nightly version that it descends from, and its run."""

    @property
    def cadence(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def champion(self) -> str: ...
    @property
    def mlflow_run_id(self) -> str: ...


def follow(registry: Registry, promoted: Promoted | None) -> bool:
    """Let the aliases follow a promotion; whether one had to move. promoted: None if there is nothing to follow."""
    if promoted is None:
        return False
    now = aliases(registry)
    if now.get(LIVE) == promoted.version and now.get(CHAMPION) == promoted.champion:
        return False
    known = {str(found.version): str(found.run_id) for found in all_versions(registry)}
    if known.get(promoted.version) != promoted.mlflow_run_id or promoted.champion not in known:
        raise RegistryError(
            f"version {promoted.version} made the lists, but is not in the registry; restore it, or make another: minutehand nightly"
        )
    before = now.get(CHAMPION)
    if promoted.cadence == "rollback" and before not in (None, promoted.champion):
        note(registry, str(before), ROLLED_BACK, f"version {promoted.version} is live again")
    promote(registry, promoted.champion, "by hand" if promoted.cadence == "promote" else "by hand, as a rollback")
    publish_alias(registry, promoted.version)
    logger.info("the aliases follow version %s, which is live by hand", promoted.version)
    return True
