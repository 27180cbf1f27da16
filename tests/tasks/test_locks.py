"""Locks of a home: one night and one publisher at a time, and temporary files that do not accumulate."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tasks.locks import BusyError, publishing_turn, take
from tests.conftest import ROOT

HOLDER = """
import os, signal, sys, tempfile
from pathlib import Path
from tasks.locks import take

with take(Path(sys.argv[1])):
    tempfile.mkdtemp()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_second_night_learns_who_holds_the_lock_and_gets_it_afterwards(home: Path) -> None:
    with take(home), pytest.raises(BusyError, match=rf"under way in .*home \(process {os.getpid()}, since 20"), take(home):
        pass
    with take(home):
        pass


def test_two_homes_do_not_wait_for_each_other(tmp_path: Path) -> None:
    with take(tmp_path / "one"), take(tmp_path / "two"):
        pass


def test_temporary_files_are_deleted_at_the_end_of_the_block_even_after_an_error(home: Path) -> None:
    elsewhere = tempfile.gettempdir()
    made: list[Path] = []
    with pytest.raises(FileNotFoundError), take(home):  # noqa: PT012
        made.append(Path(tempfile.mkdtemp()))
        (made[0] / "no such file").read_text()
    assert made[0].parent == home / "nightly" / "tmp"
    assert not made[0].exists()
    assert tempfile.gettempdir() == elsewhere


def test_a_killed_process_releases_the_lock_and_its_files_are_deleted(home: Path) -> None:
    done = subprocess.run([sys.executable, "-c", HOLDER, str(home)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list((home / "nightly" / "tmp").iterdir())) == 1
    with take(home) as folder:
        assert list(folder.iterdir()) == []
    assert list((home / "nightly").iterdir()) == [home / "nightly" / "lock"]


def test_a_second_publisher_learns_who_holds_the_lock_or_waits_for_it(home: Path) -> None:
    with publishing_turn(home), pytest.raises(BusyError, match=rf"published in .*home \(process {os.getpid()}, since 20"):  # noqa: SIM117
        with publishing_turn(home, wait_s=0.1):
            pass
    with publishing_turn(home), take(home):
        pass


def test_the_holder_after_an_error_is_not_clean(home: Path) -> None:
    with publishing_turn(home) as first:
        assert first.is_clean
    with pytest.raises(ZeroDivisionError), publishing_turn(home):
        1 / 0  # noqa: B018
    with publishing_turn(home) as second:
        assert not second.is_clean
    with publishing_turn(home) as third:
        assert third.is_clean


def test_the_holder_after_a_killed_publisher_is_not_clean_and_finds_no_files(home: Path) -> None:
    holder = HOLDER.replace("import take", "import publishing_turn").replace("with take", "with publishing_turn")
    done = subprocess.run([sys.executable, "-c", holder, str(home)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    with publishing_turn(home) as after:
        assert not after.is_clean
        assert list(after.folder.iterdir()) == []
