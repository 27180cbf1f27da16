"""The hourly health check of the upkeep: records what it finds, and emits an event when an alarm starts or ends."""

from __future__ import annotations

import logging
from uuid import NAMESPACE_URL, uuid5

from prefect import runtime
from prefect.artifacts import create_table_artifact
from prefect.events import emit_event

from models.visible import visible_line
from settings import Settings
from tasks import health
from tasks.lake import Lake

logger = logging.getLogger("minutehand.health")
STARTED, ENDED = "minutehand.alarm", "minutehand.recovered"
"""Names of the events that an automation can wait for; their resource is `minutehand.check.NAME`."""


def go_on(settings: Settings, tables: Lake) -> None:
    """Check, record, and announce each start and end of an alarm once."""
    ignored = [name for name, weight in settings.ingest.event_weights.items() if not weight > 0]
    checks = health.watch(tables, settings.health, str(runtime.flow_run.id), ignored)
    for check in checks:
        if check.state == health.ALARM:
            logger.warning("%s: %s; %s", check.check, check.found, check.remedy)
    rows = [{"check": check.check, "state": check.state, "found": check.found, "remedy": check.remedy} for check in checks]
    create_table_artifact(table=rows, key="health", description="Whether events, lists and quality are as usual: minutehand health")
    changes = health.to_announce(tables)
    for change in changes:
        announce(change)
    health.mark_announced(tables, changes)


def announce(change: health.Change) -> None:
    """Emit the event of a change. Its id is the same if a killed run is repeated, so that Prefect takes it once."""
    name = STARTED if change.is_open else ENDED
    emit_event(
        event=name,
        resource={
            "prefect.resource.id": f"minutehand.check.{change.check.replace(' ', '-')}",
            "prefect.resource.name": change.check,
        },
        payload={
            "text": visible_line(change.text),
            "check": change.check,
            "state": "alarm" if change.is_open else "ok",
            "found": visible_line(change.found),
            "checked_at": f"{change.checked_at.isoformat(timespec='seconds')}Z",
        },
        id=uuid5(NAMESPACE_URL, f"{name}/{change.check}/{change.checked_at.isoformat()}"),
    )
