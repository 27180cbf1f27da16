"""`minutehand health`: whether events, lists and quality are as usual, for people and for monitors."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from cli.findings import split
from cli.lake import lake_of
from cli.options import AsJson
from cli.output import say, say_json, show

if TYPE_CHECKING:
    from settings import Settings
    from tasks.health import Check

ALARMED, UNKNOWN = 2, 3
"""Exit codes: an alarm; no check was possible. As monitors of the Nagios kind read them; 0 is well."""


def health(as_json: AsJson = False) -> None:
    """Check volume, delay, drift and quality against what is usual. Ends with 0 if all is well, 2 with an alarm, 3 if it cannot check."""
    from models.errors import UserError
    from settings import load
    from tasks.health.checks import ALARM, Check

    settings = load()
    try:
        checks = check_all(settings)
    except UserError as error:
        checks = [Check("lake", "unknown", *split(str(error)))]
    if as_json:
        say_json([asdict(check) for check in checks])
    else:
        show([{"check": check.check, "state": check.state, "found": check.found} for check in checks], as_json=False)
        for check in checks:
            if check.remedy:
                say(f"{check.check}: {check.remedy}")
    states = {check.state for check in checks}
    if ALARM in states or "unknown" in states:
        raise typer.Exit(ALARMED if ALARM in states else UNKNOWN)


def check_all(settings: Settings) -> list[Check]:
    """The checks of the lake, and whether the hourly check runs."""
    from tasks.health.checks import examine, since_watched

    lake = lake_of(settings)
    ignored = [name for name, weight in settings.ingest.event_weights.items() if not weight > 0]
    return [*examine(lake, settings.health, ignored), since_watched(lake)]
