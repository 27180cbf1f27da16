"""`minutehand pseudonyms`: whether the lake holds ids of people or their keyed hashes, and how to change it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from cli.options import AsJson, Command
from cli.output import say, say_json

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    """Turn the clear ids in the lake into pseudonyms, then its files; an interrupted rewriting goes on."""
    from tasks.privacy.pseudonyms import pseudonyms, rewrite

    with _lake_alone() as lake:
        number = pseudonyms(lake).number
        if number is None:
            say(f"{rewrite(lake):,} ids are pseudonyms now; set MINUTEHAND_INGEST__PSEUDONYMS=true from now on")
        else:
            say(f"ids are pseudonyms already, under key {number}; to change the key: minutehand pseudonyms rotate")
        _rewrite_files(lake)
    say("files in landing/ are as they came in: delete those with clear ids")


@app.command(cls=Command)
def rotate() -> None:
    """Make a new key, and rewrite the pseudonyms in the lake to it; an interrupted rotation goes on."""
    from tasks.privacy.pseudonyms import rotate

    with _lake_alone() as lake:
        say(f"{rotate(lake):,} pseudonyms are rewritten to the new key; make a new backup of privacy-keys.json")
        _rewrite_files(lake)


def _rewrite_files(lake: Lake) -> None:
    from tasks.erasure.progress import rewrite_files

    done = rewrite_files(lake)
    if done is None:
        say("files still hold the ids before, as events wait to be learnt; afterwards: minutehand pseudonyms rewrite")
    else:
        say(f"earlier snapshots and their files, which held the ids before, are gone ({done['files_deleted']:,} files)")


@contextmanager
def _lake_alone() -> Iterator[Lake]:
    """The lake, while no API runs: it would go on with the ids before."""
    from filelock import Timeout

    from cli.environment import serve_lock
    from cli.lake import lake_of
    from models.errors import UserError
    from settings import load
    from tasks.lake import migrate
    from tasks.privacy.common_keys import demand_common_keys

    settings = load()
    lake = lake_of(settings)
    migrate(lake)
    demand_common_keys(lake)
    try:
        with serve_lock(settings.home).acquire(timeout=0):
            yield lake
    except Timeout as error:
        raise UserError(f"the API of {settings.home} runs, and would go on with the ids before; stop it, and run this again") from error
