"""`minutehand outcomes`: what people did with the items that they were shown."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.lake import open_lake
from cli.options import AsJson
from cli.output import say, say_json, show
from cli.what_was import time_of


def outcomes(
    by: Annotated[
        str | None,
        typer.Option("--by", help="Split by version, scenario, source, position, segment, slot or arm", show_default=False),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="WHEN", help="Only impressions since a time, such as 2026-11-01 (UTC)", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show click-through rate, conversion, value and satisfaction of impressions, with 95 % intervals over users."""
    from tasks.online.rates import rates_by

    rows = rates_by(open_lake(), by, None if since is None else time_of(since, "--since"))
    if as_json:
        say_json(rows)
        return
    if not rows:
        say("no impression of a recommended item is known; the guide docs/guides/outcomes.md says how a shop sends them")
        return
    show([_row(row, by or "of") for row in rows], as_json=False)
    say("ctr, conversion, value: per impression; satisfaction: mean rating; in brackets, the 95 % interval over users")


def _row(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {
        name: row[name],
        "users": f"{row['users']:,}",
        "shown": f"{row['shown']:,}",
        "clicks": f"{row['clicks']:,}",
        "ctr": _between(row, "ctr", share=True),
        "purchases": f"{row['purchases']:,}",
        "conversion": _between(row, "conversion", share=True),
        "value": _between(row, "value"),
        "ratings": f"{row['ratings']:,}",
        "satisfaction": _between(row, "satisfaction"),
    }


def _between(row: dict[str, Any], metric: str, *, share: bool = False) -> str:
    """A rate with its interval, a share in per cent."""
    found = [row[metric], row[f"{metric}_low"], row[f"{metric}_high"]]
    middle, low, high = ("" if value is None else f"{100 * value:.2f}" if share else f"{value:.2f}" for value in found)
    sign = " %" if share and middle else ""
    return f"{middle}{sign} ({low} to {high})" if low else f"{middle}{sign}"
