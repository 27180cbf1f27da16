"""The hourly check: records what was found, and says once when an alarm starts and once when it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from tasks.config import HealthConfig
from tasks.health.checks import ALARM, FOLDER, Check, examine
from tasks.lake import Lake, statement, writing
from tasks.reading.asking import Row, ask, asking

COLUMNS = {
    "check_name": pa.string(),
    "state": pa.string(),
    "value": pa.float64(),
    "usual": pa.float64(),
    "low": pa.float64(),
    "high": pa.float64(),
    "n_days": pa.int32(),
    "found": pa.string(),
    "is_open": pa.bool_(),
    "is_announced": pa.bool_(),
}


@dataclass(frozen=True)
class Change:
    """The start of an alarm (is_open) or its end, at a time in UTC without a zone."""

    check: str
    is_open: bool
    found: str
    checked_at: datetime

    @property
    def text(self) -> str:
        """One line for people."""
        return f"minutehand: {'ALARM' if self.is_open else 'fine again'}, {self.check}: {self.found}"


def watch(
    lake: Lake, config: HealthConfig, flow_run_id: str, ignored_types: Sequence[str] = (), now: datetime | None = None
) -> list[Check]:
    """Examine everything and record it in ops.health; an alarm is open until two checks in a row are without it."""
    clock = (now or datetime.now(UTC)).replace(tzinfo=None)
    checks = examine(lake, config, ignored_types, clock)
    with writing(lake) as con:
        last = {row["check_name"]: row for row in ask(con, "last", folder=FOLDER)}
        con.register("checks", _table(checks, last))
        con.execute(statement(f"{FOLDER}/insert"), {"checked_at": clock, "flow_run_id": flow_run_id})
    return checks


def to_announce(lake: Lake) -> list[Change]:
    """Starts and ends of alarms that were not sent yet, oldest first; a killed run leaves its own to the next."""
    with asking(lake) as con:
        rows = ask(con, "unannounced", folder=FOLDER)
    return [Change(row["check_name"], row["is_open"], row["found"], row["checked_at"]) for row in rows]


def mark_announced(lake: Lake, changes: Sequence[Change]) -> None:
    """Record that these changes were sent."""
    if changes:
        with writing(lake) as con:
            con.execute(statement(f"{FOLDER}/mark_announced"), {"until": max(change.checked_at for change in changes)})


def _table(checks: Sequence[Check], last: dict[str, Row]) -> pa.Table:
    rows = []
    for check in checks:
        before = last.get(check.check, {"state": check.state, "is_open": False})
        is_open = check.state == ALARM or (before["is_open"] and before["state"] == ALARM)
        rows.append(
            {
                "check_name": check.check,
                **{name: getattr(check, name) for name in ("state", "value", "usual", "low", "high", "n_days", "found")},
                "is_open": is_open,
                "is_announced": is_open == before["is_open"],
            }
        )
    return pa.Table.from_pylist(rows, schema=pa.schema(COLUMNS))
