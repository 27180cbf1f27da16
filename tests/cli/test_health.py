"""`minutehand health`: exit codes for monitors, a table for people."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tasks.lake import LakeConfig, locate, migrate, writing
from tests.cli.test_ingest import minutehand
from tests.cli.test_reading import on_terminal, shop

__all__ = ["shop"]


def test_without_a_home_the_answer_is_unknown_with_a_remedy(home: Path) -> None:
    done = minutehand("health", "--json", home=home)
    assert done.returncode == 3
    (row,) = json.loads(done.stdout)
    assert (row["check"], row["state"]) == ("lake", "unknown")
    assert row["remedy"] == "for a new home take in events: minutehand ingest events FILE"
    assert not home.exists()


@pytest.mark.slow
def test_a_new_home_is_learning_and_a_silent_hourly_check_is_an_alarm(shop: Path) -> None:
    shown = on_terminal("health", home=shop)
    assert {len(line.strip()) for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).splitlines() if line[:1] in "│┃"} == {80}
    done = minutehand("health", home=shop)
    assert (done.returncode, done.stderr) == (0, "")
    with writing(locate(LakeConfig(), shop)) as con:
        con.execute(
            "insert into ops.health by name select now()::timestamp - interval 9 hour as checked_at, 'people' as check_name, "
            "'ok' as state, 1 as n_days, '' as found, false as is_open, true as is_announced, 'f' as flow_run_id"
        )
    done = minutehand("health", home=shop)
    assert done.returncode == 2
    assert "hourly check: start minutehand up" in done.stdout


@pytest.mark.slow
def test_a_lake_of_an_earlier_version_is_unknown_until_it_is_migrated(home: Path) -> None:
    lake = locate(LakeConfig(), home)
    migrate(lake)
    with writing(lake) as con:
        con.execute("drop table ops.health")
    done = minutehand("health", home=home)
    assert done.returncode == 3
    assert "lake: any minutehand ingest adds them" in done.stdout
