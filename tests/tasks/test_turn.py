"""The turn of a night: one at a time in a home, and temporary files that do not pile up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tasks.turn import BusyError, take
from tests.conftest import ROOT

HOLDER = """
import os, signal, sys, tempfile
from pathlib import Path
from tasks.turn import take

with take(Path(sys.argv[1])):
    tempfile.mkdtemp()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_second_is_told_who_has_the_turn_and_gets_it_afterwards(home: Path) -> None:
    with take(home), pytest.raises(BusyError, match=rf"under way in .*home \(process {os.getpid()}, since 20"), take(home):
        pass
    with take(home):
        pass


def test_two_homes_do_not_wait_for_each_other(tmp_path: Path) -> None:
    with take(tmp_path / "one"), take(tmp_path / "two"):
        pass


def test_temporary_files_of_the_block_go_with_it_even_after_an_error(home: Path) -> None:
    elsewhere = tempfile.gettempdir()
    made: list[Path] = []
    with pytest.raises(FileNotFoundError), take(home):  # noqa: PT012
        made.append(Path(tempfile.mkdtemp()))
        (made[0] / "no such file").read_text()
    assert made[0].parent == home / "nightly" / "tmp"
    assert not made[0].exists()
    assert tempfile.gettempdir() == elsewhere


def test_a_killed_process_leaves_the_turn_free_and_its_files_are_swept_away(home: Path) -> None:
    done = subprocess.run([sys.executable, "-c", HOLDER, str(home)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list((home / "nightly" / "tmp").iterdir())) == 1
    with take(home) as folder:
        assert list(folder.iterdir()) == []
    assert list((home / "nightly").iterdir()) == [home / "nightly" / "lock"]
