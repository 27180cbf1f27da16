"""`minutehand erasures`: the ledger of erasures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cli.erase import row_of
from cli.lake import lake_of
from cli.options import AsJson
from cli.output import say, say_json, show

if TYPE_CHECKING:
    from tasks.privacy.ledger import Erasure


def list_erasures(
    readmit: Annotated[
        str | None, typer.Option("--readmit", metavar="ID", help="Take in again what an erased person does from now on", show_default=False)
    ] = None,
    certificate: Annotated[
        str | None, typer.Option("--certificate", metavar="ERASURE", help="Show the certificate of an erasure", show_default=False)
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
    if certificate is not None:
        _show_certificate(found, certificate, as_json=as_json)
        return
    if as_json:
        say_json([{**row_of(each), "digests": list(each.digests), "steps": each.steps} for each in found])
    elif found:
        show([row_of(each) for each in found], as_json=False)
    else:
        say("nobody was erased; minutehand erase ID does it")


def _show_certificate(found: Sequence[Erasure], erasure_id: str, *, as_json: bool) -> None:
    """Show a certificate. Raises UserError if there is none."""
    import json

    from models.errors import UserError
    from tasks.privacy.certificate import page

    made = next((each.certificate for each in found if each.erasure_id == erasure_id and each.certificate is not None), None)
    if made is None:
        raise UserError(f"there is no certificate of an erasure {erasure_id!r} yet; minutehand erasures shows the ids, and what is due")
    if as_json:
        say_json(json.loads(made))
    else:
        say(page(json.loads(made)))
