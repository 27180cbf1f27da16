"""`minutehand retention`: what is kept how long, and what it costs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cli.lake import lake_of
from cli.options import AsJson
from cli.output import say, say_json, show

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from settings import Settings
    from tasks.aging import Kept

UNITS = ("B", "KB", "MB", "GB", "TB")


def retention(as_json: AsJson = False) -> None:
    """Show what is kept for how long, how much it is, and what the next upkeep deletes."""
    from datetime import UTC, datetime

    from settings import load
    from tasks.aging import landing_of, overview

    settings = load()
    home, clock = settings.home.resolve(), datetime.now(UTC).replace(tzinfo=None)
    found = overview(lake_of(settings), home, landing_of(settings.ingest, home), settings.retention, clock)
    if as_json:
        say_json([{"variable": _variable(kept.setting), **asdict(kept), "bytes_at_most": _at_most(kept)} for kept in found])
        return
    show([_row(kept) for kept in found], as_json=False)
    say(f"{_variable('NAME')} sets the days of NAME; 0 keeps it for ever.")
    say("Sizes are those of files, for older snapshots too; a day: size by the days kept.")
    _show_reach(settings, home, clock)


def _show_reach(settings: Settings, home: Path, clock: datetime) -> None:
    """Say how far one can go back, and what that costs."""
    from tasks.aging import cutoff
    from tasks.publish.past import bytes_of_versions, reach

    found = reach(lake_of(settings), cutoff(clock, settings.retention.lists_days))
    if not found:
        return
    version, at = found[0]
    say(f"\nGoing back: {len(found)} versions, to {version} of {at:%Y-%m-%d %H:%M} (minutehand promote {version}).")
    say(f"It needs the lists above, and {_size(bytes_of_versions(home))} of model versions:")
    say(f"MINUTEHAND_REGISTRY__KEEP_VERSIONS ({settings.registry.keep_versions}, of nights) and")
    say(f"MINUTEHAND_REGISTRY__KEEP_INCREMENTS ({settings.registry.keep_increments}, of minutes).")


def _row(kept: Kept) -> dict[str, Any]:
    return {
        "name": kept.setting,
        "kept": f"{kept.days} days" if kept.days else "for ever",
        "rows": f"{kept.n_rows:,}",
        "size": _size(kept.n_bytes),
        "oldest": "" if kept.oldest is None else f"{kept.oldest:%Y-%m-%d}",
        "due": f"{kept.n_due:,}",
        "a day": _size(kept.bytes_per_day),
    }


def _variable(setting: str) -> str:
    return f"MINUTEHAND_RETENTION__{setting.upper()}_DAYS"


def _at_most(kept: Kept) -> int | None:
    """The bytes after all days, if each costs as much as those until now; None for what is kept for ever."""
    return kept.bytes_per_day * kept.days if kept.days else None


def _size(n_bytes: int) -> str:
    """Bytes in the largest unit that fits."""
    size, unit = float(n_bytes), 0
    while size >= 999.5 and unit < len(UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {UNITS[unit]}" if unit == 0 or size >= 10 else f"{size:.1f} {UNITS[unit]}"
