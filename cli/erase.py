"""`minutehand erase`: takes people out of everything that minutehand keeps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson
from cli.output import say, say_json

if TYPE_CHECKING:
    from tasks.privacy.ledger import Erasure


def erase(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Ids of people, as in raw.events", show_default=False)] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Text file with one id a line", show_default=False)] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase people: from lists and tables at once, then from files, model versions and logs; the next night trains without them."""
    from models.errors import UserError
    from settings import load
    from tasks.erasure.at_once import check_ids
    from tasks.erasure.at_once import erase as erase_at_once
    from tasks.lake import locate, migrate

    wanted = [*(ids or ()), *(_read(file) if file is not None else ())]
    check_ids(wanted)
    people = "this person" if len(wanted) == 1 else f"these {len(wanted):,} people"
    if not yes and not typer.confirm(f"Erase {people}? Nothing brings back what is erased", err=True):
        raise UserError("nothing was erased; answer yes, or give --yes")
    settings = load()
    lake = locate(settings.lake, settings.home)
    migrate(lake)
    done = erase_at_once(lake, settings.home, wanted, "cli" if file is None else "file", settings.ingest.event_weights)
    if as_json:
        say_json([_row(done)])
        return
    rows = sum(done.steps["lists"]["rows"].values())
    say(f"erasure {done.erasure_id}: {people} {'is' if len(wanted) == 1 else 'are'} gone from all lists and tables ({rows:,} rows)")


def _read(file: Path) -> list[str]:
    """The ids of a file. Raises UserError if it cannot be read."""
    from models.errors import UserError

    try:
        return [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UserError(f"cannot read {file}: {problem}; give a text file with one id a line") from error


def _row(done: Erasure) -> dict[str, object]:
    return {"erasure_id": done.erasure_id, "people": len(done.digests), "state": done.state, "steps": done.steps}
