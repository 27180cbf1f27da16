"""The arm in which a user was when something was shown to them."""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl

from models.experiments.allocation import arms_of
from tasks.experiments.experiment import CHALLENGER, CONTROL, key_of
from tasks.lake import statement

ARMS = pl.Schema({"user_id": pl.String(), "arm": pl.String(), "started_at": pl.Datetime("us"), "stopped_at": pl.Datetime("us")})


def register_arms(con: duckdb.DuckDBPyConnection, home: Path, since: object) -> None:
    """Register the table `arms`: the users of the table shown, by experiment, with their arm and the time of the experiment.

    The arm is that of the keyed hash, so that tables and API agree.
    """
    parts = []
    for experiment_id, share, *period in con.execute(statement("online/experiments"), {"since": since}).fetchall():
        found = con.execute(statement("online/shown_users"), dict(zip(("started_at", "stopped_at"), period, strict=True))).fetchall()
        users = [user_id for (user_id,) in found]
        is_challenger = arms_of(key_of(home), experiment_id, users, share)
        rows = [(user, CHALLENGER if theirs else CONTROL, *period) for user, theirs in zip(users, is_challenger, strict=True)]
        parts.append(pl.DataFrame(rows, ARMS, orient="row"))
    con.register("arms", pl.concat([pl.DataFrame(schema=ARMS), *parts]))
