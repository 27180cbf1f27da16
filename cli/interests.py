"""`minutehand interests`: what a user is interested in, or which interests a text speaks of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import typer

from cli.lake import lake_of, open_lake, registry_of
from cli.options import AsJson, K
from cli.output import say, say_json, show

SHOWN_TITLES = 44
"""Longer evidence is cut here, so that a line fits into 80 columns; --json has all of it."""


def interests(
    user: Annotated[str | None, typer.Argument(help="A user", show_default=False)] = None,
    text: Annotated[str | None, typer.Option("--text", help="A text instead of a user", show_default=False)] = None,
    k: K = 10,
    as_json: AsJson = False,
) -> None:
    """Show what a user is interested in now (short) and lastingly (long), and why; or which interests a text speaks of."""
    from models.errors import UserError

    if (user is None) == (text is None):
        raise UserError("give either a user or --text WORDS; lists for both together: minutehand recommend USER --text WORDS")
    rows, notes = _of_text(text) if text is not None else _of_user(str(user))
    for note in notes:
        say(note, err=True)
    if as_json:
        say_json(rows)
        return
    names = [name for name in ("short", "long") if any(row.get("horizon") == name for row in rows)] or ["probability"]
    title = f"{f'user {user}' if text is None else repr(text[:60])}: model version {rows[0]['model_version'] if rows else ''}"
    show(_side_by_side(rows, names, k), as_json=False, title=title)
    if user is not None and (summary := _summary(rows)):
        say(summary)


def _of_user(user: str) -> tuple[list[dict[str, Any]], list[str]]:
    from tasks.privacy.border import stored_ids
    from tasks.reading import interests_of

    lake = open_lake()
    found = interests_of(lake, *stored_ids(lake, [user]))
    return found.rows, [found.note] if found.note else []


def _summary(rows: list[dict[str, Any]]) -> str | None:
    from settings import load
    from tasks.summary import summary_of

    settings = load()
    return summary_of(lake_of(settings), rows, settings.generator)


def _of_text(text: str) -> tuple[list[dict[str, Any]], list[str]]:
    from settings import load
    from tasks import process
    from tasks.worded_interests import cleaned, interests_in

    cleaned(text)  # raises UserError for a text without words, before the model is loaded
    settings = load()
    lake = lake_of(settings)
    process.use_threads(settings.threads)
    found = interests_in(lake, partial(registry_of, settings), settings.encoder, text)
    return found.rows, found.notes


def _side_by_side(rows: Sequence[Mapping[str, Any]], names: Sequence[str], k: int) -> list[dict[str, Any]]:
    """One row per interest: at most k of each dimension, its probability in each column, and the items that speak for it."""
    by_interest: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        by_interest.setdefault(row["interest_id"], {})[row.get("horizon", "probability")] = row
    out, shown = [], dict.fromkeys((row["dimension"] for row in rows), 0)
    ranked = sorted(by_interest.values(), key=lambda each: -sum(row["probability"] for row in each.values()))
    for dimension in shown:
        for each in ranked:
            first = next(iter(each.values()))
            if first["dimension"] == dimension and shown[dimension] < k:
                shown[dimension] += 1
                percent = {name: _percent(each[name]["probability"]) if name in each else "" for name in names}
                titles: list[str] = next((row["evidence_titles"] for row in each.values() if row["evidence_titles"]), [])
                out.append({"interest": first["name"], "of": dimension, **percent, "because of": _cut("; ".join(titles[:2]))})
    return out


def _percent(probability: float) -> str:
    return f"{100 * probability:.0f} %"


def _cut(titles: str) -> str:
    return titles if len(titles) <= SHOWN_TITLES else f"{titles[: SHOWN_TITLES - 1]}…"
