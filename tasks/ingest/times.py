"""Detects how files write times: zones, the order of day and month, and hours that clock changes skip or repeat."""

from __future__ import annotations

from difflib import get_close_matches

import duckdb

from models.errors import UserError
from tasks.lake import statement

OFFSETS = {
    **dict.fromkeys(("z", "ut", "utc", "gmt", "zulu", "wet", "etc/utc"), 0),
    **{"west": 60, "cet": 60, "mez": 60, "cest": 120, "mesz": 120, "eet": 120, "eest": 180, "msk": 180, "sast": 120},
    **{"est": -300, "edt": -240, "cst": -360, "cdt": -300, "mst": -420, "mdt": -360, "pst": -480, "pdt": -420},
    **{"akst": -540, "akdt": -480, "hst": -600, "jst": 540, "kst": 540, "hkt": 480, "sgt": 480},
    **{"awst": 480, "acst": 570, "aest": 600, "aedt": 660, "nzst": 720, "nzdt": 780},
}
"""Minutes ahead of UTC by abbreviation. Ambiguous abbreviations (IST, BST) are left out, except the American ones of RFC 2822."""
UTC_NAMES = ("UTC", "Z", "GMT", "Etc/UTC")


def set_zones(con: duckdb.DuckDBPyConnection, zone: str, time_format: str | None) -> str:
    """Set the macros' variables for known zones and for times without a zone; raises UserError for an unknown zone."""
    names = {name.lower(): name for (name,) in con.execute("select name from pg_timezone_names()").fetchall()}
    own = "UTC" if zone in UTC_NAMES else names.get(zone.lower())
    if own is None:
        near = get_close_matches(zone, names.values(), n=1)
        raise UserError(f"no time zone {zone!r}; {f'did you mean {near[0]}?' if near else 'an example is Europe/Berlin'}")
    format_has_zone = time_format is not None and ("%z" in time_format or "%Z" in time_format)
    for name in ("zones", "lower_zones"):
        con.execute(statement(f"ingest/variables/{name}"))
    values = {"abbreviations": list(OFFSETS), "minutes": list(OFFSETS.values()), "time_zone": own, "has_zone": format_has_zone}
    for name, value in values.items():
        con.execute(statement(f"ingest/variables/{name}"), {"value": value})
    return own


def day_order(con: duckdb.DuckDBPyConnection, time_format: str | None) -> bool | None:
    """Whether the times of the view mapped, such as 01.06.2026 00:16, have the day first; None if the column does not decide it."""
    if time_format is not None or con.execute(statement("ingest/peek_day_order")).fetchone() == (0,):
        return None
    row = con.execute(statement("ingest/find_day_order")).fetchone()
    return row[0] if row else None


def zone_notes(con: duckdb.DuckDBPyConnection, zone: str) -> list[str]:
    """Notes about odd times among the staged events."""
    row = con.execute(statement("ingest/count_odd_times")).fetchone()
    assert row is not None
    n_old, oldest, n_skipped, n_twice = row
    notes = []
    if n_old:
        notes.append(f"{n_old:,} events are from before 1990, the oldest from {oldest:%Y-%m-%d}: check whether these are times")
    if n_skipped:
        notes.append(f"{n_skipped:,} times fall in an hour that the clocks of {zone} skip; they were taken as the hour after it")
    if n_twice:
        notes.append(f"{n_twice:,} times fall in an hour that the clocks of {zone} show twice; they were taken as its second showing")
    return notes
