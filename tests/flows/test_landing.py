"""A landing folder under `minutehand up`, fed for minutes: no row is lost, and runs fail for files that were not loaded.

LANDING_SECONDS sets the duration: LANDING_SECONDS=600 python -m pytest -m slow tests/flows/test_landing.py
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tasks.config import IngestConfig
from tasks.ingest.landing import open_landing
from tasks.lake import LakeConfig, locate
from tests.conftest import find_free_port
from tests.flows.up import run_every, running_up
from tests.tasks.ingest.feeding import Feeder

SECONDS = float(os.environ.get("LANDING_SECONDS", "60"))


@pytest.mark.slow
def test_a_landing_folder_fed_for_minutes_loses_no_row(tmp_path: Path) -> None:
    with running_up(tmp_path, find_free_port(), find_free_port()) as running:
        for name in ("ingest", "minute"):
            run_every(running, f"{name}/{name}", seconds=10)
        feeder = Feeder(open_landing(IngestConfig(), running.home))
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            feeder.drop()
            time.sleep(0.3)
        feeder.finish()
        running.until(feeder.is_taken_in)
        assert min(feeder.dropped[kind] for kind in feeder.kinds) > 0
        assert feeder.lost(locate(LakeConfig(), running.home)) == {}
        runs = running.call("POST", "flow_runs/filter", {"deployments": {"name": {"any_": ["ingest", "minute"]}}})
        messages = [run["state"]["message"] for run in runs if run["state_type"] == "FAILED"]
        assert any("LandingError" in message for message in messages)
        assert [message for message in messages if "LandingError" not in message] == []
