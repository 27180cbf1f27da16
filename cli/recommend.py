"""`minutehand recommend`: lists of items for users, and for requests in words."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.lake import lake_of, open_lake, registry_of
from cli.options import AsJson, K
from cli.output import say, say_json, show, show_list

if TYPE_CHECKING:
    from tasks.requests import Request

COLUMNS = ("rank", "item_id", "title", "score", "probability")


def recommend(
    users: Annotated[list[str] | None, typer.Argument(metavar="[USER...]", help="One user or more", show_default=False)] = None,
    text: Annotated[
        str | None, typer.Option("--text", help="What to look for, in words; alone, or together with one user", show_default=False)
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="JSONL", help='Many requests, one per line: {"user_id": ..., "text": ...}, either or both'),
    ] = None,
    scenario: Annotated[
        str | None,
        typer.Option("--scenario", metavar="NAME", help="A scenario of scenarios.toml with in_tables", show_default=False),
    ] = None,
    k: K = 10,
    as_json: AsJson = False,
) -> None:
    """Show what users should see next, and why; or what fits a request in words."""
    from models.errors import UserError

    given = users or []
    if file is not None and (given or text is not None):
        raise UserError("--file has its own users and texts; leave out USER and --text")
    if text is not None and len(given) > 1:
        raise UserError(f"--text is for one user, and {len(given)} are given; for several, use --file")
    if scenario is not None and (file is not None or text is not None):
        raise UserError("--scenario reads published lists of users; leave out --text and --file")
    if file is None and text is None:
        if not given:
            raise UserError("nobody to recommend to; give a user, --text WORDS or --file FILE")
        _published(given, k, scenario, as_json=as_json)
        return
    from tasks.requests import Request, read_requests

    if file is not None:
        requests = read_requests(file)
        rows = [{"line": line, **row} for line, found in enumerate(_answers(requests, k), 1) for row in found]
        say_json(rows) if as_json else show([{"line": row["line"], **_shown(row)} for row in rows], as_json=False)
        return
    (rows,) = _answers([Request(given[0] if given else None, text)], k)
    if as_json:
        say_json(rows)
    else:
        from models.text.sentences import clipped

        who = f"user {given[0]} who asks for" if given else "for"
        asked = clipped(text or "")
        show(
            [_shown(row) for row in rows], as_json=False, title=f"{who} {asked!r}: model version {rows[0]['model_version'] if rows else ''}"
        )


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in COLUMNS}


def _answers(requests: list[Request], k: int) -> list[list[dict[str, Any]]]:
    from settings import load
    from tasks import process
    from tasks.privacy.border import stored_ids
    from tasks.requests import answer, cleaned

    for each in requests:
        if each.text is not None:
            cleaned(each.text)  # raises UserError for a text without words, before the model is loaded
    settings = load()
    lake = lake_of(settings)
    process.use_threads(settings.threads)
    people = iter(stored_ids(lake, [each.user_id for each in requests if each.user_id is not None]))
    requests = [each if each.user_id is None else replace(each, user_id=next(people)) for each in requests]
    found = answer(lake, partial(registry_of, settings), settings.encoder, requests, k)
    for note in found.notes:
        say(note, err=True)
    return found.lists


def _published(users: list[str], k: int, scenario: str | None, *, as_json: bool) -> None:
    from tasks.privacy.border import stored_ids
    from tasks.reading import lists_of

    lake = open_lake()
    found = lists_of(lake, stored_ids(lake, users), k, None if scenario is None else _in_tables(scenario))
    for user, each in zip(users, found, strict=True):
        if each.note:
            say(each.note.replace(each.user_id, user), err=True)
    if as_json:
        say_json([row for each in found for row in each.rows])
        return
    for user, each in zip(users, found, strict=True):
        show_list(each.rows, f"user {user}" + (f" in scenario {scenario}" if scenario is not None else ""))


def _in_tables(name: str) -> str | None:
    """The scenario whose lists are in recs.scenario_recommendations; None for `default`, whose lists are in recs.recommendations."""
    from models.errors import UserError
    from settings import load
    from tasks.scenarios import DEFAULT, FILE, load_scenarios
    from tasks.scenarios.file import nearest

    scenarios = load_scenarios(load().home)
    known = ", ".join(scenarios)
    if name == DEFAULT:
        return None
    if name not in scenarios:
        raise UserError(f"no scenario {name!r} in {FILE}; {nearest(name, scenarios, f'it has {known}')}")
    if not scenarios[name].in_tables:
        raise UserError(f"scenario {name!r} has no lists in tables; set in_tables = true in {FILE}, or ask the API: minutehand serve")
    return name
