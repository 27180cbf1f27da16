"""`minutehand retention`: what is kept how long, and what it costs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasks.lake import LakeConfig, locate, migrate
from tasks.publish.publication import Files
from tests.cli.test_ingest import minutehand
from tests.tasks.publish.test_night import add_events, put, ranked


@pytest.mark.slow
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


@pytest.mark.slow
def test_retention_says_how_far_one_can_go_back_and_what_the_model_versions_cost(home: Path, tmp_path: Path) -> None:
    lake = locate(LakeConfig(), home)
    migrate(lake)
    add_events(lake, ("u", "a", "view", 1))
    models = home / "mlflow" / "artifacts" / "models" / "m-1"
    models.mkdir(parents=True)
    (models / "weights").write_bytes(bytes(2_000))
    (models / "linked").hardlink_to(models / "weights")
    put(lake, ranked({"u": [0, 1]}), "7", checkpoint=Files(models, "digest"))
    put(lake, ranked({"u": [1, 0]}), "8", checkpoint=Files(tmp_path / "deleted", "digest"))
    shown = minutehand("retention", home=home).stdout
    assert max(map(len, shown.splitlines())) <= 80
    assert "Going back: 1 versions, to 7 of" in shown
    assert "and 2.0 KB of model versions" in shown
