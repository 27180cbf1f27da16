"""What commands leave behind is closed to other users of the machine, also where the shell's mask would let them read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tasks.access import OURS
from tests.cli.test_doctor import _examine
from tests.cli.test_ingest import minutehand


def open_to_others(folder: Path) -> list[str]:
    return [str(path) for path in (folder, *folder.rglob("*")) if path.lstat().st_mode & 0o077]


@pytest.mark.slow
def test_no_command_leaves_a_file_that_others_can_read(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.umask(0o022)
    data = tmp_path / "elsewhere" / "data"
    monkeypatch.setenv("MINUTEHAND_LAKE__DATA_PATH", f"{data}/")
    monkeypatch.setenv("MINUTEHAND_THREADS", "1")
    for words in (
        ("simulate", "--users", "10", "--items", "10", "--days", "3", "--until", "2026-11-01"),
        ("ingest", "items", str(home / "shop" / "items.parquet")),
        ("ingest", "events", str(home / "shop" / "events.parquet")),
        ("sql", "select 1 as a", "--out", str(home / "shop" / "export.csv")),
        ("status",),
        ("minute",),
        ("doctor",),
    ):
        done = minutehand(*words, home=home)
        assert done.returncode == 0, done
    assert list(data.rglob("*.parquet"))
    assert open_to_others(home) + open_to_others(data) == []
    assert {path.name for path in home.iterdir()} <= OURS


def test_doctor_warns_of_a_data_folder_that_others_can_read(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    monkeypatch.setenv("MINUTEHAND_LAKE__DATA_PATH", f"{data}/")
    _, findings = _examine()
    assert findings["access"]["state"] == "warn"
    assert f"chmod -R go-rwx {data}" in findings["access"]["remedy"]
    data.chmod(0o700)
    assert _examine()[1]["access"]["state"] == "ok"
