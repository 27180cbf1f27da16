"""What a promotion by hand changed for users is said, and kept in MLflow."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest

from cli.promote import _change_noted
from settings import load
from tasks.lake import Lake
from tasks.publish.promotion import Home
from tasks.registry.differences import record_difference
from tasks.registry.versions import Registry, find_version
from tests.tasks.publish.test_night import WEIGHTS, add_events, put, ranked


@pytest.mark.slow
def test_a_promotion_by_hand_says_what_it_changes_and_writes_it_to_the_run_of_the_version(
    registry: Registry,
    register_one: Callable[[], str],
    lake: Lake,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert register_one() == "1"
    add_events(lake, ("u", "a", "view", 1), ("v", "c", "view", 2))
    put(lake, ranked({"u": [0, 1], "v": [2, 3]}), "1")
    put(lake, ranked({"u": [0, 3], "v": [2, 3]}), "2")
    home = Home(lake, tmp_path, lambda: registry, WEIGHTS, 30)
    with _change_noted(load(), home):
        put(lake, ranked({"u": [0, 1], "v": [2, 3]}), "1")
    assert capsys.readouterr().out.strip() == (
        "50.0% of the users have another top ten than with version 2 (diff-from-2.json in MLflow; minutehand diff 2 1)"
    )
    run_id = find_version(registry, "1").run_id
    file = mlflow.artifacts.download_artifacts(
        run_id=run_id, artifact_path="diff-from-2.json", dst_path=str(tmp_path), tracking_uri=registry.tracking_uri
    )
    written = json.loads(Path(file).read_text(encoding="utf-8"))
    assert (written["before"], written["after"], written["changed"], written["n_users"]) == ("2", "1", 0.5, 2)

    with _change_noted(load(), home):
        put(lake, ranked({"u": [0, 1], "v": [2, 3]}), "1")
    assert capsys.readouterr().out == "", "the same version went live again"
    caplog.set_level(logging.WARNING, "minutehand")
    record_difference(registry, "1", "99", "{}")
    assert "diff-from-1.json is missing in MLflow" in caplog.text
