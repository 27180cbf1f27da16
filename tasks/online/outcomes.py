"""Impressions and their outcomes: which click, purchase or rating counts for which impression of which list.

| case | rule |
| --- | --- |
| an outcome names a list | it counts for the last impression of the item in that list, in the window before it; the same user first |
| it names none, or one without such an impression | it counts for the last impression of the same user and item in the window |
| there is no such impression, as for a click without one | it counts for no rate; the summary has the number of such clicks |
| the impression names a list of `ops.served` | that list, its version, scenario and source |
| it names none, or an unknown one | the list in `recs.list_history` that the user had then, if it held the item |
| the list did not hold the item, or no list is known | it counts nowhere; the summary has the numbers |
| the same user, item and list within minutes | a repeat: the first counts |
| more impressions than people see in an hour | a bot: in that hour, nothing that this user does counts |
| an event arrives late | its hours are built again, unless they are final |
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from tasks.aging import cutoff
from tasks.config import OnlineConfig, RetentionConfig
from tasks.lake import ANYONE, Lake, reading, statement, writing
from tasks.online.arms import register_arms
from tasks.retention import MOST_DAYS

logger = logging.getLogger("minutehand.online")
AS_SET, AS_KEPT = OnlineConfig(), RetentionConfig()
LONGEST_REPEAT = timedelta(days=1)
"""The longest `repeat_minutes` that can be set."""


@dataclass(frozen=True)
class OutcomeSummary:
    """What became of the impressions and clicks of the hours that were built again. since: the first of these hours, UTC; None if
    none was.

    n_foreign: impressions of an item that their list did not hold. n_unlisted: those of an item that no known list of the user held.
    """

    since: str | None = None
    n_shown: int = 0
    n_repeats: int = 0
    n_bots: int = 0
    n_foreign: int = 0
    n_unlisted: int = 0
    n_clicks_without: int = 0


def count_outcomes(
    lake: Lake,
    event_weights: Mapping[str, float],
    config: OnlineConfig = AS_SET,
    retention: RetentionConfig = AS_KEPT,
    now: datetime | None = None,
) -> OutcomeSummary:
    """Bring eval.outcomes and eval.online up to date, in one transaction that writes only rows that differ.

    So a second run changes nothing, and neither does one that was killed. event_weights: decide who and what is warm. retention: an hour
    whose outcomes or lists may be deleted already stays as it is.
    """
    clock = (now or datetime.now(UTC)).replace(tzinfo=None)
    oldest = cutoff(clock, retention.served_days)
    span = {
        "window_hours": config.window_hours,
        "final_days": min(config.final_days, retention.lists_days or MOST_DAYS),
        "oldest": oldest,
    }
    with reading(lake) as con:
        if _first_hour(con, span) is None and not _is_out_of_date(con, oldest):
            return OutcomeSummary()
    with writing(lake) as con:
        con.execute(statement("online/rename_merged"))
        since = _first_hour(con, span)  # again, under the lock
        done = OutcomeSummary() if since is None else _build(con, lake.home, since, event_weights, config, clock)
        con.execute(statement("online/create_rates"), {"since": since or datetime.max, "oldest": oldest})
        con.execute(statement("online/delete_rates"))
        con.execute(statement("online/insert_rates"))
    logger.info("outcomes of impressions: %s", asdict(done))
    return done


def _first_hour(con: duckdb.DuckDBPyConnection, span: Mapping[str, object]) -> datetime | None:
    """The first hour whose outcomes can differ from those that are stored."""
    found = con.execute(statement("online/span"), dict(span)).fetchone()
    return found[0] if found else None


def _is_out_of_date(con: duckdb.DuckDBPyConnection, oldest: datetime) -> bool:
    """Whether the rates of an hour are not those of its outcomes, as after an erasure."""
    con.execute(statement("online/create_rates"), {"since": datetime.max, "oldest": oldest})
    return con.execute("select count(*) from rates").fetchone() != (0,)


def _build(
    con: duckdb.DuckDBPyConnection, home: Path, since: datetime, event_weights: Mapping[str, float], config: OnlineConfig, clock: datetime
) -> OutcomeSummary:
    """Write the outcomes of the impressions from an hour on. The events of a window before it are read too, as they compete."""
    window = {"window_hours": config.window_hours}
    con.execute(statement("online/create_acts"), {"begin": _before(since, timedelta(hours=config.window_hours) + LONGEST_REPEAT)})
    limits = {"bot_impressions": config.bot_impressions, "repeat_minutes": config.repeat_minutes}
    con.execute(statement("online/create_seen"), limits)
    con.execute(statement("online/create_served"))
    con.execute(statement("online/create_published"), {"anyone": ANYONE})
    con.execute(statement("online/create_shown"), {"event_types": list(event_weights), "weights": list(event_weights.values())})
    con.execute(statement("online/create_attributed"), window)
    register_arms(con, home, since)
    con.execute(statement("online/create_fresh"), {"since": since})
    con.execute(statement("online/delete_changed"), {"since": since})
    con.execute(statement("online/insert_fresh"), {"since": since, "now": clock})
    counts = con.execute(statement("online/summary"), {"since": since}).fetchone()
    assert counts is not None
    return OutcomeSummary(f"{since:%Y-%m-%d %H:%M}", *counts)


def _before(moment: datetime, span: timedelta) -> datetime:
    """A time before a moment, rounded down to the hour, so that a bot is judged by whole hours."""
    try:
        return (moment - span).replace(minute=0, second=0, microsecond=0)
    except OverflowError:
        return datetime.min
