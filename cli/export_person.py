"""`minutehand export-person`: all that is held about one person."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.lake import lake_of
from cli.output import say, say_json


def export_person(
    user: Annotated[str, typer.Argument(metavar="ID", help="The id of the person, as in raw.events", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", help="File to write, readable only by its owner", show_default=False)] = None,
) -> None:
    """Print all that is held about a person as JSON: events, lists, interests, refused rows, and where else the id is found."""
    import json
    import os

    from models.errors import UserError
    from models.visible import to_json_value
    from settings import load
    from tasks.aging import landing_outside
    from tasks.privacy import export

    settings = load()
    found = export.export_person(settings.home, lake_of(settings), user, landing_outside(settings.ingest, settings.home))
    if out is None:
        say_json(found)
        return
    try:
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(to_json_value(found), file, ensure_ascii=False, indent=2)
            file.write("\n")
    except OSError as error:
        raise UserError(
            f"cannot write {out}: {error.strerror}; name a file that does not exist yet, in a folder that you may write to"
        ) from error
    n_rows = sum(len(rows) for rows in found["tables"].values())
    say(f"{n_rows:,} rows of {len(found['tables'])} tables in {out}", err=True)
