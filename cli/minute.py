"""`minutehand minute`: the minute flow, once, in this process."""

from __future__ import annotations

import typer


def minute() -> None:
    """Learn what just happened, and publish the lists that change by it."""
    from cli.environment import prepare
    from settings import load

    settings = load()
    prepare(settings)

    from flows.minute import minute as flow

    version = flow()
    typer.echo("nothing to do; next: minutehand status" if version is None else f"version {version} is live; next: minutehand status")
