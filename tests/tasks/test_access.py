"""Permissions of a home: only the owner can read it, unless a setting admits the group."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from settings import load
from tasks.access import as_if_written, keep, open_to_others


@pytest.fixture(autouse=True)
def mask() -> Iterator[None]:
    """The usual umask, restored after the test."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> str:
    return f"{path.stat().st_mode & 0o7777:o}"


def test_after_the_settings_are_read_a_process_writes_for_its_owner_alone(home: Path) -> None:
    load()
    (home / "lake").mkdir(parents=True)
    (home / "lake" / "file").write_text("")
    assert [mode(path) for path in (home, home / "lake", home / "lake" / "file")] == ["700", "700", "600"]


def test_an_existing_home_and_its_top_level_entries_are_closed_to_others(home: Path) -> None:
    (home / "lake").mkdir(parents=True)
    (home / "up.json").write_text("{}")
    (home / "up.json").chmod(0o664)
    keep(home, "owner")
    assert [mode(path) for path in (home, home / "lake", home / "up.json")] == ["700", "700", "600"]
    assert open_to_others(home) == []


def test_a_secret_that_others_could_read_is_not_closed_so_that_it_is_still_refused(home: Path) -> None:
    home.mkdir()
    (home / "secret").write_text("minutehand:known")
    keep(home, "owner")
    assert [mode(path) for path in (home, home / "secret")] == ["700", "644"]


def test_a_folder_with_foreign_files_stays_open_and_only_our_own_files_are_closed(home: Path, tmp_path: Path) -> None:
    (home / "lake").mkdir(parents=True)
    (home / "website").mkdir()
    (tmp_path / "far").mkdir()
    (home / "logs").symlink_to(tmp_path / "far")
    keep(home, "owner")
    assert [mode(path) for path in (home, home / "lake", home / "website", tmp_path / "far")] == ["755", "700", "755", "755"]


def test_a_folder_for_everybody_such_as_tmp_stays_as_it_is(home: Path) -> None:
    home.mkdir()
    home.chmod(0o1777)
    keep(home, "owner")
    assert mode(home) == "1777"


def test_nothing_is_closed_if_the_home_is_a_file_or_missing(home: Path) -> None:
    keep(home, "owner")
    assert not home.exists()
    home.write_text("")
    home.chmod(0o644)
    keep(home, "owner")
    assert mode(home) == "644"


def test_a_group_that_was_let_in_on_purpose_stays_in(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir()
    home.chmod(0o2770)
    monkeypatch.setenv("MINUTEHAND_HOME_ACCESS", "group")
    load()
    (home / "lake").mkdir()
    (home / "lake" / "file").write_text("")
    assert mode(home) == "2770"
    assert mode(home / "lake")[-3:] == "770"
    assert mode(home / "lake" / "file") == "660"


def test_copies_get_the_same_permissions_as_new_files(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "run.sh").write_text("")
    (tmp_path / "code" / "run.sh").chmod(0o755)
    os.umask(0o077)
    as_if_written(tmp_path)
    assert [mode(tmp_path / "code"), mode(tmp_path / "code" / "run.sh")] == ["700", "700"]
