"""`minutehand why`: the evidence for one user and one item."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.lake import lake_of, registry_of
from cli.options import AsJson
from cli.output import say, say_json, show

if TYPE_CHECKING:
    from tasks.why import Why

COLUMNS, LONGEST_TITLE = 80, 24
SUMS = {"value": "value", "average": "average item", "difference": "difference"}


def why(
    user: Annotated[str, typer.Argument(help="The id of a user", show_default=False)],
    item: Annotated[str, typer.Argument(help="The id of an item", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Show why a user is shown an item, or not: its score in terms, and the events behind it."""
    from settings import load
    from tasks import process
    from tasks.privacy.border import stored_ids
    from tasks.summary import reason_of
    from tasks.why import explain

    settings = load()
    lake = lake_of(settings)
    process.use_threads(settings.threads)
    (stored,) = stored_ids(lake, [user])
    found = explain(lake, partial(registry_of, settings), settings.ingest.event_weights, stored, item)
    if as_json:
        say_json(asdict(found))
        return
    if found.reason is not None:
        found = replace(found, reason=reason_of(lake, found.reason, found.events, found.shared, settings.generator))
    _tell(found)


def _tell(found: Why) -> None:
    name = f"item {found.item_id}" + (f", {_short(found.title, 60)}" if found.title else "")
    say(f"user {found.user_id}, {name}")
    if found.rank is not None:
        say(_wrapped(f"rank {found.rank} of {found.n_listed} on the published list: {found.reason}"))
    for note in found.notes:
        say(_wrapped(note))
    if found.score is not None:
        chance = "" if found.probability is None else f", probability {found.probability:.4f}"
        say(f"\nscore {found.score:.4f}{chance}, model version {found.model_version}, the sum of:")
        show([*map(_term, found.terms), _total(found.terms)], as_json=False)
    if found.events:
        say(f"\nhistory of {found.n_events} events: how much the score falls without an item of it")
        show([_event(each) for each in found.events], as_json=False)
    if found.shared:
        say("\ncategories and tags that item and history share")
        for each in found.shared:
            examples = ", ".join(_short(title, LONGEST_TITLE) for title in each["examples"])
            say(_wrapped(f"  {each['label']}: {each['n_items']} of {each['n_history']} items, such as {examples}"))
    if found.path:
        say("\nshortest path in the graph")
        say("  " + _short(found.path[0]["source_name"] or found.path[0]["source"], 60))
        for step in found.path:
            say(f"  -> {step['relation']} -> {_short(step['target_name'] or step['target'], 50)}")


def _term(term: dict[str, Any]) -> dict[str, Any]:
    return {"term": term["term"], **{label: term[name] for name, label in SUMS.items()}}


def _total(terms: list[dict[str, Any]]) -> dict[str, Any]:
    return {"term": "sum", **{label: sum(term[name] for term in terms) for name, label in SUMS.items()}}


def _event(each: dict[str, Any]) -> dict[str, Any]:
    return {
        "item_id": each["item_id"],
        "title": _short(each["title"] or "", LONGEST_TITLE),
        "event": f"{each['event_type']} {each['occurred_at']:%Y-%m-%d}",
        "effect": each["effect"],
    }


def _wrapped(text: str) -> str:
    return fill(text, COLUMNS, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def _short(text: str, longest: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"
