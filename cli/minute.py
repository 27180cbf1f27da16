"""`minutehand minute`: runs the minute flow once in this process."""

from __future__ import annotations

import typer


def minute() -> None:
    """Update the model with new events once, and publish the lists that change."""
    from cli.environment import prepare
    from cli.up.temporary import find_api
    from settings import load

    settings = load()
    prepare(settings)
    demand_api = find_api(settings)

    from flows.minute import minute as flow  # importing prefect takes seconds; the server starts at the same time

    demand_api()
    version = flow()
    typer.echo("nothing to do; next: minutehand status" if version is None else f"version {version} is live; next: minutehand status")
