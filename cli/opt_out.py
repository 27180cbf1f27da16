"""`minutehand opt-out` and `minutehand opt-in`: whether people have lists of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import say

if TYPE_CHECKING:
    from tasks.lake import Lake

Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of people, as their events have them", show_default=False)]


def opt_out(ids: Ids) -> None:
    """Give people the lists for everybody; their events are kept."""
    from tasks.privacy.opt_out import opt_out

    n_new = opt_out(_lake(), ids)
    say(f"{_people(n_new)} opted out now, {_people(len(set(ids)) - n_new)} before; the API follows within a second or two")


def opt_in(ids: Ids) -> None:
    """Give people who opted out lists of their own again."""
    from tasks.privacy.opt_out import opt_in

    n_back = opt_in(_lake(), ids)
    say(f"{_people(n_back)} opted in again; the next minute makes their lists, interests follow with their next event or the next night")


def _people(n: int) -> str:
    return "1 person" if n == 1 else f"{n:,} people"


def _lake() -> Lake:
    from cli.lake import lake_of
    from settings import load
    from tasks.lake import migrate
    from tasks.privacy.common_keys import demand_common_keys

    lake = lake_of(load())
    migrate(lake)
    demand_common_keys(lake)
    return lake
