"""The report of a night for the owner of the shop: into the run in MLflow, and into the folder `reports` of the home."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from settings import Settings
from tasks.lake import Lake
from tasks.night.page import Night, night_page, save
from tasks.registry.night_run import NightRun

logger = logging.getLogger("minutehand.report")


def write(settings: Settings, tables: Lake, run: NightRun, version: str, live: str, reason: str, *, is_new: bool) -> None:
    """Write report.html. A report that could not be made must not fail a night whose lists are published."""
    ignored = [name for name, weight in settings.ingest.event_weights.items() if not weight > 0]
    night = Night(run.run_name, version, live, reason, run.run_id, run.snapshot, is_new)
    now = datetime.now(UTC).replace(tzinfo=None)
    try:
        html = night_page(tables, night, settings.health, ignored, now)
        run.page_for_owners(html)
        logger.info("the report of this night: %s", save(html, settings.home.resolve(), now))
    except Exception:  # any error: the lists of the night are published, and the report only describes them
        logger.warning("report.html could not be made", exc_info=True)
