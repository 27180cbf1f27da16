"""What a command says where its user may not read or write a part of the home."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.lake import LakeConfig, locate, migrate
from tests.conftest import ROOT

AS_ANYBODY = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
"""Root may read and write everything, unless it gives that up."""


@pytest.fixture
def events(home: Path, tmp_path: Path) -> Iterator[Path]:
    """A file of events next to a home with an empty lake, whose files can be deleted again after the test."""
    migrate(locate(LakeConfig(), home))
    file = tmp_path / "events.csv"
    file.write_text("user_id,item_id,occurred_at\nu,i,2026-01-01\n")
    yield file
    for path in (home / "lake", home / "lake" / "catalog.sqlite"):
        path.chmod(0o755)


def error_of(*words: str) -> str:
    """The only line on stderr of a command that fails."""
    command = [*AS_ANYBODY, sys.executable, "-c", "from cli import main; main()", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    return done.stderr


def test_a_home_that_is_read_only_is_one_line_for_a_writer(home: Path, events: Path) -> None:
    (home / "lake").chmod(0o555)
    text = error_of("ingest", "events", str(events))
    assert text.startswith(f"error: cannot write to {home / 'lake'}")
    assert "; make it readable and writable for the user that runs minutehand, or set MINUTEHAND_HOME to a folder that is" in text


def test_a_catalog_that_cannot_be_read_is_not_told_as_damaged(home: Path, events: Path) -> None:
    (home / "lake" / "catalog.sqlite").chmod(0)
    for words in (("status",), ("ingest", "events", str(events))):
        text = error_of(*words)
        assert text.startswith(f"error: cannot read the catalog at {home / 'lake' / 'catalog.sqlite'}: Permission denied; make it readable")
