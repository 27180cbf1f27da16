"""What every test stands on: shapes and types of models/ are checked, and no test sees the settings of the shell."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook
from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).resolve().parent.parent
FOREIGN = ("MINUTEHAND_", "PREFECT_", "MLFLOW_")

install_import_hook("models", "beartype.beartype")  # before anything imports models

for name in list(os.environ):
    if name.startswith(FOREIGN):
        del os.environ[name]
settings.register_profile("minutehand", deadline=None)  # how long an example takes says nothing on a busy machine
settings.load_profile("minutehand")
if "PYTEST_XDIST_WORKER" in os.environ:  # two processes, so that each has one of two processors
    os.environ["OMP_NUM_THREADS"] = "1"
elsewhere = tempfile.mkdtemp(prefix="minutehand-tests-")  # for what Prefect writes when it is imported
atexit.register(shutil.rmtree, elsewhere, ignore_errors=True)
os.environ.update(
    DO_NOT_TRACK="true",
    HF_HUB_OFFLINE="1",
    MLFLOW_DISABLE_TELEMETRY="true",
    OMP_WAIT_POLICY="PASSIVE",
    PREFECT_HOME=f"{elsewhere}/prefect",
    PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW="ignore",  # a flow that was imported for one test speaks in all that follow
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """A file's tests run in one process, as loadfile has it, and so do all of flows/, which share a Prefect server."""
    return ByServer(config, log)


class ByServer(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return "tests/flows" if nodeid.startswith("tests/flows/") else str(super()._split_scope(nodeid))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home folder of the test's own, named by MINUTEHAND_HOME; what a command puts into the environment goes with it."""
    folder = tmp_path / "home"
    before, mask = dict(os.environ), os.umask(0o022)  # as most machines have it
    monkeypatch.setenv("MINUTEHAND_HOME", str(folder))
    yield folder
    os.environ.clear()
    os.environ.update(before)
    os.umask(mask)


def find_free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A function that gives a port nobody listens on."""
    return find_free_port
