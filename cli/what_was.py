"""`minutehand what-was`: the list of a user at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.lake import open_lake
from cli.options import AsJson, K
from cli.output import say, say_json, show

COLUMNS = ("rank", "item_id", "title", "score", "probability", "reason")


def what_was(
    user: Annotated[str, typer.Argument(help="The id of a user, or * for unknown users", show_default=False)],
    at: Annotated[str, typer.Option("--at", metavar="WHEN", help="A time, such as 2026-11-01T12:00 (UTC)", show_default=False)],
    scenario: Annotated[str, typer.Option("--scenario", metavar="NAME", help="A scenario with in_tables")] = "default",
    k: K = 10,
    as_json: AsJson = False,
) -> None:
    """Show the list that a user had at a time, and the model version, run and snapshot behind it."""
    from tasks.privacy.border import stored_ids
    from tasks.reading import list_at

    lake, moment = open_lake(), time_of(at)
    found = list_at(lake, stored_ids(lake, [user])[0], moment, k, scenario)
    rows = [{**row, "user_id": user} for row in found.rows]
    if found.note:
        say(found.note.replace(found.user_id, user), err=True)
    if as_json:
        say_json(rows)
        return
    origin = rows[0]
    say(f"user {user}, from {origin['published_at']:%Y-%m-%d %H:%M:%S} UTC on: model version {origin['model_version']},")
    say(f"snapshot {origin['data_snapshot']}, MLflow run {origin['mlflow_run_id']}")
    say(f"Prefect run {origin['flow_run_id']}, publication {origin['publication_id']}")
    show([{name: row[name] for name in COLUMNS} for row in rows], as_json=False)


def time_of(at: str, option: str = "--at") -> datetime:
    """The time that an option names, in UTC and without a zone."""
    from models.errors import UserError

    try:
        moment = datetime.fromisoformat(at)
        return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:
        raise UserError(f"{option} {at!r} is no time; give one such as 2026-11-01 or 2026-11-01T12:00, in UTC") from error
