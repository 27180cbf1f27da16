"""`minutehand recommend`: what users should see next, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.lake import open_lake
from cli.options import AsJson, K
from cli.output import say, say_json, show_list


def recommend(
    users: Annotated[list[str], typer.Argument(metavar="USER...", help="One user or more", show_default=False)],
    k: K = 10,
    as_json: AsJson = False,
) -> None:
    """Show what users should see next, and why."""
    from tasks.reading import lists_of

    found = lists_of(open_lake(), users, k)
    for each in found:
        if each.note:
            say(each.note, err=True)
    if as_json:
        say_json([row for each in found for row in each.rows])
        return
    for each in found:
        show_list(each.rows, f"user {each.user_id}")
