"""`minutehand erasures`: the ledger of erasures."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.erase import row_of
from cli.lake import lake_of
from cli.options import AsJson
from cli.output import say, say_json, show


def list_erasures(
    readmit: Annotated[
        str | None, typer.Option("--readmit", metavar="ID", help="Take in again what an erased person does from now on", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show requests to erase people: what was done when, and what is due until when."""
    from datetime import UTC, datetime

    from settings import load
    from tasks.lake import writing
    from tasks.privacy import ledger

    settings = load()
    lake = lake_of(settings)
    if readmit is not None:
        with writing(lake) as con:
            ledger.readmit(con, lake.home, readmit, datetime.now(UTC).replace(tzinfo=None))
        say("what this person does from now on is taken in again; what is erased stays erased", err=True)
        return
    found = ledger.erasures(lake)
    if as_json:
        say_json([{**row_of(each), "digests": list(each.digests), "steps": each.steps} for each in found])
    elif found:
        show([row_of(each) for each in found], as_json=False)
    else:
        say("nobody was erased; minutehand erase ID does it")
