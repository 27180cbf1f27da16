"""`minutehand retention`: what is kept how long, and what it costs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasks.lake import LakeConfig, locate, migrate
from tests.cli.test_ingest import minutehand
from tests.tasks.publish.test_night import add_events


def test_retention_shows_each_setting_with_rows_and_bytes_in_80_columns(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = locate(LakeConfig(), home)
    migrate(lake)
    add_events(lake, *[(f"u{number}", "a", "view", number) for number in range(12)])
    rows = {row["variable"]: row for row in json.loads(minutehand("retention", "--json", home=home).stdout)}
    monkeypatch.setenv("MINUTEHAND_RETENTION__EVENTS_DAYS", "30")
    shown = minutehand("retention", home=home).stdout
    assert max(map(len, shown.splitlines())) <= 80
    (events,) = [line.split() for line in shown.splitlines() if line.startswith("events")]
    assert events[:4] == ["events", "30", "days", "12"]
    assert "12" in events[7:], "all events are due"
    assert (rows["MINUTEHAND_RETENTION__EVENTS_DAYS"]["days"], rows["MINUTEHAND_RETENTION__EVENTS_DAYS"]["bytes_at_most"]) == (0, None)
    assert rows["MINUTEHAND_RETENTION__LISTS_DAYS"]["holds"] == ["recs.list_history"]
    assert all(name.startswith("MINUTEHAND_RETENTION__") for name in rows)
