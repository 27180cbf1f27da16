"""The flow that empties the landing folder: its state in Prefect shows whether all files were loaded."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from prefect import State

from flows.ingest import LandingError, ingest

GOOD = "user_id,item_id,occurred_at\nu1,i1,2026-01-01\nu2,i2,2026-01-02\n"


def land(home: Path, name: str, text: str) -> None:
    file = home / "landing" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    os.utime(file, (0, 0))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"events/a.csv": GOOD, "events/b.csv": GOOD + ",i3,2026-01-03\n"}, None),
        (
            {"events/a.csv": GOOD, "events/b.csv": GOOD + ",i3,2026-01-03\nu4,i4,now\n"},
            r"is in partial/: 2 of 4 rows were refused",
        ),
        ({"events/a.csv": GOOD, "events/b.csv": "who\n1\n"}, r"b\.csv of .* could not be read, and is in failed/: no column"),
        (
            {"events/a.csv": GOOD, "events/b.csv": GOOD, "events/b.mapping.toml": "maps = 1\n"},
            r"waits there: landing/events/b",
        ),
    ],
    ids=["few refused", "many refused", "unreadable", "wrong mapping"],
)
def test_a_run_fails_if_a_file_was_not_loaded_or_too_many_of_its_rows_were_refused(
    prefect_server: str, home: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], message: str | None
) -> None:
    monkeypatch.setenv("MINUTEHAND_INGEST__MAX_REJECTED_SHARE", "0.4")
    for name, text in files.items():
        land(home, name, text)
    state: State = ingest(return_state=True)
    if message is None:
        assert [file.outcome for file in state.result()] == ["done", "partial"]
        return
    assert state.is_failed()
    with pytest.raises(LandingError, match=message):
        state.result()
    assert (list((home / "landing" / "done").rglob("a.csv"))) != []
