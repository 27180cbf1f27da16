"""`minutehand pseudonyms`: whether the lake holds ids of people or their keyed hashes, and how to change it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from cli.options import AsJson, Command
from cli.output import say, say_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.lake import Lake

app = typer.Typer(help="Show whether ids of people are clear or pseudonyms; turn them into pseudonyms; change the key.")


@app.callback(invoke_without_command=True)
def show_state(context: typer.Context, as_json: AsJson = False) -> None:
    """Show whether ids of people are clear or pseudonyms, and under which key."""
    if context.invoked_subcommand is not None:
        return
    from cli.lake import lake_of
    from settings import load
    from tasks.privacy.pseudonyms import pseudonyms

    settings = load()
    found = pseudonyms(lake_of(settings))
    is_on = settings.ingest.pseudonyms
    if as_json:
        say_json([{"is_on": is_on, "key": found.number, "since": found.since, "keys_held": list(found.held)}])
        return
    ids = "clear" if found.number is None else f"pseudonyms under key {found.number} since {found.since:%Y-%m-%d %H:%M} UTC"
    say(f"ids of people in the lake: {ids}")
    say(f"MINUTEHAND_INGEST__PSEUDONYMS is {'on' if is_on else 'off'}; keys held: {', '.join(map(str, found.held)) or 'none yet'}")
    if found.is_unfinished:
        say("a rotation was interrupted; finish it: minutehand pseudonyms rotate")
    elif is_on and found.number is None:
        say("the next ingest into an empty lake begins with pseudonyms; for a lake with events: minutehand pseudonyms rewrite")


@app.command(cls=Command)
def rewrite() -> None:
    """Turn the clear ids in the lake into pseudonyms."""
    from tasks.privacy.pseudonyms import rewrite

    n = _with_lake(rewrite)
    say(f"{n:,} ids are pseudonyms now; set MINUTEHAND_INGEST__PSEUDONYMS=true from now on")
    say("earlier snapshots and the files in landing/done still hold clear ids; docs/guides/privacy.md says how they go")


@app.command(cls=Command)
def rotate() -> None:
    """Make a new key, and rewrite the pseudonyms in the lake to it; an interrupted rotation goes on."""
    from tasks.privacy.pseudonyms import rotate

    n = _with_lake(rotate)
    say(f"{n:,} pseudonyms are rewritten to the new key; make a new backup of privacy-keys.json")


def _with_lake(work: Callable[[Lake], int]) -> int:
    """The result of a rewriting, during which no API runs: it would go on with the ids before."""
    from filelock import Timeout

    from cli.environment import serve_lock
    from cli.lake import lake_of
    from models.errors import UserError
    from settings import load
    from tasks.lake import migrate

    settings = load()
    lake = lake_of(settings)
    migrate(lake)
    try:
        with serve_lock(settings.home).acquire(timeout=0):
            return work(lake)
    except Timeout as error:
        raise UserError(f"the API of {settings.home} runs, and would go on with the ids before; stop it, and run this again") from error
