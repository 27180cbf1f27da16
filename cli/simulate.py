"""`minutehand simulate`: writes a simulated shop to try minutehand on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson
from cli.output import say

if TYPE_CHECKING:
    import polars as pl

    from models.simulation.shop import Shop

EARLIEST = 2001
"""Year. An ingest rejects events before 1990, and a shop lasts up to ten years."""


def simulate(
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write to; shop under the home folder if not given", show_default=False)
    ] = None,
    users: Annotated[int, typer.Option("--users", min=1, help="Number of users")] = 1000,
    items: Annotated[int, typer.Option("--items", min=1, help="Number of items")] = 1200,
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="Number of simulated days, up to --until")] = 60,
    until: Annotated[
        str | None,
        typer.Option(
            "--until", metavar="WHEN", help="End of the simulated time, such as 2026-11-01 or 2026-11-01T12:00 (UTC); now if not given"
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed", min=0, help="Random seed: each seed gives a different shop; MINUTEHAND_SEED if not given", show_default=False
        ),
    ] = None,
    reacts: Annotated[
        bool,
        typer.Option("--react", help="Make no shop: let the people of the shop that is there look at their published lists, click and buy"),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the items and events of a simulated shop, and the true preferences behind them, as Parquet files."""
    from cli.output import show
    from models.errors import UserError
    from models.simulation.shop import ShopConfig
    from models.simulation.shop import simulate as run
    from settings import load

    settings = load()
    folder = out or settings.home / "shop"
    chosen = settings.seed if seed is None else seed
    if reacts:
        from cli.react import react

        if (users, items, days, until) != (1000, 1200, 60, None):
            raise UserError(f"--react goes on with the shop in {folder}; leave out --users, --items, --days and --until")
        react(settings, folder, chosen, as_json=as_json)
        return
    end = end_of(until)
    shop = run(ShopConfig(n_users=users, n_items=items, n_days=days, end=end), chosen)
    if shop.events.is_empty():
        raise UserError(f"nobody has come to the shop by {end} UTC; give more --days, more --users or a later --until")
    tables = {"items": shop.items, "events": shop.events, "truth_interests": shop.truth.interests, "truth_items": shop.truth.items}
    files = write(tables, folder)
    show(_summary(shop, files), as_json=as_json, title="A simulated shop")
    if not as_json:
        say(f"\nnext:\n  minutehand ingest items {_shown(files['items'])}\n  minutehand ingest events {_shown(files['events'])}")


def end_of(until: str | None) -> datetime:
    """The time that --until names, in UTC and without a zone; the start of this second where it names none."""
    from models.errors import UserError

    try:
        end = datetime.now(UTC) if until is None else datetime.fromisoformat(until)
    except ValueError as error:
        remedy = "give one such as 2026-11-01 or 2026-11-01T12:00, in UTC, or leave --until out for now"
        raise UserError(f"--until {until!r} is no time; {remedy}") from error
    if not EARLIEST <= end.year < 9999:
        raise UserError(f"--until {until} is out of range; give a time from {EARLIEST} on, or leave --until out for now")
    utc = end.astimezone(UTC).replace(tzinfo=None) if end.tzinfo else end
    return utc.replace(microsecond=0)


def write(tables: dict[str, pl.DataFrame], folder: Path) -> dict[str, Path]:
    """Write tables of a shop into a folder; each file is there in full or not at all."""
    from polars.exceptions import PolarsError

    from models.errors import UserError

    files = {name: folder / f"{name}.parquet" for name in tables}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            unfinished = folder / f".{name}.parquet.tmp"
            table.write_parquet(unfinished)
            unfinished.replace(files[name])
    except (OSError, PolarsError) as error:  # Polars has an error of its own for a full disk
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UserError(f"cannot write the shop to {folder}: {reason}; name a folder with room that can be written with --out") from error
    return files


def _summary(shop: Shop, files: dict[str, Path]) -> list[dict[str, object]]:
    kinds = shop.events["event_type"].value_counts(sort=True, name="n").sort("n", "event_type", descending=[True, False])
    since, until = (shop.events["occurred_at"].dt.date().sort()[end] for end in (0, -1))
    counted = ", ".join(f"{n:,} {kind}" for kind, n in kinds.iter_rows())
    about = {
        "items": f"{shop.events['item_id'].drop_nulls().n_unique():,} of them with events",
        "events": f"{shop.events['user_id'].n_unique():,} users, {since} to {until}: {counted}",
        "truth_interests": "in which leaf a user's sessions start, over time",
        "truth_items": "the leaf of each item, the item that browsing goes on to, and its appeal",
    }
    rows = {"items": shop.items, "events": shop.events, "truth_interests": shop.truth.interests, "truth_items": shop.truth.items}
    return [{"file": str(files[name]), "rows": rows[name].height, "about": text} for name, text in about.items()]


def _shown(path: Path) -> str:
    from shlex import quote

    return quote(str(path))
