"""`minutehand experiment`, as a user runs it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.experiments import changes, current
from tasks.lake import Lake, LakeConfig, locate, migrate
from tests.cli.test_ingest import minutehand
from tests.tasks.experiments.test_changes import made
from tests.tasks.experiments.test_standing import react


@pytest.fixture
def lake(home: Path) -> Lake:
    found = replace(locate(LakeConfig(), home), threads=1)
    migrate(found)
    return found


@pytest.mark.slow
def test_without_an_experiment_the_status_names_the_command_that_starts_one_and_wrong_values_name_the_remedy(
    lake: Lake, home: Path
) -> None:
    none = minutehand("experiment", "status", home=home)
    assert (none.returncode, none.stdout) == (
        0,
        "no experiment yet; start one: minutehand experiment start --challenger VERSION\n",
    )
    wrong = minutehand("experiment", "start", "--challenger", "2", "--share", "1.5", home=home)
    assert (wrong.returncode, wrong.stderr) == (
        1,
        "error: a share of 1.5 leaves one arm without users; give a number between 0 and 1, such as --share 0.2\n",
    )
    assert current(lake) is None


@pytest.mark.slow
def test_the_status_shows_both_arms_and_says_no_more_than_the_data(lake: Lake, home: Path) -> None:
    changes.start(lake, made(share=0.5))
    experiment = current(lake)
    assert experiment is not None
    early = minutehand("experiment", "status", home=home)
    assert "experiment 'wider'" in early.stdout
    assert "the next publication changes the lists" in early.stdout
    assert "verdict: too early for a statement about ctr: 0 users in the smaller arm (100 are needed)" in early.stdout
    react(lake, experiment, 0.1, 0.4, hours=0)
    found = json.loads(minutehand("experiment", "status", "--json", home=home).stdout)
    assert (found["name"], found["state"], found["share"], found["verdict"]["kind"]) == ("wider", "starting", 0.5, "loss")
    (ctr,) = found["metrics"]
    assert ctr["high"] < 0
    assert ctr["control"]["users"] + ctr["challenger"]["users"] == 400
    assert "key" not in found
