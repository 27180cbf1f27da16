"""Rates of impressions by a property of the list, each with an interval over users."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import duckdb

from models.errors import UserError
from models.metrics.rates import UserSums, mean_interval, share_interval
from tasks.lake import Readable, reading, statement

PROPERTIES = {
    "version": "model_version",
    "scenario": "scenario",
    "source": "source",
    "position": "position",
    "segment": "segment",
    "slot": "slot",
    "arm": "arm",
}
"""The columns of eval.outcomes by which rates can be split, by their short names."""
SHARES = ("ctr", "conversion")
NOTHING_RATED = {"ratings": 0, "satisfaction": None, "satisfaction_low": None, "satisfaction_high": None}


def rates_by(at: Readable, by: str | None = None, since: datetime | None = None) -> list[dict[str, Any]]:
    """Users, shown, clicks, purchases, ratings, and ctr, conversion, value and satisfaction with low and high, by value of a property.

    by: one of PROPERTIES; None for one row of all impressions. since: UTC. Rates are per impression, satisfaction per rating; None if there
    is nothing to divide by.
    """
    if by is not None and by not in PROPERTIES:
        raise UserError(f"outcomes have no property {by!r}; give one of: {', '.join(PROPERTIES)}")
    parameters = {"property": PROPERTIES[by] if by else "all", "since": None if since is None else since.isoformat()}
    with reading(at) as con:
        try:
            found = con.execute(statement("online/rates_by"), parameters).fetchall()
        except duckdb.CatalogException as error:
            raise UserError("the lake has no outcomes yet, as it is of an earlier version; the next nightly run makes the table") from error
    rows: dict[str, dict[str, Any]] = {}
    for name, metric, *sums in found:
        of_users = UserSums(*sums)
        row = rows.setdefault(
            name, {by or "of": name, "satisfaction": None, "satisfaction_low": None, "satisfaction_high": None, "ratings": 0}
        )
        low, high = (share_interval if metric in SHARES else mean_interval)(of_users)
        row |= {metric: of_users.ratio, f"{metric}_low": low, f"{metric}_high": high}
        if metric == "ctr":
            row |= {"users": of_users.n_users, "shown": round(of_users.n), "clicks": round(of_users.x)}
        elif metric == "conversion":
            row["purchases"] = round(of_users.x)
        elif metric == "satisfaction":
            row["ratings"] = round(of_users.n)
    return list(rows.values())
