"""The checks: what is measured now, the band that history gives, and the finding in words.

This module only reads, and imports neither torch nor MLflow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import duckdb

from models.visible import visible_line
from tasks.config import HealthConfig
from tasks.lake import Lake, current_snapshot
from tasks.reading.asking import Row, ask, asking

OK, LEARNING, ALARM = "ok", "learning", "alarm"
FOLDER = "health"
RHYTHM_DAYS = {"arrivals": 7, "nights": 3}
"""Least days of history of the checks that learn a rhythm; the others need MINUTEHAND_HEALTH__HISTORY_DAYS."""
WATCH_SILENT_H = 3.0
"""Hours without an hourly check from which on that is an alarm."""


@dataclass(frozen=True)
class Check:
    """One check. low, high: the band; None where no value is too low or too high. found: what it is, in words. remedy: of an alarm."""

    check: str
    state: str
    found: str
    remedy: str = ""
    value: float | None = None
    usual: float | None = None
    low: float | None = None
    high: float | None = None
    n_days: int = 0


@dataclass(frozen=True)
class _Words:
    """How a check speaks. found: of a value; usual: of its band; remedies of a value that is too low and too high."""

    found: Callable[[float], str]
    usual: Callable[[float | None, float | None], str]
    nothing: str
    too_high: str
    too_low: str = ""


def _span(seconds: float) -> str:
    """A duration in the unit that fits."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"


def _counts(low: float | None, high: float | None) -> str:
    return f"{low or 0:,.0f} to {high or 0:,.0f} are usual at this hour"


def _plural(n: float, one: str, many: str) -> str:
    return f"{n:,.0f} {one if round(n) == 1 else many}"


WORDS = {
    "events": _Words(
        lambda n: f"{_plural(n, 'event', 'events')} in the last hour",
        _counts,
        "no event yet",
        'look for a robot or a file that came in twice: minutehand sql "select user_id, count(*) as n from raw.events where received_at > '
        'now() - interval 1 hour group by 1 order by 2 desc limit 5"',
        "look whether the shop still sends its events, and whether they are refused: minutehand status",
    ),
    "people": _Words(
        lambda n: f"{_plural(n, 'person', 'people')} active in the last hour",
        _counts,
        "no event yet",
        "look whether a robot sends events under many ids",
        "look whether the shop still sends its events, and whether they are refused: minutehand status",
    ),
    "arrivals": _Words(
        lambda hours: f"the newest event arrived {_span(3600 * hours)} ago",
        lambda _, high: f"up to {_span(3600 * (high or 0))} is usual",
        "no event yet",
        "look at what sends the events or files, and at landing/failed in the home folder: minutehand status",
    ),
    "unknown items": _Words(
        lambda share: f"{share:.0%} of the events of the last hour name items that the catalogue does not have",
        lambda _, high: f"up to {high or 0:.0%} is usual",
        "too few events in the last hour to judge",
        "take in the catalogue, minutehand ingest items FILE, and look whether events name items as the catalogue does",
    ),
    "interests": _Words(
        lambda psi: f"the categories of the last hour differ from the usual ones by {psi:.2f} (PSI)",
        lambda _, high: f"up to {high or 0:.2f} is usual",
        "too few events in the last hour to judge",
        "look whether a campaign, a robot or a change of item ids explains it; if people changed, the minutes follow by themselves",
    ),
    "lag": _Words(
        lambda seconds: f"lists follow events after {_span(seconds)}",
        lambda _, high: f"up to {_span(high or 0)} is usual",
        "no list has followed an event yet",
        "look whether minutehand up runs, and at the last minute runs in Prefect: minutehand doctor",
    ),
    "quality": _Words(
        lambda value: f"predictions of the last hour hit {value:.4f} (NDCG@10)",
        lambda low, _: f"from {max(low or 0.0, 0.0):.4f} on is usual",
        "too few events in the last hour to judge",
        "",
        "look whether other checks name a cause; if none does, run a night on the newest events: minutehand nightly",
    ),
    "nights": _Words(
        lambda hours: f"the last night published {_span(3600 * hours)} ago",
        lambda _, high: f"up to {_span(3600 * (high or 0))} is usual",
        "no night yet",
        "look at the last night in Prefect, or run one: minutehand nightly",
    ),
}
NOTHING_TO_CHECK = {
    "unknown items": "there is no catalogue to compare with; minutehand ingest items FILE",
    "interests": "no item with a category was used yet",
    "lag": "no minute has brought an event into a list yet",
    "quality": "no minute has predicted events yet",
}
FILES = "events come in as files, hours after they happen, so single hours are not judged; arrivals are"


def examine(lake: Lake, config: HealthConfig, ignored_types: Sequence[str] = (), now: datetime | None = None) -> list[Check]:
    """Every check, in a fixed order. ignored_types: event types with weight 0, for which no list waits.

    Raises UserError where there is no lake, or one without the tables.
    """
    clock = (now or datetime.now(UTC)).replace(tzinfo=None)
    at: dict[str, str | float] = {"now": str(clock)}
    wide = at | {"width": config.width}
    with asking(lake) as con:
        rows = {row["check_name"]: row for row in ask(con, "traffic", wide, FOLDER)}
        for name, parameters in (
            ("arrivals", at),
            ("unknown_items", wide),
            ("interests", wide),
            ("lag", wide | {"waiting_s": _waiting_s(con, clock, ignored_types)}),
            ("quality", wide),
            ("nights", at),
        ):
            rows |= {row["check_name"]: row for row in ask(con, name, parameters, FOLDER)}
    return [_judged(name, words, rows.get(name), config.history_days) for name, words in WORDS.items()]


def since_watched(lake: Lake, now: datetime | None = None) -> Check:
    """Whether the hourly check itself runs."""
    clock = (now or datetime.now(UTC)).replace(tzinfo=None)
    with asking(lake) as con:
        last = max((row["checked_at"] for row in ask(con, "last", folder=FOLDER)), default=None)
    if last is None:
        return Check("hourly check", LEARNING, "has not run yet; minutehand up runs it every hour")
    hours = (clock - last).total_seconds() / 3600
    found, remedy = f"ran {_span(3600 * hours)} ago", "start minutehand up, or look at the last maintain runs in Prefect"
    is_silent = hours > WATCH_SILENT_H
    return Check("hourly check", ALARM if is_silent else OK, found, remedy if is_silent else "", hours, high=WATCH_SILENT_H)


def _waiting_s(con: duckdb.DuckDBPyConnection, clock: datetime, ignored_types: Sequence[str]) -> float:
    """How long the oldest event without a list has waited; 0 before the first publish, when no list is due."""
    marks = next(iter(ask(con, "watermarks")), None)
    if marks is None:
        return 0.0
    asked = {"now": str(clock), "published": marks["published"], "until": current_snapshot(con), "ignored_types": "\n".join(ignored_types)}
    try:
        return float(ask(con, "waiting", asked, FOLDER)[0]["waiting_s"])
    except duckdb.InvalidInputException as error:
        if "No snapshot found" not in str(error):
            raise
        return 0.0  # upkeep has deleted the snapshots after the watermark; the check of nights is due long before


def _judged(name: str, words: _Words, row: Row | None, history_days: int) -> Check:
    if row is None:
        return Check(name, LEARNING, NOTHING_TO_CHECK.get(name, words.nothing))
    value, low, high, n_days = row["value"], row["low"], row["high"], int(row["n_days"] or 0)
    check = Check(name, OK, words.nothing, "", value, row["usual"], low, high, n_days)
    if row.get("is_live") is False:
        return replace(check, state=LEARNING, found=FILES)
    least = min(history_days, RHYTHM_DAYS.get(name, history_days))
    if n_days < least or (low is None and high is None):
        found = words.nothing if value is None else words.found(value)
        return replace(check, state=LEARNING, found=f"{found}; {n_days} of {least} days of history for a band")
    if value is None:
        return check
    found = f"{words.found(value)}; {words.usual(low, high)}"
    if high is not None and value > high:
        more = f"; {visible_line(row['grown'])} gained most" if row.get("grown") else ""
        return replace(check, state=ALARM, found=f"{found}{more}", remedy=words.too_high)
    if low is not None and value < low:
        return replace(check, state=ALARM, found=found, remedy=words.too_low)
    return replace(check, found=found)
