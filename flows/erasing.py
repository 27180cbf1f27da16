"""Goes on with erasures at the end of minutes and nights, and in the hourly upkeep."""

from __future__ import annotations

import logging

from settings import Settings
from tasks.erasure import progress
from tasks.ingest.landing import open_landing
from tasks.lake import Lake
from tasks.registry import versions

logger = logging.getLogger("minutehand.erasure")


def go_on(settings: Settings, tables: Lake, *, in_night: bool = False) -> None:
    """Do the steps of erasures that can be done now; logs what is left. Nothing happens where nobody was ever erased."""
    home = settings.home.resolve()
    if not progress.was_used(home):
        return

    def open_registry() -> versions.Registry:
        return versions.open_registry(
            settings.tracking_uri, settings.registry.model_name, home / "mlflow" / "artifacts", settings.registry.artifacts
        )

    landing = open_landing(settings.ingest, settings.home)
    for left in progress.go_on(tables, home, open_registry, settings.ingest.event_weights, landing, in_night=in_night):
        logger.info("an erasure is not finished: %s", left)
