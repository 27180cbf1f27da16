"""`minutehand simulate --react`: the people of the simulated shop look at their published lists."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cli.output import say, show

if TYPE_CHECKING:
    import polars as pl

    from models.simulation.shop import Truth
    from settings import Settings

AGE = timedelta(minutes=1)
"""Looks are so old, so that the clicks and purchases which follow them are not in the future."""


def react(settings: Settings, folder: Path, seed: int, *, as_json: bool) -> None:
    """Write impressions, clicks and purchases of everybody in the shop who has a list, as one file for an ingest.

    folder: where `minutehand simulate` wrote the shop. Raises UserError if no shop is there, or if nobody in it has a list.
    """
    import numpy as np
    import polars as pl

    from cli.lake import lake_of
    from cli.simulate import write
    from models.errors import UserError
    from models.simulation.people import PeopleConfig, crowd_at, look, published, reactions, wish
    from tasks.privacy.border import stored_ids
    from tasks.reading import all_lists

    items, truth = _shop(folder)
    config, lake = PeopleConfig(), lake_of(settings)
    lists = all_lists(lake, config.n_shown)
    at = max(datetime.now(UTC).replace(tzinfo=None) - AGE, lists.published_at).replace(microsecond=0) + timedelta(seconds=1)
    crowd = crowd_at(items, truth, at)
    clear = dict(zip(stored_ids(lake, crowd.user_ids), crowd.user_ids, strict=True))
    rows = pl.DataFrame(lists.rows).with_columns(pl.col("user_id").replace_strict(clear, default=None)).drop_nulls("user_id")
    user = np.unique(crowd.users(rows["user_id"]))
    if not len(user):
        remedy = f"take it in and make lists: minutehand ingest items {folder / 'items.parquet'}, ingest events, nightly"
        raise UserError(f"nobody of the shop in {folder} has a list in this home; {remedy}")
    shown = published(crowd, rows, user, config.n_shown)
    looks = look(wish(crowd, config, user, shown), config, np.random.default_rng(seed))
    events = reactions(crowd, user, shown, looks, at, f"react{seed}-{at:%Y%m%dT%H%M%S}")
    file = write({"reactions": events}, folder)["reactions"]
    counts = dict(events.group_by("event_type").len().iter_rows())
    counted = ", ".join(f"{counts.get(kind, 0):,} {kind}" for kind in ("impression", "click", "purchase"))
    show(
        [{"file": str(file), "rows": events.height, "about": f"{len(user):,} people: {counted}"}],
        as_json=as_json,
        title="Reactions to lists",
    )
    if not as_json:
        from shlex import quote

        say(f"\nnext:\n  minutehand ingest events {quote(str(file))}")
        say("  minutehand outcomes, once a night or the hourly upkeep has counted them")


def _shop(folder: Path) -> tuple[pl.DataFrame, Truth]:
    import polars as pl

    from models.errors import UserError
    from models.simulation.shop import Truth

    names = ("items", "truth_interests", "truth_items")
    try:
        items, interests, leaves = (pl.read_parquet(folder / f"{name}.parquet") for name in names)
    except (OSError, pl.exceptions.PolarsError) as error:
        remedy = "write one: minutehand simulate, or name its folder with --out"
        raise UserError(f"no simulated shop in {folder} ({', '.join(f'{name}.parquet' for name in names)}); {remedy}") from error
    if "appeal" not in leaves.columns:
        raise UserError(f"{folder / 'truth_items.parquet'} has no column 'appeal': an earlier version wrote it; write the shop again")
    return items, Truth(interests, leaves)
