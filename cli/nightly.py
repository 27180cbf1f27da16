"""`minutehand nightly`: the nightly flow, in this process."""

from __future__ import annotations

import typer


def nightly() -> None:
    """Retrain in full, judge, register, and publish a list for every user."""
    from cli.environment import prepare
    from settings import load

    settings = load()
    prepare(settings)

    from flows.nightly import nightly as flow

    version = flow()
    typer.echo(f"version {version} is live; next: minutehand status, minutehand recommend USER")
