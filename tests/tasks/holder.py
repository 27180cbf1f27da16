"""Another process that holds a lock of a lake until it is killed: python -m tests.tasks.holder CATALOG DATA_PATH LOCK_PATH NAME."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from tasks.lake import Lake, writing
from tasks.locks import publishing_turn, take
from tests.conftest import ROOT


def begin(lake: Lake, name: str) -> subprocess.Popen[str]:
    """A process that holds a lock (take, publishing_turn or writing) until its input ends; then it kills itself."""
    words = [sys.executable, "-m", "tests.tasks.holder", lake.catalog, lake.data_path, str(lake.lock_path), name]
    process = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def be_killed(lake: Lake, name: str) -> None:
    """Let a process die while it holds a lock."""
    process = begin(lake, name)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


if __name__ == "__main__":
    lake = Lake(sys.argv[1], sys.argv[2], Path(sys.argv[3]), 5000, 60)
    block: Callable[[Lake], AbstractContextManager[object]] = {"take": take, "publishing_turn": publishing_turn, "writing": writing}[
        sys.argv[4]
    ]  # type: ignore[assignment]
    with block(lake):
        tempfile.mkdtemp()
        print("held", flush=True)
        sys.stdin.read(1)
        os.kill(os.getpid(), signal.SIGKILL)
