"""What every test stands on: shapes and types of models/ are checked, and no test sees the settings of the shell."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

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


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Under --dist loadgroup a file's tests run in one process, and so do all of flows/, which share a Prefect server."""
    for item in items:
        file = item.path.relative_to(ROOT / "tests")
        item.add_marker(pytest.mark.xdist_group(file.parts[0] if file.parts[0] == "flows" else file.as_posix()))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home folder of the test's own, named by MINUTEHAND_HOME; what a command puts into the environment goes with it."""
    folder = tmp_path / "home"
    before = dict(os.environ)
    monkeypatch.setenv("MINUTEHAND_HOME", str(folder))
    yield folder
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A function that gives a port nobody listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find
