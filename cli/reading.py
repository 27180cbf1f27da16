"""`minutehand recommend`, `similar`, `status` and `sql`: what is in the lake, on the terminal or as JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import AsJson

if TYPE_CHECKING:
    from tasks.lake import Lake

N_SHOWN = 1000
WIDEST = 40
SHOWN = ("rank", "item_id", "title", "probability", "similarity", "reason")

K = Annotated[int, typer.Option("-k", min=1, help="How many items at most")]


def recommend(
    users: Annotated[list[str], typer.Argument(metavar="USER...", help="One user or more", show_default=False)],
    k: K = 10,
    as_json: AsJson = False,
) -> None:
    """Show what users should see next, and why."""
    from tasks.reading import lists_of

    found = lists_of(_lake(), users, k)
    for each in found:
        if each.note:
            typer.echo(each.note, err=True)
    if as_json:
        _json([row for each in found for row in each.rows])
        return
    for each in found:
        _table(each.rows, f"user {each.user_id}")


def similar(
    item: Annotated[str, typer.Argument(help="The id of an item", show_default=False)],
    k: K = 10,
    as_json: AsJson = False,
) -> None:
    """Show the items that are nearest to one item."""
    from tasks.reading import similar as find_similar

    rows = find_similar(_lake(), item, k)
    if as_json:
        _json([{"similar_to": item, **row} for row in rows])
    else:
        _table(rows, f"like item {item}")


def status(as_json: AsJson = False) -> None:
    """Show what is in the lake, which model is live, trained on what, how old, how good."""
    from cli.output import show
    from settings import load
    from tasks.lake import locate
    from tasks.reading import status as find_status

    settings = load()
    ignored = [name for name, weight in settings.ingest.event_weights.items() if not weight > 0]
    rows = find_status(locate(settings.lake, settings.home), ignored_types=ignored)
    if as_json:
        _json(rows)
        return
    shown = [{**row, "value": f"{row['value']:,}" if isinstance(row["value"], int) else row["value"] or "none yet"} for row in rows]
    show(shown, as_json=False)


def sql(
    statement: Annotated[str, typer.Argument(metavar="SQL", help="Any DuckDB SQL; may start with from", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Ask the tables anything; nothing can be changed this way."""
    from cli.output import show
    from tasks.reading import query

    answer = query(_lake(), statement, None if as_json else N_SHOWN)
    if as_json:
        _json(answer.rows)
        return
    rows, left_out = _fitting(answer.rows)
    show(rows, as_json=False)
    if left_out:
        typer.echo(f"{len(left_out)} more columns do not fit: {', '.join(left_out)}; select some by name, or add --json", err=True)
    if answer.is_cut:
        typer.echo(f"only the first {N_SHOWN:,} rows are shown; --json prints all of them", err=True)


def _lake() -> Lake:
    from settings import load
    from tasks.lake import locate

    settings = load()
    return locate(settings.lake, settings.home)


def _table(rows: list[dict[str, Any]], subject: str) -> None:
    from datetime import UTC, datetime

    from cli.output import show
    from tasks.reading import age

    if not rows:
        typer.echo(f"{subject}: the list is empty")
        return
    origin = rows[0]
    when = age(origin["generated_at"], datetime.now(UTC).replace(tzinfo=None))
    title = f"{subject}: model version {origin['model_version']}, snapshot {origin['data_snapshot']}, {when}"
    show([{name: row[name] for name in SHOWN if name in row} for row in rows], as_json=False, title=title)


def _fitting(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows in as many columns as the terminal is wide enough for, at least one; and the names of the others."""
    from shutil import get_terminal_size

    room = get_terminal_size().columns - 1
    kept: list[str] = []
    for name in rows[0] if rows else ():
        room -= 3 + min(max(len(name), *(len(str(row[name])) for row in rows)), WIDEST)
        if kept and room < 0:
            break
        kept.append(name)
    left_out = [name for name in (rows[0] if rows else ()) if name not in kept]
    return [{name: row[name] for name in kept} for row in rows], left_out


def _json(rows: list[dict[str, Any]]) -> None:
    from cli.output import show

    show([_plain(row) for row in rows], as_json=True)


def _plain(value: Any) -> Any:
    """The value in what JSON has: null for numbers that are not finite, texts as keys."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    return value
