"""`minutehand scenarios`: the scenarios of the home folder, and every mistake in their file."""

from __future__ import annotations

import typer

from cli.lake import lake_of
from cli.options import AsJson
from cli.output import say, say_json, show


def scenarios(as_json: AsJson = False) -> None:
    """Show the scenarios and how many items each allows, and check scenarios.toml; exit code 1 if it is wrong."""
    from settings import load
    from tasks.scenarios import FILE
    from tasks.scenarios.overview import overview

    settings = load()
    found = overview(lake_of(settings), settings.home, settings.ingest.event_weights)
    if as_json:
        say_json({"scenarios": found.rows, "problems": found.problems})
    else:
        filled = [name for name in found.rows[0] if any(row[name] is not None for row in found.rows)] if found.rows else []
        file = settings.home / FILE
        title = f"{file}" if file.exists() else f"{file} does not exist: there is one scenario, default, without rules"
        show([{name: row[name] for name in filled} for row in found.rows], as_json=False, title=title)
        for problem in found.problems:
            say(f"error: {problem}", err=True)
    if found.problems:
        raise typer.Exit(1)
