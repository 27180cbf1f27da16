"""Locks of a lake: one night, one publisher and one writer at a time, and temporary files that do not accumulate."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.lake import Lake
from tasks.locks import BusyError, publishing_turn, take
from tests.tasks.holder import be_killed


def test_a_second_night_learns_who_holds_the_lock_and_gets_it_afterwards(lake: Lake) -> None:
    with take(lake), pytest.raises(BusyError, match=rf"under way in .*home \(process {os.getpid()}, since 20"), take(lake):
        pass
    with take(lake):
        pass


def test_two_homes_with_lakes_of_their_own_do_not_wait_for_each_other(lake: Lake, tmp_path: Path) -> None:
    other = replace(lake, catalog="sqlite:other", lock_path=tmp_path / "two" / "lake" / "writer.lock")
    with take(lake), take(other):
        pass


def test_temporary_files_are_deleted_at_the_end_of_the_block_even_after_an_error(lake: Lake) -> None:
    elsewhere = tempfile.gettempdir()
    made: list[Path] = []
    with pytest.raises(FileNotFoundError), take(lake):  # noqa: PT012
        made.append(Path(tempfile.mkdtemp()))
        (made[0] / "no such file").read_text()
    assert made[0].parent == lake.home / "nightly" / "tmp"
    assert not made[0].exists()
    assert tempfile.gettempdir() == elsewhere


def test_a_killed_process_releases_the_lock_and_its_files_are_deleted(lake: Lake) -> None:
    be_killed(lake, "take")
    assert len(list((lake.home / "nightly" / "tmp").iterdir())) == 1
    with take(lake) as folder:
        assert list(folder.iterdir()) == []
    assert list((lake.home / "nightly").iterdir()) == [lake.home / "nightly" / "lock"]


def test_a_second_publisher_learns_who_holds_the_lock_or_waits_for_it(lake: Lake) -> None:
    with publishing_turn(lake), pytest.raises(BusyError, match=rf"published in .*home \(process {os.getpid()}, since 20"):  # noqa: SIM117
        with publishing_turn(lake, wait_s=0.1):
            pass
    with publishing_turn(lake), take(lake):
        pass


def test_the_holder_after_an_error_is_not_clean(lake: Lake) -> None:
    with publishing_turn(lake) as first:
        assert first.is_clean
    with pytest.raises(ZeroDivisionError), publishing_turn(lake):
        1 / 0  # noqa: B018
    with publishing_turn(lake) as second:
        assert not second.is_clean
    with publishing_turn(lake) as third:
        assert third.is_clean


def test_the_holder_after_a_killed_publisher_is_not_clean_and_finds_no_files(lake: Lake) -> None:
    be_killed(lake, "publishing_turn")
    with publishing_turn(lake) as after:
        assert not after.is_clean
        assert list(after.folder.iterdir()) == []
