"""Goes on with erasures at the end of minutes and nights, and in the hourly upkeep."""

from __future__ import annotations

import logging
from functools import partial

from flows.registry import open_models
from settings import Settings
from tasks.erasure import progress
from tasks.ingest.arrivals import bucket_of
from tasks.ingest.landing import open_landing
from tasks.lake import Lake

logger = logging.getLogger("minutehand.erasure")


def go_on(settings: Settings, tables: Lake, *, in_night: bool = False) -> None:
    """Do the steps of erasures that can be done now; logs what is left. Nothing happens where nobody was ever erased."""
    home = settings.home.resolve()
    if not progress.was_used(home):
        return
    landing = bucket_of(settings.ingest, settings.store) or open_landing(settings.ingest, settings.home)
    for left in progress.go_on(tables, home, partial(open_models, settings), settings.ingest.event_weights, landing, in_night=in_night):
        logger.info("an erasure is not finished: %s", left)
