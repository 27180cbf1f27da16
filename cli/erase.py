"""`minutehand erase`: takes people out of everything that minutehand keeps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.lake import lake_of, registry_of
from cli.options import AsJson
from cli.output import say, say_json, show

if TYPE_CHECKING:
    from settings import Settings
    from tasks.lake import Lake
    from tasks.privacy.ledger import Erasure

STEPS = ("lists", "memories", "files", "logs", "done")
"""What was done, in this order: tables, model versions, files and snapshots, logs and reports, weights."""


def erase(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Ids of people, as in raw.events", show_default=False)] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Text file with one id a line", show_default=False)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show where anything of these people is")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase people: from lists and tables at once, then from files, model versions and logs; the next night trains without them."""
    import json

    from models.errors import UserError
    from settings import load
    from tasks.erasure.at_once import check_ids
    from tasks.erasure.at_once import erase as erase_at_once
    from tasks.lake import locate, migrate
    from tasks.privacy.certificate import page
    from tasks.privacy.common_keys import demand_common_keys
    from tasks.privacy.ledger import erasures

    wanted = [*(ids or ()), *(_read(file) if file is not None else ())]
    check_ids(wanted)
    if dry_run:
        _show_places(wanted, as_json=as_json)
        return
    people = "this person" if len(wanted) == 1 else f"these {len(wanted):,} people"
    if not yes and not typer.confirm(f"Erase {people}? Nothing brings back what is erased", err=True):
        raise UserError("nothing was erased; answer yes, or give --yes")
    settings = load()
    lake = locate(settings.lake, settings.home, settings.store)
    migrate(lake)
    demand_common_keys(lake)
    done = erase_at_once(lake, settings.home, wanted, "cli" if file is None else "file", settings.ingest.event_weights)
    rows = sum(done.steps["lists"]["rows"].values())
    if not as_json:
        say(f"erasure {done.erasure_id}: {people} {'is' if len(wanted) == 1 else 'are'} gone from all lists and tables ({rows:,} rows)")
    left = _go_on(settings, lake)
    done = next(found for found in erasures(lake) if found.erasure_id == done.erasure_id)
    if as_json:
        say_json([{**row_of(done), "left": left}])
        return
    for name, step in done.steps.items():
        if name != "lists":
            found = ", ".join(f"{n} {what.replace('_', ' ')}" for what, n in step.items() if what != "at")
            say(f"{name}: done{f' ({found})' if found else ''}")
    for sentence in left:
        say(f"still due: {sentence}")
    if done.certificate is not None:
        say("")
        say(page(json.loads(done.certificate)))


def _go_on(settings: Settings, lake: Lake) -> list[str]:
    """Do the later steps as far as possible now; a sentence for each that is left."""
    from cli.environment import prepare
    from tasks.erasure.progress import go_on
    from tasks.ingest.arrivals import bucket_of
    from tasks.ingest.landing import open_landing

    prepare(settings)
    landing = bucket_of(settings.ingest, settings.store) or open_landing(settings.ingest, settings.home)
    return go_on(lake, settings.home.resolve(), lambda: registry_of(settings), settings.ingest.event_weights, landing)


def _show_places(ids: list[str], *, as_json: bool) -> None:
    """Show the places that name these people, and those that could not be judged."""
    from settings import load
    from tasks.aging import landing_outside
    from tasks.privacy.scan import scan
    from tasks.store import is_remote, place_of

    settings = load()
    remote = [place_of(address, settings.store) for address in (settings.registry.artifacts, settings.ingest.landing) if is_remote(address)]
    outside = landing_outside(settings.ingest, settings.home)
    found = [each for each in scan(settings.home, lake_of(settings), ids, also=[*outside, *remote]) if each.count or each.undecided]
    rows = [{"store": each.store, "place": each.place, "found": each.count, "undecided": each.undecided} for each in found]
    if as_json:
        say_json(rows)
    elif rows:
        show(rows, as_json=False)
    else:
        say("nothing of these people is in this home")


def _read(file: Path) -> list[str]:
    """The ids of a file. Raises UserError if it cannot be read."""
    from models.errors import UserError

    try:
        return [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UserError(f"cannot read {file}: {problem}; give a text file with one id a line") from error


def row_of(found: Erasure) -> dict[str, object]:
    """An erasure as a row for people and programs."""
    due = found.weights_due_by if found.state != "done" else None
    return {
        "erasure_id": found.erasure_id,
        "source": found.source,
        "people": len(found.digests),
        "requested_at": f"{found.requested_at:%Y-%m-%d %H:%M:%S}",
        **{name: found.steps[name]["at"].replace("T", " ") if name in found.steps else None for name in STEPS},
        "weights_due_by": None if due is None else f"{due:%Y-%m-%d %H:%M}",
    }
